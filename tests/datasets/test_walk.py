"""One walk for all readers: each real folder once, hidden and helper files skipped, everything left out counted."""

import importlib
import json
import os

import pytest
from PIL import Image

from zfrepro.datasets import imagefolder, walk
from zfrepro.errors import UserError


def save(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


@pytest.fixture
def animals(tmp_path):
    return save(tmp_path / "animals", *(f"{name}/{i}.jpg" for name in ("cat", "dog") for i in range(4)))


def listed(root, **options):
    return imagefolder.listing(imagefolder.Spec(root=root, **options))


def counts(listing):
    """Images of each class, over all splits."""
    labels = [item.label for items in listing.splits.values() for item in items]
    return {name: labels.count(label) for label, name in enumerate(listing.classes)}


HELPERS = [
    (".ipynb_checkpoints", "in a hidden folder"),
    (".thumbnails", "in a hidden folder"),
    (".Trash-1000/files", "in a hidden folder"),
    ("@eaDir", "in a helper folder (@eaDir)"),
    ("__MACOSX", "in a helper folder (__MACOSX)"),
    ("$RECYCLE.BIN", "in a helper folder ($RECYCLE.BIN)"),
    ("lost+found", "in a helper folder (lost+found)"),
    ("#recycle", "in a helper folder (#recycle)"),
    ("System Volume Information", "in a helper folder (System Volume Information)"),
]


@pytest.mark.parametrize(("name", "reason"), HELPERS)
@pytest.mark.parametrize("depth", ["", "cat/", "cat/kittens/young/"])
def test_hidden_and_helper_folders_are_skipped_at_any_depth(animals, name, reason, depth):
    save(animals, *(f"{depth}{name}/{i}.jpg" for i in range(4)))
    listing = listed(animals)
    assert counts(listing) == {"cat": 4, "dog": 4}
    assert listing.left_out == {reason: 4}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("._1.jpg", "hidden file"),
        (".DS_Store", "hidden file"),
        ("Thumbs.db", "helper file of the system"),
        ("desktop.ini", "helper file of the system"),
        ("Icon\r", "helper file of the system"),
        ("notes.txt", "not an image (.txt)"),
        ("README", "no file ending"),
        ("scan.PSD", "format .psd not readable; save as JPEG or PNG"),
        ("raw.cr2", "format .cr2 not readable; save as JPEG or PNG"),
        ("1.jpg.part", "not an image (.part)"),
    ],
)
def test_files_that_are_no_images_are_counted_by_reason(animals, name, reason):
    save(animals, f"cat/{name}", f"dog/deep/{name}")
    listing = listed(animals)
    assert counts(listing) == {"cat": 4, "dog": 4}
    assert listing.left_out == {reason: 2}


def test_every_ending_that_pillow_reads_is_taken(animals):
    save(animals, *(f"cat/a.{ending}" for ending in ("GIF", "jfif", "JPE", "jp2", "avif", "webp", "mpo")))
    listing = listed(animals)
    assert counts(listing) == {"cat": 11, "dog": 4}
    assert listing.left_out == {}


def link(where, target):
    where.parent.mkdir(parents=True, exist_ok=True)
    where.symlink_to(target, target_is_directory=True)


@pytest.mark.parametrize(
    ("where", "target"),
    [
        ("cat/again", "."),  # the class folder itself
        ("cat/deep/up", ".."),
        ("cat/everything", ".."),  # the data set's folder
        ("cat/sibling", "../dog"),
        ("cat/inner", "../dog/puppies"),
    ],
)
def test_a_link_to_what_is_read_already_is_not_followed(animals, where, target):
    save(animals, "dog/puppies/5.jpg")
    link(animals / where, target)
    listing = listed(animals)
    assert counts(listing) == {"cat": 4, "dog": 5}
    assert listing.left_out == {"link to a folder that is read already": 1}


def test_a_link_that_leads_elsewhere_is_followed_once(animals, tmp_path):
    save(tmp_path / "more", "5.jpg", "6.jpg", "deep/7.jpg")
    link(tmp_path / "more/deep/back", tmp_path / "more")
    for name in ("cat/more", "cat/same", "dog/same"):
        link(animals / name, tmp_path / "more")
    listing = listed(animals)
    assert counts(listing) == {"cat": 7, "dog": 4}
    assert listing.left_out == {"link to a folder that is read already": 3}


def test_links_to_files_are_images_and_broken_ones_are_named(animals, tmp_path):
    (animals / "cat/5.jpg").symlink_to(animals / "cat/1.jpg")
    (animals / "cat/gone").symlink_to(tmp_path / "nowhere")
    (animals / "cat/loop").symlink_to("loop")
    (animals / "cat/gone.jpg").symlink_to(tmp_path / "nowhere")  # unreadable when it is decoded, with its name
    listing = listed(animals)
    assert counts(listing) == {"cat": 6, "dog": 4}
    assert listing.left_out == {"broken link": 2}


@pytest.mark.parametrize(("where", "target"), [("kitty", "cat"), ("kittens", "cat/deep"), ("all", ".")])
def test_two_class_folders_that_are_the_same_are_refused(animals, where, target):
    save(animals, "cat/deep/9.jpg")
    link(animals / where, target)
    with pytest.raises(UserError, match=r"leads to the same folder as .* so its images would count twice; remove one"):
        listed(animals)


