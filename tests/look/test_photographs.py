"""Photographs of every kind are read as upright RGB; what cannot be read is one message that names the file."""

import io
import os
import warnings

import numpy as np
import pytest
from PIL import Image

from zfrepro.errors import UserError
from zfrepro.look import photographs

ROWS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [40, 50, 60], [70, 80, 90]]], dtype=np.uint8)


def saved(tmp_path, image, name, **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def read(tmp_path, image, name="a.png", **options):
    found = photographs.read(saved(tmp_path, image, name, **options))
    assert found.mode == "RGB"
    return np.asarray(found).tolist()


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


def test_sixteen_bits_are_scaled_in_png_and_refused_elsewhere(tmp_path):
    grey = Image.fromarray(np.array([[0, 257 * 100, 257 * 100 + 200, 65535]], dtype=np.uint16))
    assert [pixel[0] for pixel in read(tmp_path, grey)[0]] == [0, 100, 101, 255]
    for image in (grey, Image.new("F", (1, 1), 0.5)):
        with pytest.raises(UserError, match=r"a\.tif: cannot be read \(pixels of more than 8 bits"):
            photographs.read(saved(tmp_path, image, "a.tif"))


def test_cmyk(tmp_path):
    found = read(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "a.jpg", quality=100)
    assert np.abs(np.array(found[4][4]) - [255, 0, 0]).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_exif_orientation_is_obeyed(tmp_path, orientation, name):
    """What a camera stores so that it is shown as ROWS."""
    T = Image.Transpose
    turned = {2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE, 6: T.ROTATE_90,
              7: T.TRANSVERSE, 8: T.ROTATE_270}  # fmt: skip
    image = Image.fromarray(ROWS)
    stored = image.transpose(turned[orientation]) if orientation in turned else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "a.webp" else {}
    assert read(tmp_path, stored, name, exif=exif, **options) == ROWS.tolist()


def test_a_turned_jpeg_changes_sides(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert photographs.read(saved(tmp_path, Image.new("RGB", (8, 4)), "a.jpg", exif=exif)).size == (4, 8)


@pytest.mark.parametrize("junk", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\0\xff"])
def test_damaged_exif_is_no_reason_to_refuse(tmp_path, junk):
    assert photographs.read(saved(tmp_path, Image.new("RGB", (8, 4)), "a.jpg", exif=junk)).size == (8, 4)


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "a.png"])
def test_the_first_frame_of_an_animation(tmp_path, name):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if name == "a.webp" else {}
    assert read(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **options)[0][0] == [255, 0, 0]


def test_a_name_says_nothing_of_the_format(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (1, 1), "red"), "a.png")
    assert photographs.read(path.rename(tmp_path / "a.jpg")).getpixel((0, 0)) == (255, 0, 0)


def cut(name, **options):
    raw = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(raw, name, **options)
    return raw.getvalue()[: len(raw.getvalue()) // 2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a picture in a format known here"),
        (b"just words", "not a picture in a format known here"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture in a format known here"),  # would start Ghostscript
        (b"\0\0\0\x18ftypheic" + bytes(200), "save it as JPEG or PNG"),
        (cut("JPEG"), "cannot be read"),
        (cut("PNG"), "cannot be read"),
        (cut("WEBP", lossless=True), "not a picture|cannot be read"),
        (cut("GIF"), "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_named(tmp_path, content, said):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.jpg: .*({said})") as raised:
        photographs.read(tmp_path / "a.jpg")
    assert "\n" not in str(raised.value)


def test_what_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, said in (
        ("none.jpg", "no such file"),
        ("", "is a folder"),
        ("pipe", "is not a regular file"),
        ("link", "is not a regular file"),
        ("n" * 999, "no such file"),
        ("a\0b", "no such file"),
    ):
        with pytest.raises(UserError, match=said):
            photographs.read(tmp_path / name)


def test_too_many_pixels_are_said_and_many_are_read(tmp_path, monkeypatch):
    many, too_many = (saved(tmp_path, Image.new("RGB", (side, side)), f"{side}.png") for side in (5, 7))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert photographs.read(many).size == (5, 5)
    with pytest.raises(UserError, match=r"7\.png: more than 0 million pixels; save a smaller copy"):
        photographs.read(too_many)


def test_load_keeps_the_order_and_the_cut(tmp_path):
    paths = [saved(tmp_path, Image.new("RGB", (side, 2), (side, 0, 0)), f"{side}.png") for side in (3, 1, 2)]
    found = photographs.load([*paths, paths[0]], lambda image: np.asarray(image)[:1, :1])
    assert [(one.name, one.size, one.crop.tolist()) for one in found] == [
        (f"{side}.png", (side, 2), [[[side, 0, 0]]]) for side in (3, 1, 2, 3)
    ]


def test_files_of_one_name_are_told_apart(tmp_path):
    for folder in ("cats", "dogs/small"):
        (tmp_path / folder).mkdir(parents=True)
        saved(tmp_path / folder, Image.new("RGB", (1, 1)), "1.png")
    found = photographs.load([tmp_path / "cats/1.png", tmp_path / "dogs/small/1.png"], np.asarray)
    assert [one.name for one in found] == ["cats/1.png", "dogs/small/1.png"]


def test_load_names_every_bad_file_and_no_other(tmp_path):
    good = saved(tmp_path, Image.new("RGB", (1, 1)), "good.png")
    (tmp_path / "words.txt").write_text("words")
    with pytest.raises(UserError) as raised:
        photographs.load([tmp_path / "words.txt", good, tmp_path / "none.png"], np.asarray)
    lines = str(raised.value).splitlines()
    assert [line.partition(": ")[0].rpartition("/")[2] for line in lines] == ["words.txt", "none.png"]


def test_names_are_made_printable():
    assert (
        photographs.printable("Käse 猫 \u0645\u06cc\u200c\u062e 👩\u200d🚀.jpg")
        == "Käse 猫 \u0645\u06cc\u200c\u062e 👩\u200d🚀.jpg"
    )
    assert photographs.printable("a\nb\x1b[31m\u202ec\udcffd\ud800") == "a\ufffdb\ufffd[31m\ufffdc\ufffdd\ufffd"
