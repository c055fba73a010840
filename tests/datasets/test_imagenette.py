"""The reader of Imagenette on a tree of its layout; the download is torchvision's and is only shown to be called."""

from pathlib import Path

import pytest
from PIL import Image

from zfrepro.datasets import imagenette
from zfrepro.errors import UserError
from zfrepro.models import torchvision_import


def fill(root, folder="imagenette2-320"):
    for split, count in (("train", 2), ("val", 1)):
        for name in ("n01440764", "n03888257", "n00000001"):
            (root / folder / split / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (30, 20)).save(root / folder / split / name / f"{name}_{i}.JPEG")


def listed(root, **options):
    return imagenette.listing(imagenette.Spec(root=root, **options))


def test_classes_have_human_names_and_an_unknown_one_its_own(tmp_path):
    fill(tmp_path)
    listing = listed(tmp_path)
    assert listing.classes == ["n00000001", "tench", "parachute"]
    assert [item.label for item in listing.splits["train"]] == [0, 0, 1, 1, 2, 2]
    assert listing.splits["val"][1].key == "val/n01440764/n01440764_0.JPEG"


def test_ten_names():
    assert len(set(imagenette.TITLES.values())) == 10


@pytest.mark.parametrize(("edition", "folder"), [("full", "imagenette2"), ("160px", "imagenette2-160")])
def test_editions(tmp_path, edition, folder):
    fill(tmp_path, folder)
    spec = imagenette.Spec(root=tmp_path, edition=edition)
    assert imagenette.load(spec, imagenette.listing(spec).splits["val"][0]).image.size == (30, 20)


def test_root_may_be_the_folder_itself(tmp_path):
    fill(tmp_path)
    assert listed(tmp_path / "imagenette2-320") == listed(tmp_path)


def test_subsets_by_human_name(tmp_path):
    fill(tmp_path)
    listing = listed(tmp_path, classes=["tench"], train_per_class=1)
    assert [item.key for item in listing.splits["train"]] == ["train/n01440764/n01440764_0.JPEG"]


def test_wrong_layouts_are_named(tmp_path):
    with pytest.raises(
        UserError, match=r"contains no folder imagenette2-320 with train/; .*\(expected: imagenette2-320"
    ):
        listed(tmp_path)
    (tmp_path / "imagenette2-320.tgz").write_bytes(b"")
    with pytest.raises(UserError, match=r"imagenette2-320.tgz: is a file, not a folder; unpack it if it is an archive"):
        listed(tmp_path / "imagenette2-320.tgz")


def test_val_without_a_class(tmp_path):
    fill(tmp_path)
    folder = tmp_path / "imagenette2-320" / "val" / "n03888257"
    folder.rename(tmp_path / "away")
    with pytest.raises(UserError, match="val/n03888257: no such folder"):
        listed(tmp_path)


@pytest.fixture
def reader(monkeypatch):
    torchvision_import.ensure()
    import torchvision.datasets

    return lambda function: monkeypatch.setattr(torchvision.datasets, "Imagenette", function)


def test_a_download_appears_whole(tmp_path, reader):
    reader(lambda root, size, download: fill(Path(root), "imagenette2-160"))
    assert len(listed(tmp_path, download=True, edition="160px").classes) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["imagenette2-160"]


def test_a_failed_download_is_named_and_leaves_nothing(tmp_path, reader):
    def fail(root, size, download):
        raise RuntimeError("File not found or corrupted.")

    reader(fail)
    with pytest.raises(UserError, match=r"imagenette2-320: cannot be downloaded \(File not found"):
        listed(tmp_path, download=True)
    assert list(tmp_path.iterdir()) == []
