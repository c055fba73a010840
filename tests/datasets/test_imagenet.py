"""The reader of ImageNet on a tree of torchvision's layout, and from archives made like the official ones."""

import hashlib
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from zfrepro.datasets import imagenet
from zfrepro.errors import UserError
from zfrepro.models import torchvision_import

WNIDS = {"n01440764": "tench, Tinca tinca", "n02012849": "crane", "n03126707": "crane"}
VAL = [3, 1, 2, 1]  # ILSVRC2012_ID of the validation images, in order
KIT = "ILSVRC2012_devkit_t12.tar.gz"


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), "olive").save(buffer, "JPEG")
    return buffer.getvalue()


def pack(target, files: dict[str, bytes], mode="w"):
    with tarfile.open(target, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def inner_tar(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for i in range(2):
            member = tarfile.TarInfo(f"{name}_{i}.JPEG")
            member.size = len(jpeg())
            archive.addfile(member, io.BytesIO(jpeg()))
    return buffer.getvalue()


def meta_mat() -> bytes:
    from scipy.io import savemat

    rows = [(i, name, words, "", 0) for i, (name, words) in enumerate(WNIDS.items(), 1)]
    rows.append((1001, "n00001740", "entity", "", 3))  # an inner node of the tree: no class
    names = ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children")
    buffer = io.BytesIO()
    savemat(buffer, {"synsets": np.array(rows, dtype=[(name, object) for name in names])})
    return buffer.getvalue()


@pytest.fixture
def tree(tmp_path):
    for split, count in (("train", 2), ("val", 1)):
        for name in WNIDS:
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(count):
                (tmp_path / split / name / f"{name}_{i}.JPEG").write_bytes(jpeg())
    return tmp_path


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """The three official files in small, with their checksums given to torchvision."""
    pack(tmp_path / "ILSVRC2012_img_train.tar", {f"{name}.tar": inner_tar(name) for name in WNIDS})
    pack(tmp_path / "ILSVRC2012_img_val.tar", {f"ILSVRC2012_val_{i:08d}.JPEG": jpeg() for i in range(1, len(VAL) + 1)})
    data = "ILSVRC2012_devkit_t12/data"
    truth = "".join(f"{number}\n" for number in VAL).encode()
    kit = {f"{data}/meta.mat": meta_mat(), f"{data}/ILSVRC2012_validation_ground_truth.txt": truth}
    pack(tmp_path / KIT, kit, "w:gz")
    torchvision_import.ensure()
    from torchvision.datasets import imagenet as reader

    for split, name in (("train", "ILSVRC2012_img_train.tar"), ("val", "ILSVRC2012_img_val.tar"), ("devkit", KIT)):
        digest = hashlib.md5((tmp_path / name).read_bytes()).hexdigest()
        monkeypatch.setitem(reader.ARCHIVE_META, split, (name, digest))
    return tmp_path


def listed(root, **options):
    return imagenet.listing(imagenet.Spec(root=root, **options))


def test_without_the_devkit_classes_are_called_by_wnid(tree):
    listing = listed(tree)
    assert listing.classes == list(WNIDS)
    assert [item.key for item in listing.splits["val"]] == [f"val/{name}/{name}_0.JPEG" for name in WNIDS]
    assert [item.label for item in listing.splits["train"]] == [0, 0, 1, 1, 2, 2]


def test_subsets(tree):
    listing = listed(tree, classes=2, train_per_class=1)
    assert listing.classes == ["n01440764", "n02012849"]
    assert [item.key for item in listing.splits["train"]] == [
        f"train/{n}/{n}_0.JPEG" for n in ("n01440764", "n02012849")
    ]
    assert listed(tree, classes=["n03126707"]).classes == ["n03126707"]


def test_exif_orientation_is_obeyed(tree):
    path = tree / "train" / "n01440764" / "n01440764_0.JPEG"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(path, exif=exif)
    spec = imagenet.Spec(root=tree)
    assert imagenet.load(spec, imagenet.listing(spec).splits["train"][0]).image.size == (20, 30)


def test_archives_are_unpacked_named_and_sorted_into_classes(archives, capsys):
    listing = listed(archives)
    assert listing.classes == ["tench", "crane (n02012849)", "crane (n03126707)"]
    assert len(listing.splits["train"]) == 6
    assert [(item.key, item.label) for item in listing.splits["val"]] == [
        ("val/n01440764/ILSVRC2012_val_00000002.JPEG", 0),
        ("val/n01440764/ILSVRC2012_val_00000004.JPEG", 0),
        ("val/n02012849/ILSVRC2012_val_00000003.JPEG", 1),
        ("val/n03126707/ILSVRC2012_val_00000001.JPEG", 2),
    ]
    assert capsys.readouterr().out.count("unpacking") == 2
    assert listed(archives, classes=["tench"]).classes == ["tench"]
    assert capsys.readouterr().out == ""


def test_a_stopped_unpacking_is_done_again(archives):
    (archives / ".train.unpacking").mkdir()
    (archives / ".train.unpacking" / "n01440764.tar").write_bytes(b"half")
    assert len(listed(archives).splits["train"]) == 6
    assert not (archives / ".train.unpacking").exists()


def test_a_damaged_archive_is_named_and_never_half_taken(archives):
    archive = archives / "ILSVRC2012_img_train.tar"
    archive.write_bytes(archive.read_bytes()[:-600])
    with pytest.raises(UserError, match=r"ILSVRC2012_img_train.tar: damaged or not the official archive"):
        listed(archives)
    assert not (archives / "train").exists()


def test_the_validation_archive_needs_the_devkit(archives):
    (archives / KIT).unlink()
    with pytest.raises(UserError, match=f"{KIT}: no such file"):
        listed(archives)


def test_a_folder_where_the_archive_should_be(tmp_path):
    (tmp_path / "ILSVRC2012_img_train.tar").mkdir()
    with pytest.raises(UserError, match=r"ILSVRC2012_img_train.tar: is a folder; .*expected: the official archive"):
        listed(tmp_path)


def test_neither_folders_nor_archives(tmp_path):
    with pytest.raises(
        UserError, match=r"contains neither train/ nor ILSVRC2012_img_train.tar; .*expected: .*train/<wnid>"
    ):
        listed(tmp_path)


def test_the_archive_given_as_root(archives):
    with pytest.raises(UserError, match=r"ILSVRC2012_img_val.tar: is a file, not a folder"):
        listed(archives / "ILSVRC2012_img_val.tar")


def test_validation_images_that_were_unpacked_flat(tree):
    for path in (tree / "val").glob("*/*"):
        path.rename(tree / "val" / path.name)
    for path in (tree / "val").glob("n*/"):
        if path.is_dir():
            path.rmdir()
    with pytest.raises(UserError, match="val: contains no class folders"):
        listed(tree)


def test_a_damaged_meta_file_is_named(tree):
    (tree / "meta.bin").write_bytes(b"no pickle")
    with pytest.raises(UserError, match=r"meta.bin: cannot be read"):
        listed(tree)


def test_an_empty_class_is_named(tree):
    (tree / "val" / "n03126707" / "n03126707_0.JPEG").unlink()
    with pytest.raises(UserError, match=r"val: no image in class n03126707"):
        listed(tree)
