"""A new experiment: a folder with one commented file, which is checked and can be run there."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from helpers.workspace import ROOT

from zfrepro.__main__ import main
from zfrepro.commands import init
from zfrepro.experiment import loading

DEMO = (ROOT / "config.yaml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_is_the_default_with_its_comments_under_the_folders_name(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "new/My photos"])
    text = Path("new/My photos/config.yaml").read_text(encoding="utf-8")
    assert (
        text
        == f"# Written by: zfrepro init 'new/My photos'\n{DEMO.replace('experiment: demo', 'experiment: my-photos', 1)}"
    )
    assert capsys.readouterr().out == (
        "experiment: new/My photos/config.yaml  (edit it, then: cd 'new/My photos' && zfrepro run)\n"
    )


def test_in_the_current_folder_the_next_command_has_no_cd(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "."])
    assert capsys.readouterr().out == "experiment: config.yaml  (edit it, then: zfrepro run)\n"


@pytest.mark.parametrize("name", ["demo", "tiny-imagenet"])
def test_another_experiment_to_begin_with(name: str) -> None:
    main(["init", "mine", "--from", name])
    main(["init", name, "--from", name])  # its own name may stay
    original = yaml.safe_load(
        (ROOT / ("config.yaml" if name == "demo" else f"workflow/experiments/{name}.yaml")).read_bytes()
    )
    assert yaml.safe_load(Path(name, "config.yaml").read_bytes()) == original
    assert yaml.safe_load(Path("mine/config.yaml").read_bytes()) == {**original, "experiment": "mine"}
    annotations = getattr(loading.load(Path("mine/config.yaml")).correspondence, "annotations", None)
    assert (annotations is None) == (name == "demo")


def test_the_photographs_of_an_experiment_are_found_without_a_copy() -> None:
    main(["init", "mine", "--from", "tiny-imagenet"])
    files = loading.load(Path("mine/config.yaml")).annotation_files()
    assert [path for path in files if path.suffix == ".csv"] == [ROOT / "workflow/experiments/tiny-imagenet-faces.csv"]


@pytest.mark.parametrize(
    ("folder_name", "name"),
    [
        ("Zwei Länder", "zwei-l-nder"),
        ("2024_cats", "2024-cats"),
        ("картинки", "experiment"),
        ("-x-", "x"),
        ("y" * 80, "y" * 61),
    ],
)
def test_a_folders_name_becomes_one_of_an_experiment(folder_name: str, name: str) -> None:
    assert init.name_of(Path(folder_name)) == name


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["init", *arguments])
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_nothing_is_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.yaml").symlink_to("nowhere")
    assert fails(["."], capsys) == "zfrepro: config.yaml: already exists; delete it or name another folder\n"
    (folder / "there").mkdir()
    (folder / "there/config.yaml").write_text("mine", encoding="utf-8")
    assert "there/config.yaml: already exists" in fails(["there"], capsys)
    assert (folder / "there/config.yaml").read_text(encoding="utf-8") == "mine"


def test_a_file_is_no_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "file").write_text("", encoding="utf-8")
    assert fails(["file"], capsys) == "zfrepro: file: is not a folder; name another one\n"
    assert fails(["file/below"], capsys) == f"zfrepro: {folder}/file: is not a folder; name another one\n"


def test_a_bad_source_or_name_leaves_nothing_behind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "papr: neither a file nor an experiment" in fails(["mine", "--from", "papr"], capsys)
    assert "missing.yaml: cannot be read" in fails(["mine", "--from", "missing.yaml"], capsys)
    assert "--name My: a name consists of" in fails(["mine", "--name", "My"], capsys)
    assert list(folder.iterdir()) == []
