"""Images of every kind are decoded to upright RGB, boxes with them; a broken file is one message that names it."""

import io
import os
import pickle
import warnings

import numpy as np
import pytest
from PIL import Image

from zfrepro.datasets.decoding import UnreadableImageError, decode
from zfrepro.errors import UserError

ROWS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [40, 50, 60], [70, 80, 90]]], dtype=np.uint8)


def saved(tmp_path, image, name, **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def read(tmp_path, image, name="a.png", **options):
    image = decode(saved(tmp_path, image, name, **options)).image
    assert image.mode == "RGB"
    return np.asarray(image).tolist()


def palette():
    image = Image.new("P", (2, 1))
    image.putpalette([200, 100, 50, 1, 2, 3])
    image.putpixel((1, 0), 1)
    return image


@pytest.mark.parametrize(
    ("image", "options", "expected"),
    [
        (Image.new("L", (1, 1), 77), {}, [[[77, 77, 77]]]),
        (Image.new("1", (1, 1), 1), {}, [[[255, 255, 255]]]),
        (Image.new("LA", (1, 1), (0, 255)), {}, [[[0, 0, 0]]]),
        (Image.new("LA", (1, 1), (0, 51)), {}, [[[204, 204, 204]]]),  # a fifth of black on white
        (Image.new("RGBA", (1, 1), (255, 0, 0, 0)), {}, [[[255, 255, 255]]]),
        (Image.new("RGBA", (1, 1), (255, 0, 0, 51)), {}, [[[255, 204, 204]]]),
        (palette(), {}, [[[200, 100, 50], [1, 2, 3]]]),
        (palette(), {"transparency": 1}, [[[200, 100, 50], [255, 255, 255]]]),
        (palette(), {"transparency": b"\x33\xff"}, [[[244, 224, 214], [1, 2, 3]]]),
        (Image.new("RGB", (1, 1), (9, 9, 9)), {"transparency": (9, 9, 9)}, [[[255, 255, 255]]]),
        (Image.new("L", (1, 1), 9), {"transparency": 9}, [[[255, 255, 255]]]),
    ],
)
def test_modes_of_png(tmp_path, image, options, expected):
    assert read(tmp_path, image, **options) == expected


@pytest.mark.parametrize("name", ["a.png", "a.pgm"])
def test_sixteen_bits_are_scaled(tmp_path, name):
    grey = Image.fromarray(np.array([[0, 257 * 100, 257 * 100 + 200, 65535]], dtype=np.uint16))
    assert [pixel[0] for pixel in read(tmp_path, grey, name)[0]] == [0, 100, 101, 255]


def test_sixteen_bits_of_unknown_scale_are_refused(tmp_path):
    grey = Image.fromarray(np.array([[0, 4095]], dtype=np.uint16))
    for image in (grey, Image.new("F", (1, 1), 0.5)):
        with pytest.raises(UnreadableImageError, match=r"a\.tif: cannot be read \(more than 8 bits per channel"):
            decode(saved(tmp_path, image, "a.tif"))


def test_cmyk(tmp_path):
    pixels = read(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "a.jpg", quality=100)
    assert np.abs(np.array(pixels[4][4]) - [255, 0, 0]).max() <= 2


def turned(image, orientation):
    """The pixels that a camera stores so that `image` is shown."""
    T = Image.Transpose
    stored = {2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE, 6: T.ROTATE_90,
              7: T.TRANSVERSE, 8: T.ROTATE_270}  # fmt: skip
    return image.transpose(stored[orientation]) if orientation in stored else image


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_exif_orientation_is_obeyed(tmp_path, orientation, name):
    """What a camera stores so that it is shown as ROWS."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "a.webp" else {}
    assert read(tmp_path, turned(Image.fromarray(ROWS), orientation), name, exif=exif, **options) == ROWS.tolist()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_in_stored_pixels_turns_with_the_image(tmp_path, orientation):
    """A red block is drawn in the stored pixels; after decoding it fills the box, and nothing else does."""
    stored = np.zeros((7, 12, 3), np.uint8)
    stored[1:3, 2:7] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(saved(tmp_path, Image.fromarray(stored), "a.png", exif=exif), (2, 1, 7, 3))
    assert decoded.image.size == ((7, 12) if orientation > 4 else (12, 7))
    x0, y0, x1, y1 = decoded.box
    red = np.asarray(decoded.image)[:, :, 0] == 255
    assert red[y0:y1, x0:x1].all()
    assert red.sum() == (x1 - x0) * (y1 - y0) == 10


def test_without_a_box_there_is_none(tmp_path):
    assert decode(saved(tmp_path, Image.new("RGB", (2, 1)), "a.png")).box is None


def test_a_turned_jpeg_changes_sides(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(saved(tmp_path, Image.new("RGB", (8, 4)), "a.jpg", exif=exif)).image.size == (4, 8)


@pytest.mark.parametrize("junk", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\0\xff"])
def test_damaged_exif_is_no_reason_to_refuse(tmp_path, junk):
    assert decode(saved(tmp_path, Image.new("RGB", (8, 4)), "a.jpg", exif=junk)).image.size == (8, 4)


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "a.png"])
def test_the_first_frame_of_an_animation(tmp_path, name):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if name == "a.webp" else {}
    assert read(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **options)[0][0] == [255, 0, 0]


def test_the_format_is_that_of_the_content(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (1, 1), "red"), "a.png")
    assert decode(path.rename(tmp_path / "a.jpg")).image.getpixel((0, 0)) == (255, 0, 0)


def cut(name, **options):
    raw = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(raw, name, **options)
    return raw.getvalue()[: len(raw.getvalue()) // 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an image in a supported format"),
        (b"just words", "not an image in a supported format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image in a supported format"),  # would start Ghostscript
        (b"\0\0\0\x18ftypheic" + bytes(200), "save it as JPEG or PNG"),
        (cut("JPEG"), "cannot be read"),
        (cut("PNG"), "cannot be read"),
        (cut("WEBP", lossless=True), "not an image|cannot be read"),
        (cut("GIF"), "cannot be read"),
    ],
)  # fmt: skip
def test_a_broken_file_is_named(tmp_path, content, message):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=rf"a\.jpg: .*({message})") as raised:
        decode(tmp_path / "a.jpg")
    assert "\n" not in str(raised.value)


def test_what_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, message in (
        ("none.jpg", "no such file"),
        ("", "is a folder"),
        ("pipe", "is not a regular file"),
        ("link", "is not a regular file"),
        ("n" * 999, "no such file"),
        ("a\0b", "no such file"),
    ):
        with pytest.raises(UnreadableImageError, match=message):
            decode(tmp_path / name)


def test_too_many_pixels_are_reported_and_many_are_read(tmp_path, monkeypatch):
    many, too_many = (saved(tmp_path, Image.new("RGB", (side, side)), f"{side}.png") for side in (5, 7))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(many).image.size == (5, 5)
    with pytest.raises(UnreadableImageError, match=r"7\.png: more than 0 million pixels; save a smaller copy"):
        decode(too_many)


def test_the_error_survives_the_way_from_a_worker_process(tmp_path):
    error = pickle.loads(pickle.dumps(UnreadableImageError(tmp_path / "a.jpg", "is too dark")))
    assert str(error) == f"{tmp_path / 'a.jpg'}: is too dark"


@pytest.mark.parametrize("kind", [KeyError, TypeError, AttributeError, RuntimeError, OverflowError, RecursionError])
def test_whatever_pillow_raises_is_about_the_file(tmp_path, monkeypatch, kind):
    """So `max_bad` covers it, and the message names the file."""
    path = saved(tmp_path, Image.new("RGB", (4, 4)), "a.png")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda self: raise_(kind("x")), raising=False)
    with pytest.raises(UnreadableImageError, match=r"a\.png: cannot be read \('?x'?\); replace or re-save it"):
        decode(path)


def raise_(error):
    raise error


def test_too_little_memory_names_the_file_and_is_no_bad_file(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.new("RGB", (4, 4)), "a.png")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda self: raise_(MemoryError()), raising=False)
    with pytest.raises(UserError, match=r"a\.png: does not fit into the free memory") as raised:
        decode(path)
    assert not isinstance(raised.value, UnreadableImageError)


def test_a_png_whose_checksum_does_not_fit_is_refused(tmp_path):
    """A single bit of the compressed pixels, which Pillow alone may show as other colours."""
    path = saved(tmp_path, Image.new("RGB", (4, 4), "red"), "a.png")
    content = bytearray(path.read_bytes())
    place = content.index(b"IDAT") + 4
    size = int.from_bytes(content[place - 8 : place - 4])
    for at in range(place, place + size + 4):
        damaged = content.copy()
        damaged[at] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(UnreadableImageError, match=r"a\.png: cannot be read"):
            decode(path)
