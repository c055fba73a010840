"""Files that come with the program: in the repository beside the package, in a wheel inside it (tests/workflow/test_wheel.py)."""

from pathlib import Path

from helpers.workspace import ROOT

from zfrepro.storage import paths, workflow_files

FACES = "workflow/experiments/tiny-imagenet-faces.csv"


def test_in_a_repository_they_stand_beside_the_package():
    assert workflow_files.ROOT == ROOT
    assert not workflow_files.is_packed()
    assert all((workflow_files.ROOT / name).exists() for name in ("Snakefile", "config.yaml", "workflow/common.smk"))


def test_the_default_experiment_comes_first():
    experiments = workflow_files.experiments()
    assert next(iter(experiments.items())) == ("demo", ROOT / "config.yaml")
    assert set(experiments) - {"demo"} == {path.stem for path in (ROOT / "workflow/experiments").glob("*.yaml")}


def test_a_file_of_an_experiment_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert paths.resolve(FACES) == ROOT / FACES
    (tmp_path / "workflow/experiments").mkdir(parents=True)
    (tmp_path / FACES).write_text("mine")
    assert paths.resolve(FACES) == Path(FACES)  # that of the current folder comes first


def test_no_other_path_leads_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (
        "workflow",
        "workflow/missing.csv",
        "config.yaml",
        "Snakefile",
        "zfrepro/errors.py",
        f"/{FACES}",
        f"./x/{FACES}",
    ):
        assert paths.resolve(path) == Path(path)
