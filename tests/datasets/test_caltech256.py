"""The reader of Caltech-256 on a tree of its layout. Nothing is downloaded: archives are made here."""

import hashlib
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from zfrepro.datasets import archives, caltech256
from zfrepro.errors import UserError

COUNTS = {"001.ak47": 2, "002.american-flag": 3, "145.motorbikes-101": 1, "257.clutter": 2}


@pytest.fixture
def root(tmp_path):
    fill(tmp_path / "set" / "caltech256")
    return tmp_path / "set"


def fill(path):
    for name, count in COUNTS.items():
        folder = path / "256_ObjectCategories" / name
        folder.mkdir(parents=True)
        for i in range(1, count + 1):
            Image.new("L", (30, 20), 99).save(folder / f"{name[:3]}_{i:04d}.jpg")


def pack(path, archive):
    with tarfile.open(archive, "w") as tar:
        tar.add(path / "caltech256" / "256_ObjectCategories", "256_ObjectCategories")
    return archive


def listed(root, **options):
    return caltech256.listing(caltech256.Spec(root=root, **options))


def test_one_split_without_the_clutter(root):
    listing = listed(root)
    assert listing.classes == ["ak47", "american-flag", "motorbikes-101"]
    assert [(item.key, item.label) for item in listing.splits["all"]] == [
        ("001.ak47/001_0001.jpg", 0),
        ("001.ak47/001_0002.jpg", 0),
        ("002.american-flag/002_0001.jpg", 1),
        ("002.american-flag/002_0002.jpg", 1),
        ("002.american-flag/002_0003.jpg", 1),
        ("145.motorbikes-101/145_0001.jpg", 2),
    ]


def test_clutter_as_a_class(root):
    assert listed(root, clutter=True).classes == ["ak47", "american-flag", "motorbikes-101", "clutter"]
    (root / "caltech256" / "256_ObjectCategories" / "257.clutter").rename(root / "away")
    with pytest.raises(UserError, match=r"no folder 257.clutter; add it or set the option `clutter` to false"):
        listed(root, clutter=True)


def test_titles_are_unique(root):
    categories = root / "caltech256" / "256_ObjectCategories"
    (categories / "145.motorbikes-101").rename(categories / "145.ak47")
    assert listed(root).classes == ["ak47 (001.ak47)", "american-flag", "ak47 (145.ak47)"]


def test_leftovers_in_folders_below_are_not_images(root):
    below = root / "caltech256" / "256_ObjectCategories" / "001.ak47" / "greg" / "old"
    below.mkdir(parents=True)
    Image.new("L", (30, 20)).save(below / "001_0001.jpg")
    assert listed(root) == listed(root, pictures=6)


@pytest.mark.parametrize("inside", ["caltech256", "caltech256/256_ObjectCategories"])
def test_root_may_be_any_folder_on_the_way(root, inside):
    assert listed(root / inside) == listed(root)
    spec = caltech256.Spec(root=root / inside)
    assert caltech256.load(spec, listed(root).splits["all"][0]).image.mode == "RGB"


def test_limits_and_classes_by_title_or_folder(root):
    for name in ("american-flag", "002.american-flag"):
        listing = listed(root, classes=[name], per_class=2)
        assert listing.classes == ["american-flag"]
        assert [item.key[-12:] for item in listing.splits["all"]] == ["002_0001.jpg", "002_0002.jpg"]
    with pytest.raises(UserError, match="no class clutter"):
        listed(root, classes=["clutter"])


def test_the_count_is_checked_before_any_limit(root):
    assert len(listed(root, pictures=6, per_class=1).splits["all"]) == 3
    assert len(listed(root, pictures=8, clutter=True).splits["all"]) == 8
    with pytest.raises(UserError, match=r"contains 6 images in 3 categories, but the option `pictures` is 29780"):
        listed(root, pictures=29780)


def test_wrong_layouts_are_named(root):
    with pytest.raises(UserError, match="contains no folder caltech256/256_ObjectCategories"):
        listed(root / "caltech256" / "256_ObjectCategories" / "001.ak47")
    with pytest.raises(UserError, match="nowhere: no such folder"):
        listed(root / "nowhere")
    (root / "caltech256" / "256_ObjectCategories" / "003.empty").mkdir()
    with pytest.raises(UserError, match=r"no image in class 003.empty"):
        listed(root)


def test_an_archive_is_unpacked_once(root, tmp_path):
    archive = pack(root, tmp_path / "official.tar")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert listed(tmp_path / "new", archive=archive, sha256=digest) == listed(root)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["caltech256"]
    assert listed(tmp_path / "new", archive=tmp_path / "gone.tar") == listed(root)


def test_an_archive_with_another_digest_is_refused(root, tmp_path):
    archive = pack(root, tmp_path / "official.tar")
    with pytest.raises(UserError, match=r"official.tar: its sha256 is"):
        listed(tmp_path / "new", archive=archive, sha256="0" * 64)
    assert not (tmp_path / "new").exists()


def test_a_download_is_torchvisions_address_and_md5(root, tmp_path, monkeypatch):
    def fetch(url, md5, target, sha256):
        assert (url.rpartition("/")[2], md5) == ("256_ObjectCategories.tar", "67b4f42ca05d46448c6bb8ecd2220f6d")
        fill(Path(target))

    monkeypatch.setattr(archives, "download", fetch)
    assert listed(tmp_path / "new", download=True) == listed(root)
    monkeypatch.setattr(archives, "download", None)
    assert listed(root, download=True) == listed(root)


def test_torchvision_has_the_same_address_and_md5():
    import inspect

    from zfrepro.models import torchvision_import

    torchvision_import.ensure()
    from torchvision.datasets import Caltech256

    theirs = inspect.getsource(Caltech256.download)
    assert caltech256.URL in theirs
    assert caltech256.MD5 in theirs
