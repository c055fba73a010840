"""Wrong folders, of every reader: one line that names the path and what is expected there."""

import importlib
import os

import pytest
from PIL import Image

from zfrepro.datasets import folders
from zfrepro.errors import UserError

# reader -> a folder of its layout
READERS = {
    "caltech101": "caltech101/101_ObjectCategories",
    "caltech256": "caltech256/256_ObjectCategories",
    "imagefolder": "train",
    "imagenet": "train",
    "imagenette": "imagenette2-320",
    "tiny_imagenet": "tiny-imagenet-200",
    "voc2012": "VOCdevkit/VOC2012",
}
DOWNLOADS = {
    "caltech101": "caltech101",
    "caltech256": "caltech256",
    "imagenette": "imagenette2-320",
    "voc2012": "VOCdevkit",
}


def message(name, root, **options):
    reader = importlib.import_module(f"zfrepro.datasets.{name}")
    with pytest.raises(UserError) as raised:
        reader.listing(reader.Spec(root=root, **options))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", READERS)
def test_wrong_roots_are_named(name, tmp_path):
    assert message(name, tmp_path / "none").startswith(f"{tmp_path / 'none'}: no such folder; check the path")
    assert "(expected: " in message(name, tmp_path / "none")
    (tmp_path / "set.tar").write_text("x")
    assert message(name, tmp_path / "set.tar").startswith(f"{tmp_path / 'set.tar'}: is a file, not a folder; unpack it")


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", ["nothing", "an empty folder", "a file"])
def test_folders_without_the_set_are_named(name, content, tmp_path):
    path = tmp_path / READERS[name]
    if content != "nothing":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if content == "an empty folder" else path.write_text("x")
    text = message(name, tmp_path)
    assert text.startswith(str(tmp_path))
    assert "(expected: " in text


@pytest.mark.parametrize("name", sorted(READERS.keys() - {"imagefolder"}))
def test_the_folder_of_another_set_is_named(name, tmp_path):
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "cat/1.jpg")
    assert f"{tmp_path}: contains n" in message(name, tmp_path)
    assert "set the option `root`" in message(name, tmp_path)


@pytest.mark.parametrize("name", DOWNLOADS)
def test_nothing_is_downloaded_where_it_could_not_be_placed(name, tmp_path):
    path = tmp_path / DOWNLOADS[name]
    path.write_text("x")
    assert message(name, tmp_path, download=True).startswith(f"{path}: already exists, but is not the data set; remove")
    assert message(name, path, download=True).startswith(f"{path}: cannot be created (File exists)")


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    assert message("imagefolder", tmp_path) == f"{tmp_path}: cannot be read; change the permissions of the folder"


@pytest.mark.parametrize("root", ["", "a", "a/b"])
def test_a_root_may_point_to_an_inner_folder(root, tmp_path):
    (tmp_path / "a/b/marker").mkdir(parents=True)
    assert folders.find_folder(tmp_path / root, "a/b") == tmp_path / "a/b"
    assert folders.find_folder(tmp_path / root, "a/b", "marker") == tmp_path / "a/b"
    assert folders.find_folder(tmp_path / root, "a/b", "none") is None
    assert folders.find_folder(tmp_path / "a/b/marker", "a/b") is None
