"""Annotation files: what they say arrives in stored pixels, and whatever is wrong is named with its line."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from zfrepro.datasets import part_annotations
from zfrepro.datasets.part_annotations import AnnotatedImage
from zfrepro.errors import UserError

HEADER = "image,part,x0,y0,x1,y1"
WHOLE = (0, 0, 16, 16)  # the view is all of the stored image


def lines(name, right="4,4,8,8", left="12,4,16,8", nose="8,12,12,16"):
    return [f"{name},right eye,{right}", f"{name},left eye,{left}", f"{name},nose,{nose}"]


@pytest.fixture
def folder(tmp_path):
    """one.png 32 x 32 and two.png 40 x 32, whose centred square is columns 4 to 36."""
    generator = np.random.default_rng(0)
    for name, width in (("one", 32), ("two", 40)):
        Image.fromarray(generator.integers(0, 256, (32, width, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def read(folder, rows, view=WHOLE, header=HEADER, **options):
    path = folder / "parts.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding=options.pop("encoding", "utf-8"))
    return part_annotations.read_csv(path, options.pop("root", None), 16, view)


def test_boxes_and_pixels_are_those_of_the_stored_square(folder):
    first, second = read(folder, [*lines("one.png"), *lines("two.png"), "two.png,object,2,0,20,32"])
    assert (first.file, first.label, first.pixels.shape) == ("one.png", None, (16, 16, 3))
    assert first.parts == {"right eye": (2, 2, 4, 4), "left eye": (6, 2, 8, 4), "nose": (4, 6, 6, 8)}  # 32 px become 16
    assert first.object is None
    assert second.parts["right eye"] == (0, 2, 2, 4)  # 4 px less on the left, then half
    assert second.object == (0, 0, 8, 16)  # clipped at the square's edge
    with Image.open(folder / "two.png") as image:
        expected = image.crop((4, 0, 36, 32)).resize((16, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(
        second.pixels[:, 2:-2], np.asarray(expected)[:, 2:-2]
    )  # the filter sees beyond the crop's edge


def test_boxes_are_of_the_image_as_it_is_shown(folder):
    """Stored lying, to be shown turned: the red pixel block at the top left of what is seen is in the eye's box."""
    upright = np.zeros((32, 32, 3), dtype=np.uint8)
    upright[4:8, 20:28] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(upright)).save(folder / "turned.png", exif=exif)
    turned, _ = read(folder, [*lines("turned.png", right="20,4,28,8"), *lines("one.png")])
    x0, y0, x1, y1 = map(int, turned.parts["right eye"])
    assert (x0, y0, x1, y1) == (10, 2, 14, 4)
    inside = np.zeros((16, 16), dtype=bool)
    inside[y0:y1, x0:x1] = True
    assert turned.pixels[inside, 0].min() > 200
    assert turned.pixels[~inside, 0].mean() < 10


def test_names_are_relative_to_the_file_or_to_the_root(folder):
    below = folder / "marks"
    below.mkdir()
    rows = [*lines("one.png"), *lines("two.png")]
    assert len(read(below, rows, root=folder)) == 2
    with pytest.raises(UserError, match=r"parts.csv, line 2: .*marks/one.png: no such file"):
        read(below, rows)


