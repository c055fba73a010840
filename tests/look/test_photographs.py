"""Photographs are loaded in order, with distinguishable names; files that cannot be read are all listed."""

import numpy as np
import pytest
from PIL import Image

from zfrepro.errors import UserError
from zfrepro.look import photographs


def saved(tmp_path, image, name, **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def test_load_keeps_the_order_and_the_cut(tmp_path):
    paths = [saved(tmp_path, Image.new("RGB", (side, 2), (side, 0, 0)), f"{side}.png") for side in (3, 1, 2)]
    loaded = photographs.load([*paths, paths[0]], lambda image: np.asarray(image)[:1, :1])
    assert [(photograph.name, photograph.size, photograph.crop.tolist()) for photograph in loaded] == [
        (f"{side}.png", (side, 2), [[[side, 0, 0]]]) for side in (3, 1, 2, 3)
    ]


def test_files_of_the_same_name_are_distinguished(tmp_path):
    for folder in ("cats", "dogs/small"):
        (tmp_path / folder).mkdir(parents=True)
        saved(tmp_path / folder, Image.new("RGB", (1, 1)), "1.png")
    loaded = photographs.load([tmp_path / "cats/1.png", tmp_path / "dogs/small/1.png"], np.asarray)
    assert [photograph.name for photograph in loaded] == ["cats/1.png", "dogs/small/1.png"]


def test_load_names_every_bad_file_and_no_other(tmp_path):
    good = saved(tmp_path, Image.new("RGB", (1, 1)), "good.png")
    (tmp_path / "words.txt").write_text("words")
    with pytest.raises(UserError) as raised:
        photographs.load([tmp_path / "words.txt", good, tmp_path / "none.png"], np.asarray)
    lines = str(raised.value).splitlines()
    assert [line.partition(": ")[0].rpartition("/")[2] for line in lines] == ["words.txt", "none.png"]


def test_photographs_are_upright_and_transparency_lies_on_white(tmp_path):
    """Read by the one decoder that also prepares the data sets (tests/datasets/test_decoding.py)."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, Image.new("RGBA", (8, 4), (0, 0, 0, 0)), "a.png", exif=exif)
    (photograph,) = photographs.load([path], np.asarray)
    assert photograph.size == (4, 8)
    assert (photograph.crop == 255).all()


def test_a_name_that_cannot_be_printed_is_named_all_the_same(tmp_path):
    (tmp_path / "a\x1b[31m.png").write_text("words")
    with pytest.raises(UserError, match=r"a\ufffd\[31m\.png: not an image"):
        photographs.load([tmp_path / "a\x1b[31m.png"], np.asarray)
