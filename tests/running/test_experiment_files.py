"""Which experiment `--config` means: a file, a name, or none."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.workspace import ROOT

from zfrepro.errors import UserError
from zfrepro.experiment import loading
from zfrepro.running import options
from zfrepro.storage import workflow_files


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def chosen(*arguments: str) -> Path:
    return options.experiment_parser("run", None).parse_args(arguments).config


def test_without_a_name_it_is_the_file_here_or_else_the_default(folder: Path) -> None:
    assert chosen() == ROOT / "config.yaml"
    (folder / "config.yaml").write_text("experiment: mine\n", encoding="utf-8")
    assert chosen().resolve() == folder / "config.yaml"


@pytest.mark.parametrize("name", workflow_files.experiments())
def test_a_name_is_that_of_the_experiment_in_the_file(name: str, folder: Path) -> None:
    (folder / "config.yaml").write_text("experiment: mine\n", encoding="utf-8")
    assert loading.load(chosen("--config", name)).experiment == name


def test_a_file_comes_before_a_name_and_a_folder_does_not(folder: Path) -> None:
    (folder / "paper").mkdir()
    assert chosen("--config", "paper") == ROOT / "workflow/experiments/paper.yaml"
    (folder / "demo").write_text("experiment: mine\n", encoding="utf-8")
    assert chosen("--config", "demo") == Path("demo")


@pytest.mark.parametrize("text", ["paper.yaml", "paper.yml", "./paper", "/nowhere/paper", "~/paper"])
def test_a_path_is_no_name(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    assert chosen("--config", text) == Path(text.replace("~", "/nowhere"))


def test_the_file_of_an_experiment_is_found_from_any_folder() -> None:
    path = "workflow/experiments/paper.yaml"
    assert chosen("--config", path) == ROOT / path


@pytest.mark.parametrize(
    ("text", "meant"),
    [("tiny-imagnet", " (perhaps tiny-imagenet)"), ("mine", " (perhaps mine/config.yaml)"), ("xyz", "")],
)
def test_an_unknown_name_lists_the_names(text: str, meant: str, folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine/config.yaml").write_text("experiment: mine\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        chosen("--config", text)
    assert str(caught.value) == (
        f"{text}: neither a file nor an experiment that comes with zfrepro{meant}; choose a file, or one of "
        "demo, imagenette, paper, tiny-imagenet-sample, tiny-imagenet"
    )
