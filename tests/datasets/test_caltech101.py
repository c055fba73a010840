"""The reader of Caltech-101 on a tree of its layout; the download is torchvision's and is only shown to be called."""

import pytest
from PIL import Image

from zfrepro.datasets import caltech101
from zfrepro.errors import UserError
from zfrepro.models import torchvision_import


@pytest.fixture
def root(tmp_path):
    fill(tmp_path)
    return tmp_path


def fill(root):
    for name, count in (("BACKGROUND_Google", 2), ("ant", 3), ("Faces", 2)):
        folder = root / "caltech101" / "101_ObjectCategories" / name
        folder.mkdir(parents=True)
        for i in range(1, count + 1):
            Image.new("L", (30, 20), 99).save(folder / f"image_{i:04d}.jpg")


def listed(root, **options):
    return caltech101.listing(caltech101.Spec(root=root, **options))


def test_one_split_without_the_background(root):
    listing = listed(root)
    assert listing.classes == ["Faces", "ant"]
    assert [(item.key, item.label) for item in listing.splits["all"]] == [
        ("Faces/image_0001.jpg", 0),
        ("Faces/image_0002.jpg", 0),
        ("ant/image_0001.jpg", 1),
        ("ant/image_0002.jpg", 1),
        ("ant/image_0003.jpg", 1),
    ]


def test_background_as_a_class(root):
    listing = listed(root, background=True)
    assert listing.classes == ["BACKGROUND_Google", "Faces", "ant"]
    assert len(listing.splits["all"]) == 7


def test_background_asked_for_and_missing(root):
    (root / "caltech101" / "101_ObjectCategories" / "BACKGROUND_Google").rename(root / "away")
    with pytest.raises(UserError, match="no folder BACKGROUND_Google"):
        listed(root, background=True)


@pytest.mark.parametrize("inside", ["caltech101", "caltech101/101_ObjectCategories"])
def test_root_may_be_any_folder_on_the_way(root, inside):
    assert listed(root / inside) == listed(root)
    spec = caltech101.Spec(root=root / inside)
    assert caltech101.load(spec, listed(root).splits["all"][0]).image.mode == "RGB"


def test_limits(root):
    listing = listed(root, classes=["ant"], per_class=2)
    assert [item.key for item in listing.splits["all"]] == ["ant/image_0001.jpg", "ant/image_0002.jpg"]


def test_wrong_layouts_are_named(root):
    with pytest.raises(UserError, match="contains no folder caltech101/101_ObjectCategories"):
        listed(root / "caltech101" / "101_ObjectCategories" / "ant")
    (root / "caltech-101.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"caltech-101.zip: is a file, not a folder; unpack it if it is an archive"):
        listed(root / "caltech-101.zip")
    (root / "caltech101" / "101_ObjectCategories" / "empty").mkdir()
    with pytest.raises(UserError, match=r"no image in class empty"):
        listed(root)


@pytest.fixture
def reader(monkeypatch):
    torchvision_import.ensure()
    import torchvision.datasets

    return lambda function: monkeypatch.setattr(torchvision.datasets, "Caltech101", function)


def test_a_download_appears_whole(tmp_path, reader):
    from pathlib import Path

    reader(lambda root, download: fill(Path(root)))
    assert len(listed(tmp_path / "new", download=True).splits["all"]) == 5
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["caltech101"]


def test_a_failed_download_is_named_and_leaves_nothing(tmp_path, reader):
    def fail(root, download):
        raise OSError("no route to host")

    reader(fail)
    with pytest.raises(UserError, match=r"caltech101: cannot be downloaded \(no route to host\)"):
        listed(tmp_path, download=True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_downloaded_when_it_is_there(root, reader):
    reader(None)
    assert listed(root, download=True) == listed(root)
