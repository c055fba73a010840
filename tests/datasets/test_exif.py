"""Of EXIF the orientation is read and nothing else: every other tag may be anything, in every format."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zfrepro.datasets import exif
from zfrepro.datasets.decoding import decode

RESOLUTION, UNIT, ORIENTATION, GPS, MAKER = 0x011A, 0x0128, 0x0112, 0x8825, 0x927C
KINDS = (0, 1, 2, 3, 4, 5, 7, 10, 12, 13, 99)  # of values; 2 is text
VALUES = ((1, b"72"), (3, b"abc\0efgh" * 3), (0, b""), (2**31, b"\xff\xff\xff\xff"))  # count, bytes


def directory(*entries: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    """EXIF with these tags: number, kind, count, value."""
    start, values = 8 + 2 + 12 * len(entries) + 4, b""
    block = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}LH", 8, len(entries))
    for tag, kind, count, value in entries:
        where = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "L", start + len(values))
        block += struct.pack(order + "HHL", tag, kind, count) + where
        values += value if len(value) > 4 else b""
    return b"Exif\0\0" + block + bytes(4) + values


def turned(order: str = "<") -> tuple[int, int, int, bytes]:
    return ORIENTATION, 3, 1, struct.pack(order + "H", 6)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_read_in_both_byte_orders(order):
    block = directory((RESOLUTION, 2, 3, b"72\0"), turned(order), order=order)
    assert exif.read_orientation(block) == 6
    assert exif.read_orientation(block.removeprefix(b"Exif\0\0")) == 6


@pytest.mark.parametrize("value", [0, 9, 255])
def test_an_orientation_out_of_range_is_upright(value):
    assert exif.read_orientation(directory((ORIENTATION, 3, 1, struct.pack("<H", value)))) == 1


@pytest.mark.parametrize("kind", [2, 5, 7, 10, 12, 99])
def test_an_orientation_that_is_no_whole_number_is_upright(kind):
    assert exif.read_orientation(directory((ORIENTATION, kind, 1, b"6\0\0\0\1\0\0\0"))) == 1


@pytest.mark.parametrize(
    "block", [None, b"", b"Exif\0\0", b"II*\0", b"II*\0\xff\xff\xff\xff", directory(turned())[:24], 7, "x"]
)
def test_no_exif_or_a_broken_one_is_upright(block):
    assert exif.read_orientation(block) == 1


def test_xmp_says_it_where_exif_does_not():
    assert exif.read_orientation(None, b'<x tiff:Orientation="8"/>') == 8
    assert exif.read_orientation(None, "<tiff:Orientation>3</tiff:Orientation>") == 3
    assert exif.read_orientation(directory(turned()), b'<x tiff:Orientation="8"/>') == 6
    assert exif.read_orientation(None, b"\xff\xfe") == 1


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize("tag", [RESOLUTION, UNIT, GPS, MAKER])
def test_no_odd_tag_stops_an_image_or_hides_its_orientation(tmp_path, name, tag):
    """88 odd values of one tag in each of three formats."""
    image, path = Image.new("RGB", (8, 4), (10, 200, 30)), tmp_path / name
    for kind in KINDS:
        for count, value in VALUES:
            for entries, size in (
                ([(tag, kind, count, value)], (8, 4)),
                ([(tag, kind, count, value), turned()], (4, 8)),
            ):
                image.save(path, exif=directory(*sorted(entries)))
                assert decode(path).image.size == size


def stored_tags(content: bytes) -> dict[int, int]:
    """Where a TIFF's tags begin in the file."""
    order = "<" if content[:2] == b"II" else ">"
    (first,) = struct.unpack(order + "L", content[4:8])
    (count,) = struct.unpack(order + "H", content[first : first + 2])
    places = [first + 2 + 12 * number for number in range(count)]
    return {struct.unpack(order + "H", content[place : place + 2])[0]: place for place in places}


def odd(content: bytes, place: int, kind: int, count: int) -> bytes:
    order = "<" if content[:2] == b"II" else ">"
    return content[: place + 2] + struct.pack(order + "HL", kind, count) + content[place + 8 :]


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_an_odd_tag_of_a_tiff_that_its_pixels_do_not_need_is_skipped(tmp_path, compression, orientation):
    tags, raw = Image.Exif(), io.BytesIO()
    tags[ORIENTATION], tags[RESOLUTION], tags[0x010F], tags[UNIT] = orientation, 72.0, "a long maker's name", 2
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(raw, "TIFF", exif=tags, compression=compression)
    expected = np.rot90(pixels, -1) if orientation == 6 else pixels
    for tag in (RESOLUTION, 0x010F, UNIT):
        for kind in KINDS:
            for count in (0, 1, 3, 2**31):
                place = stored_tags(raw.getvalue())[tag]
                (tmp_path / "a.tif").write_bytes(odd(raw.getvalue(), place, kind, count))
                assert np.array_equal(np.asarray(decode(tmp_path / "a.tif").image), expected)


def test_an_avif_with_odd_exif_is_turned_by_its_own_property(tmp_path):
    tags, raw, path = Image.Exif(), io.BytesIO(), tmp_path / "a.avif"
    tags[ORIENTATION], tags[RESOLUTION] = 6, 72.0
    Image.new("RGB", (8, 4), (10, 200, 30)).save(raw, "AVIF", exif=tags)
    content = raw.getvalue()
    place = content.index(b"\x01\x1a\x00\x05\x00\x00\x00\x01")  # Pillow keeps the resolution, big-endian
    for kind in range(14):
        for count in (0, 1, 3, 2**31):
            path.write_bytes(content[: place + 2] + struct.pack(">HL", kind, count) + content[place + 8 :])
            assert decode(path).image.size == (4, 8)


def test_metadata_that_pillow_fails_on_are_left_out(tmp_path):
    """A damaged list of the further images of a stereo camera's file."""
    raw, path = io.BytesIO(), tmp_path / "a.jpg"
    Image.new("RGB", (8, 4), "red").save(raw, "JPEG", exif=directory(turned()))
    content = raw.getvalue()
    for tags in (directory((1, 4, 1, b"\1\0\0\0")), directory((0xB001, 2, 3, b"ab\0")), b"Exif\0\0II"):
        body = b"MPF\0" + tags.removeprefix(b"Exif\0\0")
        path.write_bytes(content[:2] + b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body + content[2:])
        assert decode(path).image.size == (4, 8)


def test_a_jpeg_keeps_what_describes_its_pixels():
    raw = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(raw, "JPEG", exif=directory(turned()))
    plain = exif.remove(raw.getvalue())
    assert b"Exif" not in plain
    assert b"Adobe" in plain  # without it, the colours would be inverted
    assert Image.open(io.BytesIO(plain)).tobytes() == Image.open(raw).tobytes()
    assert exif.remove(plain) is None
    assert exif.remove(b"words") is None


def test_hidden_colours_of_transparent_pixels_are_white_in_every_path(tmp_path):
    """What `prepare` stores is what `look` shows."""
    from zfrepro.datasets import imagefolder
    from zfrepro.datasets.base import Item
    from zfrepro.look import photographs

    for name in ("a.png", "b.webp", "c.tif", "d.gif"):
        Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / name, **({"exact": True} if "webp" in name else {}))
        prepared = imagefolder.load(imagefolder.Spec(root=tmp_path), Item(name, 0)).image
        (looked,) = photographs.load([Path(tmp_path / name)], np.asarray)
        assert np.array_equal(np.asarray(prepared), looked.crop)
        assert looked.crop.min() == 255, name
