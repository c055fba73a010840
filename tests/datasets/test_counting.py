"""A plan counts the images that are in a folder; it unpacks nothing, and leaves what is too large to the published numbers."""

import pytest
from PIL import Image

from zfrepro.datasets import caltech101, counting, imagefolder, imagenet
from zfrepro.datasets.counting import count_in_folder


def fill(folder, count, suffix=".JPEG"):
    folder.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (8, 8)).save(folder / f"{i}{suffix}", "JPEG")


@pytest.fixture
def root(tmp_path):
    """ImageNet's layout: 2 classes, 3 and 2 images to train on, 1 each to validate; a file that is none."""
    counting.forget_listings()
    for name, count in (("n01440764", 3), ("n01443537", 2)):
        fill(tmp_path / "train" / name, count)
        fill(tmp_path / "val" / name, 1)
    (tmp_path / "train/n01440764/notes.txt").write_text("no image")
    return tmp_path


def test_what_the_folder_holds_is_counted(root):
    counts = count_in_folder("imagenet", imagenet.Spec(root=root))
    assert (counts.classes, counts.splits, counts.images) == (2, {"train": 5, "val": 2}, 7)
    assert count_in_folder("imagenet", imagenet.Spec(root=root, classes=1, train_per_class=2)).splits == {
        "train": 2,
        "val": 1,
    }
    assert count_in_folder("imagefolder", imagefolder.Spec(root=root)).splits == {"train": 5, "val": 2}


def test_a_folder_without_splits_too(tmp_path):
    counting.forget_listings()
    fill(tmp_path / "101_ObjectCategories/ant", 4, ".jpg")
    assert count_in_folder("caltech101", caltech101.Spec(root=tmp_path)).splits == {"all": 4}


def test_nothing_is_unpacked_downloaded_or_listed_where_that_takes_long(root, tmp_path, monkeypatch):
    monkeypatch.setattr(imagenet, "listing", lambda spec: pytest.fail("was listed"))
    monkeypatch.setattr(caltech101, "listing", lambda spec: pytest.fail("was listed"))
    assert count_in_folder("caltech101", caltech101.Spec(root=tmp_path, download=True)) is None
    assert count_in_folder("imagenet", imagenet.Spec(root=tmp_path / "nowhere")) is None
    monkeypatch.setattr(counting, "MAX_ENTRIES", 5)
    assert count_in_folder("imagenet", imagenet.Spec(root=root)) is None
    (root / "val").rename(root / "later")
    monkeypatch.setattr(counting, "MAX_ENTRIES", 500)
    assert count_in_folder("imagenet", imagenet.Spec(root=root)) is None


def test_a_folder_that_cannot_be_read_has_no_count(tmp_path):
    counting.forget_listings()
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    assert count_in_folder("imagenet", imagenet.Spec(root=tmp_path)) is None