def test_spaces_empty_lines_and_a_byte_order_mark_do_not_matter(folder):
    rows = ["", *(row.replace(",", " , ") for row in lines("one.png")), ",,,,,", *lines("two.png")]
    assert [photograph.file for photograph in read(folder, rows, encoding="utf-8-sig")] == ["one.png", "two.png"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["one.png,ear,1,1,2,2"], r"line 2: unknown part 'ear'; use one of right eye, left eye, nose, object"),
        (["one.png,nose,1,1,two,2"], r"line 2: '1,1,two,2' is not four numbers"),
        (["one.png,nose,1,1,nan,2"], r"line 2: '1,1,nan,2' is not four numbers"),
        (["one.png,nose,1,1,2"], r"line 2: 5 values instead of 6: image,part,x0,y0,x1,y1"),
        (["", "one.png,nose,4,4,4,8"], r"line 3: the box is empty; x1 must be larger than x0"),
        (["one.png,nose,4,8,6,8"], r"line 2: the box is empty"),
        ([*lines("one.png"), "one.png,nose,1,1,2,2"], r"line 5: one.png: nose is already in line 4"),
        ([*lines("two.png"), *lines("one.png")[:1]], r"line 5: one.png: no box for left eye and nose"),
        (lines("one.png"), r"parts.csv: annotates 1 images, but pairs are compared; annotate at least 2"),
        ([], r"annotates 0 images"),
        ([*lines("one.png"), *lines("gone.png")], r"line 5: .*gone.png: no such file"),
        ([*lines("one.png"), *lines("parts.csv")], r"line 5: .*parts.csv: not an image in a supported format"),
        ([*lines("two.png"), *lines("one.png", nose="20,20,33,30")], r"line 7: one.png: nose lies outside the image, 32 x 32"),
        ([*lines("one.png"), *lines("two.png", left="30,4,37,8")], r"line 6: two.png: left eye lies outside what the network sees, x 4"),
        ([*lines("two.png"), 'one.png,"nose,1,1,2,2'], r"parts.csv, line 5: not CSV .unexpected end of data"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(folder, rows, message):
    with pytest.raises(UserError, match=message) as raised:
        read(folder, rows)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("header", ["", "image,part,x,y,w,h", "image;part;x0;y0;x1;y1", "part,image,x0,y0,x1,y1"])
def test_another_header_is_named(folder, header):
    with pytest.raises(UserError, match=r"line 1: the header is .*; it must be image,part,x0,y0,x1,y1"):
        read(folder, lines("one.png"), header=header)


def test_a_missing_file_and_other_encodings_are_named(folder):
    with pytest.raises(UserError, match=r"none.csv: no such annotation file"):
        part_annotations.read_csv(folder / "none.csv", None, 16, WHOLE)
    with pytest.raises(UserError, match=r"parts.csv, line 2: not text in UTF-8 .byte 0xe4.; save the file in UTF-8"):
        read(folder, lines("Bär.png"), encoding="latin-1")


def test_a_copy_of_another_size_is_refused(folder):
    """Its marks would be in the wrong places: two.png is 40 x 32."""
    same = [*lines("one.png"), *lines("two.png"), "two.png,image,0,0,40,32"]
    assert len(read(folder, same)) == 2
    with pytest.raises(
        UserError, match=r"line 8: two.png: has 40 x 32 pixels, but its parts were marked in an image of 80 x 64"
    ):
        read(folder, [*same[:-1], "two.png,image,0,0,80,64"])


def test_a_part_must_lie_in_the_centre_view(folder):
    rows = [*lines("one.png"), *lines("two.png", right="8,4,12,8")]
    assert (
        len(read(folder, rows, view=(2, 2, 14, 14))) == 2
    )  # one.png's right eye begins at 2, two.png's at (8 - 4) / 2 = 2
    with pytest.raises(UserError, match=r"line 2: one.png: right eye .* x 6 to 26 and y 6 to 26; crop the image"):
        read(folder, rows, view=(3, 3, 13, 13))


class Prepared:
    """As much of a prepared set as `read_prepared` looks at: images 0, 1 in train, 2, 3, 4 in val."""

    classes = ["cat", "dog"]  # noqa: RUF012
    splits = {"train": (0, 2), "val": (2, 5)}  # noqa: RUF012
    all_images = np.arange(5 * 16 * 16 * 3, dtype=np.int64).reshape(5, 16, 16, 3)

    def parts(self):
        rows = [(0, "nose", 1, 1, 2, 2), (3, "nose", 4, 5, 6, 7), (3, "wheel", 0, 0, 1, 1), (4, "tail", 0, 0, 1, 1)]
        rows += [(2, name, 2 + i, 2, 4 + i, 4) for i, name in enumerate(part_annotations.PARTS)]
        return pd.DataFrame(rows, columns=["image", "part", "x0", "y0", "x1", "y1"])

    def labels(self, split):
        return np.array([1, 0, 0])

    def files(self, split):
        return np.array(["a", "b", "c"])

    def boxes(self, split):
        return np.array([[1, 1, 9, 9], [np.nan] * 4, [0, 0, 1, 1]], dtype=np.float32)


def test_the_parts_of_a_prepared_set():
    first, second = part_annotations.read_prepared(Prepared(), "val")
    assert (first.file, first.label, first.object) == ("a", "dog", (1, 1, 9, 9))
    assert first.parts["left eye"] == (3, 2, 5, 4)
    assert np.array_equal(first.pixels, Prepared.all_images[2])
    assert (second.file, second.parts, second.object) == ("b", {"nose": (4, 5, 6, 7)}, None)


def test_a_view_cuts_pixels_and_boxes_alike():
    first, second = part_annotations.read_prepared(Prepared(), "val")
    cut = first.cut((2, 1, 12, 11))
    assert np.array_equal(cut.pixels, first.pixels[1:11, 2:12])
    assert cut.parts["right eye"] == (0, 1, 2, 3)
    assert cut.object == (-1, 0, 7, 8)
    assert first.cut((3, 1, 13, 11)) is None  # the right eye begins at 2
    assert second.cut((0, 0, 16, 16)) is None  # only a nose
    without = AnnotatedImage("x", None, first.pixels, first.parts, None).cut((2, 1, 12, 11))
    assert without.object is None
