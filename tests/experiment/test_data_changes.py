"""Files that come, go or change in the folder of a data set are noticed; a touch is not."""

import copy
import json
import os
from dataclasses import asdict

import pytest
import yaml
from helpers.workspace import ROOT, Workspace
from PIL import Image

from zfrepro.datasets import contents
from zfrepro.experiment import data_changes, loading
from zfrepro.running.snakemake_log import explain_data_change, explain_reason

SMOKE = yaml.safe_load((ROOT / "tests/smoke.yaml").read_text())


@pytest.fixture
def images(tmp_path):
    """Four images of two classes."""
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (80, 80), "red").save(path)
    return tmp_path / "images"


def experiment(images):
    content = copy.deepcopy(SMOKE)
    content["prepare"]["source"] = {
        "dataset": "imagefolder", "size": 72, "options": {"root": str(images), "val_fraction": 0.5}
    }  # fmt: skip
    return content


@pytest.fixture
def prepared(images, tmp_path, monkeypatch):
    """The experiment and its note, after `prepare` has seen the images as they are."""
    monkeypatch.chdir(tmp_path)
    config = loading.parse(experiment(images), "my.yaml")
    manifest = tmp_path / "results/smoke/prepare/source/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"data": asdict(contents.of_folders([images]))}))
    data_changes.note_changes(config)
    (note,) = data_changes.note_files(config).values()
    return config, note, manifest


def test_the_contents_by_hand(tmp_path):
    for name, size in (("a/1.png", 3), ("a/.hidden/2.png", 5), ("@eaDir/1.png", 5), ("b.txt", 4), (".DS_Store", 9)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
    listed = contents.of_folders([tmp_path])
    assert (listed.files, listed.size) == (2, 7)
    assert str(listed) == f"2 files, 7 bytes, {listed.digest}"


def test_the_note_is_older_than_what_was_prepared_from_the_same_files(prepared):
    _, note, manifest = prepared
    assert note.stat().st_mtime_ns < manifest.stat().st_mtime_ns
    assert note.read_text().startswith("4 files, ")


def edit_touch(images):
    os.utime(images / "cat/1.png")


def edit_helper_file(images):
    (images / "cat/Thumbs.db").write_bytes(b"x")


def edit_add(images):
    Image.new("RGB", (80, 80)).save(images / "cat/3.png")


def edit_remove(images):
    (images / "cat/2.png").unlink()


def edit_rename(images):
    (images / "cat/2.png").rename(images / "dog/3.png")


def edit_replace(images):
    (images / "cat/2.png").write_bytes(b"not an image")


@pytest.mark.parametrize("edit", [edit_touch, edit_helper_file])
def test_what_changes_no_image_is_not_noted(prepared, images, edit):
    config, note, _ = prepared
    before = note.read_text(), note.stat().st_mtime_ns
    edit(images)
    data_changes.note_changes(config)
    assert (note.read_text(), note.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (edit_add, "its data changed: 4 files before, 5 now"),
        (edit_remove, "its data changed: 4 files before, 3 now"),
        (edit_rename, "its data changed"),
        (edit_replace, "its data changed"),
    ],
)
def test_what_changes_images_is_noted_and_explained(prepared, images, edit, reason):
    config, note, manifest = prepared
    edit(images)
    data_changes.note_changes(config)
    assert note.stat().st_mtime_ns > manifest.stat().st_mtime_ns
    assert explain_data_change(note) == reason


def test_a_change_that_is_undone_is_forgotten(prepared, images):
    config, note, manifest = prepared
    before = note.read_text()
    edit_add(images)
    data_changes.note_changes(config)
    (images / "cat/3.png").unlink()
    data_changes.note_changes(config)
    assert note.read_text() == before
    assert note.stat().st_mtime_ns < manifest.stat().st_mtime_ns


@pytest.mark.workflow
def test_snakemake_prepares_again_what_has_changed(images, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    content = experiment(images) | {"report": {"exhibits": ["overlap"]}}  # few jobs, quickly planned
    workspace = Workspace(tmp_path / "work", yaml.safe_dump(content))
    workspace.run("results/smoke/prepare/source/manifest.json")

    def reasons():
        return [explain_reason(job) for job in workspace.planned() if job.label == "prepare source"]

    edit_touch(images)
    assert reasons() == []
    edit_add(images)
    assert reasons() == ["its data changed: 4 files before, 5 now"]
    workspace.run("results/smoke/prepare/source/manifest.json")
    assert reasons() == []
