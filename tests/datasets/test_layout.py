"""Likely mistakes in the layout of one's own images are named, with what fixes them, before anything is decoded."""

import pytest

from zfrepro.datasets import imagefolder
from zfrepro.errors import UserError


def tree(root, *folders):
    """Two empty image files in every folder: listing reads none of them."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in ("1.jpg", "2.jpg"):
            (root / folder / name).write_bytes(b"")
    return root


def listed(root, **options):
    return imagefolder.listing(imagefolder.Spec(root=root, **options))


def mistake(root, **options):
    with pytest.raises(UserError) as raised:
        listed(root, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def both(train, val, *classes):
    return [f"{split}/{name}" for split in (train, val) for name in classes or ("cat", "dog")]


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("training_set", "test_set"),
        ("Train", "Val"),
        ("TRAIN", "VALIDATION"),
        ("training", "testing"),
        ("trainset", "dev"),
    ],
)
def test_splits_under_other_names(tmp_path, train, val):
    tree(tmp_path, *both(train, val))
    options = {"train": train, "val": val}
    assert (
        f"{train}/ and {val}/ look like splits, not classes; set the options `train: {train}` and `val: {val}`"
        in mistake(tmp_path)
    )
    assert "look like splits" in mistake(
        tmp_path, val_fraction=0.5
    )  # would have trained on two classes named as splits
    listing = listed(tmp_path, **options)
    assert listing.classes == ["cat", "dog"]
    assert [item.key for item in listing.splits["train"]][:2] == [f"{train}/cat/1.jpg", f"{train}/cat/2.jpg"]
    assert len(listing.splits["val"]) == 4


@pytest.mark.parametrize(("train", "val"), [("train", "test"), ("Train", "val"), ("train", "valid")])
def test_one_split_under_another_name(tmp_path, train, val):
    tree(tmp_path, *both(train, val))
    option = f"train: {train}" if val == "val" else f"val: {val}"
    assert f"stands for it, set the option `{option}`" in mistake(tmp_path)
    assert len(listed(tmp_path, train=train, val=val).splits["val"]) == 4


def test_validation_comes_before_test(tmp_path):
    tree(tmp_path, *both("Training", "Testing"), "Validation/cat", "Validation/dog")
    assert "`val: Validation`" in mistake(tmp_path)
    listing = listed(tmp_path, train="Training", val="Validation")
    assert listing.left_out == {"in Testing/, which is neither split": 4}


def test_a_split_without_its_partner(tmp_path):
    tree(tmp_path, "train/cat", "train/dog")
    assert "contains train/ but no val/; add it, or name" in mistake(tmp_path)
    assert "divide it with the option `val_fraction`, for example 0.2" in mistake(tmp_path)
    assert len(listed(tmp_path / "train", val_fraction=0.5).splits["val"]) == 2
    tree(tmp_path / "other", "test/cat", "test/dog")
    assert "test/ looks like a split, not a class" in mistake(tmp_path / "other")


def test_options_that_name_no_folder(tmp_path):
    tree(tmp_path, *both("a", "b"))
    assert "contains no folder c; fix the option `val` (folders: a, b)" in mistake(tmp_path, train="a", val="c")
    assert "the options `train` and `val` name the same folder" in mistake(tmp_path, train="a", val="a")
    assert len(listed(tmp_path, train="a", val="b").splits["val"]) == 4


@pytest.mark.parametrize("name", ["train", "val", "test", "Training"])
def test_a_class_may_have_the_name_of_a_split(tmp_path, name):
    tree(tmp_path, "bus", "car", name)
    assert listed(tmp_path).classes == sorted(["bus", "car", name])
    assert len(listed(tmp_path, val_fraction=0.5).splits["train"]) == 3


def test_a_class_train_inside_the_splits(tmp_path):
    tree(tmp_path, *both("train", "val", "bus", "train"))
    listing = listed(tmp_path)
    assert listing.classes == ["bus", "train"]
    assert {split: len(items) for split, items in listing.splits.items()} == {"train": 4, "val": 4}


@pytest.mark.parametrize("splits", [("train", "val"), ("training_set", "test_set"), ("Train", "Val")])
def test_splits_one_level_deeper(tmp_path, splits):
    tree(tmp_path, *(f"data/{folder}" for folder in both(*splits)))
    assert f"the splits are one level deeper; set the option `root` to {tmp_path / 'data'}" in mistake(tmp_path)


def test_classes_one_level_deeper(tmp_path):
    tree(tmp_path, "images/cat", "images/dog")
    message = mistake(tmp_path)
    assert (
        "contains the one folder images/ with folders in it; if those are the classes, set the option `root`" in message
    )
    assert message.endswith(str(tmp_path / "images"))
    tree(tmp_path / "both", *both("train/images", "val/images"))
    assert "set the option `train: train/images`, and the other split's as well" in mistake(tmp_path / "both")
    listing = listed(tmp_path / "both", train="train/images", val="val/images")
    assert (listing.classes, len(listing.splits["val"])) == (["cat", "dog"], 4)


def test_one_class_with_folders_in_it_is_a_class(tmp_path):
    tree(tmp_path, "cat/2024", "cat/2025", "dog")
    assert listed(tmp_path).classes == ["cat", "dog"]
    tree(tmp_path / "one", "cat", "cat/2024", "cat/2025")
    assert listed(tmp_path / "one").classes == ["cat"]


def test_splits_inside_the_classes(tmp_path):
    tree(tmp_path, "cat/train", "cat/val", "dog/train", "dog/val")
    assert "the splits are inside the classes (cat/train/); move them outside, as train/cat/" in mistake(tmp_path)


@pytest.mark.parametrize(
    ("folders", "place"),
    [(["train", "val"], "train/<class>/"), (["train"], "train/<class>/"), (["."], "<class>/"), (["Train", "Test"], "/<class>/"),
     ([*both("train", "x")[:2], "val"], "val/<class>/")],
)  # fmt: skip
def test_images_without_class_folders(tmp_path, folders, place):
    tree(tmp_path, *folders)
    message = mistake(tmp_path)
    assert "contains images directly, without class folders" in message
    assert place in message


def test_hidden_and_helper_folders_do_not_hide_the_layout(tmp_path):
    tree(tmp_path, *both("train", "val"), ".git", "@eaDir", "__MACOSX/train", "train/.ipynb_checkpoints", "val/@eaDir")
    listing = listed(tmp_path)
    assert (listing.classes, len(listing.splits["train"])) == (["cat", "dog"], 4)
    assert sum(listing.left_out.values()) == 10
