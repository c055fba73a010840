"""What is wrong with the folders of an experiment is said before its first job, and one path means one folder everywhere."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from zfrepro.errors import UserError
from zfrepro.experiment import folder_checks, loading

ROOT = Path(__file__).parents[2]
SMOKE = yaml.safe_load((ROOT / "tests/smoke.yaml").read_text())


def config(root, label="source", **options):
    content = copy.deepcopy(SMOKE)
    content["prepare"][label] = {"dataset": "imagefolder", "size": 72, "options": {"root": str(root), **options}}
    return loading.parse(content, "my.yaml")


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """~/pictures with two classes; the current folder is empty."""
    for name in ("cat", "dog"):
        (tmp_path / "home/pictures" / name).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (9, 9), (10 * i, 0, 0)).save(tmp_path / "home/pictures" / name / f"{i}.png")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PICTURES", str(tmp_path / "home/pictures"))
    return tmp_path / "home/pictures"


def fault(*arguments, **options):
    with pytest.raises(UserError) as raised:
        folder_checks.check_folders(config(*arguments, **options), "my.yaml")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("root", ["~/pictures", "$PICTURES", "${HOME}/pictures", "../home/pictures"])
def test_one_path_is_one_folder_for_run_plan_prepare_and_look(pictures, tmp_path, root, capsys):
    from zfrepro.look import photographs
    from zfrepro.stages import prepare
    from zfrepro.storage.prepared_set import PreparedSet

    experiment = config(root, val_fraction=0.2)
    folder_checks.check_folders(experiment, "my.yaml")
    assert list(folder_checks.check_layouts(experiment, "my.yaml")) == []
    prepare.run(experiment.prepare["source"], tmp_path / "out", workers=1)
    manifest = tmp_path / "out/manifest.json"
    assert PreparedSet(manifest).count == 10
    assert json.loads(manifest.read_text())["options"]["root"] == root  # as named, not the user's home
    (photograph,) = photographs.load([Path(root) / "cat/3.png"], np.asarray)
    assert photograph.crop[0, 0].tolist() == [30, 0, 0]


def test_annotations_may_be_in_the_home_folder(pictures):
    content = copy.deepcopy(SMOKE)
    content["correspondence"]["annotations"] = "~/parts.csv"
    experiment = loading.parse(content, "my.yaml")
    with pytest.raises(UserError, match=r"correspondence\.annotations: file ~/parts\.csv does not exist"):
        folder_checks.check_folders(experiment, "my.yaml")
    (pictures.parent / "parts.csv").touch()
    folder_checks.check_folders(experiment, "my.yaml")


def test_missing_photographs_stop_a_run_and_not_a_plan(pictures):
    content = copy.deepcopy(SMOKE)
    content["correspondence"] |= {"annotations": "~/parts.csv", "root": "~/pictures/cat"}
    experiment = loading.parse(content, "my.yaml")
    rows = [f"{name},nose,0,0,1,1\n" for name in ("3.png", "none.png", "none-too.png")]
    table = pictures.parent / "parts.csv"
    table.write_text("".join(["image,part,x0,y0,x1,y1\n", *rows]), encoding="utf-8")
    folder = pictures / "cat"
    assert experiment.annotation_files() == [table, folder / "3.png"]
    with pytest.raises(UserError) as raised:
        folder_checks.check_folders(experiment, "my.yaml")
    assert str(raised.value) == (
        f"my.yaml: correspondence.root: {folder}/none.png and 1 more that ~/parts.csv names do not exist; "
        "put the photographs there or change the key"
    )
    (folder / "none-too.png").write_bytes((folder / "3.png").read_bytes())
    with pytest.raises(UserError, match=r"none\.png, which ~/parts\.csv names, does not exist; put"):
        folder_checks.check_folders(experiment, "my.yaml")
    (folder / "none.png").write_bytes((folder / "3.png").read_bytes())
    folder_checks.check_folders(experiment, "my.yaml")


def test_a_missing_folder_says_where_a_relative_path_starts_and_which_variable_is_not_set(pictures, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    assert "folder nowhere does not exist (a relative path starts at the current folder, " in fault("nowhere")
    assert "(the environment variable NOT_SET is not set)" in fault("$NOT_SET/x")


def test_classes_without_splits_cannot_be_the_source_and_the_remedy_is_named(pictures):
    message = fault("~/pictures")
    assert message.startswith("my.yaml: prepare.source.options: ")
    assert "contains classes but no train/ and no val/" in message
    assert (
        "set `val_fraction`, for example 0.2, to divide each class, or name the folders of both with `train` and `val`"
        in message
    )
    folder_checks.check_folders(config("~/pictures", val_fraction=0.2), "my.yaml")
    folder_checks.check_folders(config("~/pictures", label="caltech101"), "my.yaml")  # targets need no split


def test_a_layout_mistake_stops_the_run_before_its_first_job_and_the_plan(pictures):
    for split in ("training_set", "test_set"):
        (pictures / "sets" / split).mkdir(parents=True)
        for name in ("cat", "dog"):
            (pictures / name).rename(pictures / "sets" / split / name) if split == "training_set" else (
                pictures / "sets" / split / name
            ).mkdir()
            (pictures / "sets" / split / name / "9.png").write_bytes(b"")
    message = fault("~/pictures/sets", val_fraction=0.2)
    assert message.startswith("my.yaml: prepare.source: ")
    assert "set the options `train: training_set` and `val: test_set`" in message
    with pytest.raises(UserError, match=r"my\.yaml: prepare\.source: .*look like splits"):
        list(folder_checks.check_layouts(config("~/pictures/sets"), "my.yaml"))
    assert list(folder_checks.check_layouts(config("/no/such/place"), "my.yaml")) == []  # a plan needs no data


def test_what_is_left_out_is_one_line_on_the_terminal(pictures, capsys):
    (pictures / "cat/.ipynb_checkpoints").mkdir()
    for name in ("cat/.ipynb_checkpoints/0.png", "dog/notes.txt", "dog/more.txt"):
        (pictures / name).touch()
    experiment = config("~/pictures", val_fraction=0.2)
    folder_checks.check_folders(experiment, "my.yaml")
    line = "prepare.source: 3 files left out: 2 not an image (.txt), 1 in a hidden folder"
    assert capsys.readouterr().out == f"{line}\n"
    assert list(folder_checks.check_layouts(experiment, "my.yaml")) == [line]


def test_a_set_that_is_prepared_is_not_walked_again(pictures, monkeypatch):
    experiment = config("~/pictures")
    manifest = experiment.results() / "prepare/source/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({}))
    monkeypatch.setattr("zfrepro.datasets.imagefolder.listing", lambda spec: pytest.fail("walked"))
    folder_checks.check_folders(experiment, "my.yaml")
