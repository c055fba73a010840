"""The reader of one's own images, and what it shares with the other folder readers: bad layouts, odd files."""

import pickle

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from zfrepro.datasets import imagefolder
from zfrepro.datasets.base import Item
from zfrepro.errors import UserError

BLUE = (51, 102, 204)  # a colour of the web palette, so that it survives one


def save_image(path, colour=BLUE, size=(24, 20), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, **options)
    return path


@pytest.fixture
def split_tree(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        for name in ("cat", "ant", "bee"):
            for i in range(count):
                save_image(tmp_path / split / name / f"{i}.jpg")
    return tmp_path


@pytest.fixture
def whole_tree(tmp_path):
    for name, count in (("ant", 5), ("bee", 10)):
        for i in range(count):
            save_image(tmp_path / name / f"{i}.png")
    return tmp_path


def listed(root, **options):
    return imagefolder.listing(imagefolder.Spec(root=root, **options))


def keys(items):
    return [item.key for item in items]


def test_splits_list_sorted_classes_and_images(split_tree):
    listing = listed(split_tree)
    assert listing.classes == ["ant", "bee", "cat"]
    assert keys(listing.splits["val"]) == [f"val/{c}/{i}.jpg" for c in ("ant", "bee", "cat") for i in (0, 1)]
    assert [item.label for item in listing.splits["train"]] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_limits_take_the_first_in_sorted_order(split_tree):
    listing = listed(split_tree, classes=2, train_per_class=1, val_per_class=1)
    assert listing.classes == ["ant", "bee"]
    assert keys(listing.splits["train"]) == ["train/ant/0.jpg", "train/bee/0.jpg"]
    assert keys(listing.splits["val"]) == ["val/ant/0.jpg", "val/bee/0.jpg"]


def test_classes_by_name_and_an_unknown_name(split_tree):
    assert listed(split_tree, classes=["cat", "ant"]).classes == ["ant", "cat"]
    with pytest.raises(UserError, match="no class dog; choose in the option `classes` from ant, bee, cat"):
        listed(split_tree, classes=["dog"])
    with pytest.raises(UserError, match="contains 3 classes, but the option `classes` is 4"):
        listed(split_tree, classes=4)


def test_without_train_and_val_there_is_one_split(whole_tree):
    assert {name: len(items) for name, items in listed(whole_tree).splits.items()} == {"all": 15}
    assert len(listed(whole_tree, per_class=4).splits["all"]) == 8


def test_val_fraction_divides_every_class_the_same_way_each_time(whole_tree):
    listing = listed(whole_tree, val_fraction=0.2)
    assert keys(listing.splits["val"]) == ["ant/4.png", "bee/8.png", "bee/9.png"]
    assert len(listing.splits["train"]) == 12
    assert not set(keys(listing.splits["train"])) & set(keys(listing.splits["val"]))
    assert listing == listed(whole_tree, val_fraction=0.2)


def test_a_tiny_fraction_still_gives_each_class_one_to_validate_on(whole_tree):
    assert keys(listed(whole_tree, val_fraction=0.001).splits["val"]) == ["ant/4.png", "bee/9.png"]


def test_one_image_cannot_be_divided(whole_tree):
    save_image(whole_tree / "cow" / "only.png")
    with pytest.raises(UserError, match=r"cow: contains one image, which val_fraction cannot divide"):
        listed(whole_tree, val_fraction=0.5)


def test_every_usual_ending_counts_and_hidden_files_do_not(tmp_path):
    for ending in ("JPG", "jpeg", "PNG", "webp", "bmp", "tif"):
        save_image(tmp_path / "ant" / f"a.{ending}")
    (tmp_path / "ant" / "notes.txt").write_text("not an image")
    (tmp_path / "ant" / "._a.jpg").write_text("a Mac's shadow file")
    (tmp_path / ".cache").mkdir()
    assert keys(listed(tmp_path).splits["all"]) == [
        f"ant/a.{ending}" for ending in ("JPG", "PNG", "bmp", "jpeg", "tif", "webp")
    ]


def test_wrong_layouts_are_named(tmp_path, split_tree):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        listed(tmp_path / "nowhere")
    archive = tmp_path / "images.tar"
    archive.write_bytes(b"")
    with pytest.raises(UserError, match=r"images.tar: is a file, not a folder; unpack it if it is an archive"):
        listed(archive)
    with pytest.raises(UserError, match="ant: contains images directly, without class folders"):
        listed(split_tree / "train" / "ant")


def test_train_without_val(tmp_path):
    save_image(tmp_path / "train" / "ant" / "0.jpg")
    with pytest.raises(UserError, match="contains train/ but no val/"):
        listed(tmp_path)


def test_a_class_in_only_one_split(split_tree):
    save_image(split_tree / "val" / "dog" / "0.jpg")
    with pytest.raises(UserError, match="class dog is in only one of train/ and val/"):
        listed(split_tree)


def test_an_empty_class_is_named(split_tree):
    for path in (split_tree / "val" / "bee").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"val: no image in class bee"):
        listed(split_tree)


def test_options_that_would_be_ignored_are_refused(split_tree):
    with pytest.raises(UserError, match="`val_fraction` does not apply"):
        listed(split_tree, val_fraction=0.1)
    with pytest.raises(UserError, match="`train_per_class` does not apply"):
        listed(split_tree / "train", train_per_class=1)


@pytest.mark.parametrize("wrong", [{"clases": 2}, {"classes": 0}, {"val_fraction": 1}, {"train_per_class": -1}])
def test_wrong_options_are_refused(tmp_path, wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        imagefolder.Spec(root=tmp_path, **wrong)


def loaded(path):
    return imagefolder.load(imagefolder.Spec(root=path.parent), Item(path.name, 0)).image


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("cmyk.jpg", "CMYK", {}),
        ("png_in_truth.jpg", "RGB", {"format": "PNG"}),
        ("palette.png", "P", {}),
        ("transparent_palette.png", "P", {"transparency": b"\x00\xff"}),
        ("alpha.webp", "RGBA", {"lossless": True}),
    ],
)
def test_colour_images_of_every_kind_become_rgb(tmp_path, name, mode, options):
    image = loaded(save_image(tmp_path / name, mode=mode, **options))
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image)[9, 9], BLUE, atol=3)


def test_grey_becomes_three_equal_channels(tmp_path):
    pixels = np.asarray(loaded(save_image(tmp_path / "grey.jpg", (90, 90, 90), mode="L")))
    assert pixels.shape == (20, 24, 3)
    np.testing.assert_allclose(pixels, 90, atol=1)


def test_orientation_is_obeyed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    image = Image.new("RGB", (32, 16), "white")
    image.paste("black", (0, 0, 16, 16))  # left half, which becomes the upper one
    image.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    turned = np.asarray(loaded(tmp_path / "turned.jpg"))
    assert turned.shape == (32, 16, 3)
    assert turned[:14].max() < 30
    assert turned[18:].min() > 220


def test_settings_can_be_sent_to_a_worker_process(tmp_path):
    spec = imagefolder.Spec(root=tmp_path)
    assert pickle.loads(pickle.dumps(spec)) == spec