def test_validation_images_that_are_the_training_images_are_refused(tmp_path):
    save(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg")
    link(tmp_path / "val", "train")
    with pytest.raises(UserError, match=r"val/cat: leads to the same folder as .*train/cat"):
        listed(tmp_path)


def test_images_outside_class_folders_and_further_splits_are_counted(tmp_path):
    save(tmp_path, *(f"{split}/{name}/1.jpg" for split in ("train", "val", "test") for name in ("cat", "dog")))
    save(tmp_path, "train/loose.jpg", "train/loose.txt", "cover.png")
    assert listed(tmp_path).left_out == {"in test/, which is neither split": 2, "outside the class folders": 2}


def test_a_class_that_holds_nothing_readable_says_what_it_holds(animals):
    save(animals, "owl/1.psd", "owl/2.psd", "owl/.3.jpg")
    with pytest.raises(
        UserError, match=r"no image in class owl \(3 files left out: 2 format \.psd not readable; .*, 1 hid"
    ):
        listed(animals)


def test_a_folder_that_cannot_be_read_is_named(animals, monkeypatch):
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("cat/private"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    (animals / "cat/private").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"cat/private: cannot be read \(Permission denied\); change the permissions"):
        listed(animals)


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"cat/caf\xe9.jpg", r"the names of 1 images are not UTF-8, the first is caf\xe9.jpg; rename"),
     (b"cat/caf\xe9/1.jpg", r"the first is caf\xe9/1.jpg"),
     (b"\xff\xfe/1.jpg", r"the names of 1 folders are not UTF-8, the first is \xff\xfe")],
)  # fmt: skip
def test_a_name_that_is_not_utf8_is_shown_in_ascii(animals, name, shown):
    path = os.path.join(os.fsencode(animals), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "wb").close()
    with pytest.raises(UserError) as raised:
        listed(animals)
    assert shown in str(raised.value)
    assert str(raised.value).isascii()


def test_the_order_is_that_of_torchvision(tmp_path):
    """Folder by folder, as os.walk sorted: the sets prepared before keep their bytes."""
    names = ("b.jpg", "a.jpg", "a/2.jpg", "a-b/1.jpg", "a/1.jpg", "a/deep/0.jpg", "Z.png")
    save(tmp_path / "cat", *names)
    expected = [
        os.path.relpath(os.path.join(where, name), tmp_path)
        for where, _, files in sorted(os.walk(tmp_path / "cat"))
        for name in sorted(files)
    ]
    assert [item.key for item in listed(tmp_path).splits["all"]] == expected
    assert expected[:3] == ["cat/Z.png", "cat/a.jpg", "cat/b.jpg"]


@pytest.mark.parametrize(
    ("reader", "base"),
    [("imagenet", ""), ("imagenette", "imagenette2-320"), ("caltech101", "caltech101/101_ObjectCategories"),
     ("caltech256", "caltech256/256_ObjectCategories")],
)  # fmt: skip
def test_every_reader_of_class_folders_walks_in_the_same_way(tmp_path, reader, base):
    module, splits = (
        importlib.import_module(f"zfrepro.datasets.{reader}"),
        ("",) if "caltech" in reader else ("train", "val"),
    )
    for split in splits:
        for name in ("n1", "n2"):
            save(
                tmp_path / base / split / name, "1.jpg", ".ipynb_checkpoints/1.jpg", "@eaDir/1.jpg", "._1.jpg", "x.txt"
            )
            link(tmp_path / base / split / name / "loop", ".")
    listing = module.listing(module.Spec(root=tmp_path))
    assert counts(listing) == {"n1": len(splits), "n2": len(splits)}
    assert listing.left_out == dict.fromkeys(
        ("in a hidden folder", "in a helper folder (@eaDir)", "hidden file", "not an image (.txt)", walk.READ_ALREADY),
        2 * len(splits),
    )


def test_caltech256_counts_what_lies_below_its_categories(tmp_path):
    module = importlib.import_module("zfrepro.datasets.caltech256")
    save(
        tmp_path / "caltech256/256_ObjectCategories",
        "056.dog/056_0001.jpg",
        "056.dog/greg/vision.jpg",
        "198.spider/198_0001.jpg",
    )
    assert module.listing(module.Spec(root=tmp_path)).left_out == {"in a folder below a category's": 1}


def test_what_is_left_out_in_one_line():
    assert (
        walk.describe({"hidden file": 1, "not an image (.txt)": 2})
        == "3 files left out: 2 not an image (.txt), 1 hidden file"
    )
    assert walk.describe({"broken link": 1}) == "1 file left out: 1 broken link"


def test_prepare_prints_and_records_what_is_left_out(tmp_path, capsys):
    from zfrepro.stages import prepare

    def prepared(out):
        prepare.run(prepare.Spec(dataset="imagefolder", size=8, options={"root": str(tmp_path / "a")}), out, workers=1)
        return json.loads((out / "manifest.json").read_text())

    for name in ("cat", "dog"):
        (tmp_path / "a" / name).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "a" / name / "1.png")
    assert "left_out" not in prepared(tmp_path / "clean")
    assert "left_out" not in capsys.readouterr().out
    save(tmp_path / "a", "cat/.2.png", "cat/x.txt")
    assert prepared(tmp_path / "more")["left_out"] == {"hidden file": 1, "not an image (.txt)": 1}
    assert '{"left_out": {"hidden file": 1, "not an image (.txt)": 1}}' in capsys.readouterr().out
