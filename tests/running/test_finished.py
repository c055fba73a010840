""" "Nothing to do" is said of a finished run only while everything that it depends on is as it was before the run."""

import json
import os
import shutil

import pytest

from zfrepro.running import finished


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A finished run of an experiment that names two data folders, a file and a text that is neither."""
    project = tmp_path / "project"
    for name, text in {
        "Snakefile": "rule all:\n", "workflow/rules/train.smk": "rule train:\n", "zfrepro/core/nets.py": "x = 1\n",
        "zfrepro/core/__pycache__/nets.pyc": "1", "docs/page.md": "1",
    }.items():  # fmt: skip
        write(project / name, text)
    for name, text in {
        "results/demo/train/improved/model.safetensors": "weights", "results/demo/report/index.html": "<p>",
        "results/demo/logs/train.log": "1", "results/demo/train/.state/half": "1", "results/.store/objects/ab/c": "1",
        "results/other/report/index.html": "<p>", "data/cats/1.jpg": "cat", "data/dogs/1.jpg": "dog", "faces.csv": "a,b",
        "elsewhere/birds/1.jpg": "bird",
    }.items():  # fmt: skip
        write(tmp_path / name, text)
    (tmp_path / "data/birds").symlink_to(tmp_path / "elsewhere/birds")
    (tmp_path / "config.yaml").write_text(
        f"experiment: demo\ntitle: Demo\nsubtitle: ''\nprepare: {{source: {{options: {{root: {tmp_path}/data}}}}}}\n"
        "correspondence: {annotations: faces.csv}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(finished, "ROOT", project)
    monkeypatch.setattr(finished, "PACKAGE", project / "zfrepro")
    for name in ("SNAKEMAKE_PROFILE", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    finish(tmp_path)
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def finish(place, during=lambda: None):
    config, results = place / "config.yaml", finished.Path("results/demo")
    before = finished.begin(config, results)
    during()
    finished.save(config, results, before)


def is_finished(place):
    return finished.report_of(place / "config.yaml") is not None


def edited(path, text="edited"):
    def edit(place):
        write(place / path, text)

    return pytest.param(edit, id=f"edit {path}")


def deleted(path):
    return pytest.param(lambda place: (place / path).unlink(), id=f"delete {path}")


def touched(path):
    return pytest.param(lambda place: os.utime(place / path, (1, 1)), id=f"touch {path}")


def test_after_a_run_there_is_nothing_to_do(place):
    assert finished.report_of(place / "config.yaml") == finished.Path("results/demo/report")
    assert is_finished(place)


@pytest.mark.parametrize(
    "change",
    [
        edited("config.yaml", "experiment: demo\n"),
        edited("project/Snakefile"),
        edited("project/workflow/rules/train.smk"),
        edited("project/workflow/profiles/default/config.yaml"),
        edited("project/zfrepro/core/nets.py", "x = 2\n"),
        edited("project/zfrepro/core/new.py"),
        deleted("project/zfrepro/core/nets.py"),
        edited("results/demo/train/improved/model.safetensors"),
        deleted("results/demo/train/improved/model.safetensors"),
        touched("results/demo/train/improved/model.safetensors"),
        deleted("results/demo/report/index.html"),
        edited("results/demo/train/improved/new.json"),
        edited("data/cats/2.jpg"),
        deleted("data/cats/1.jpg"),
        touched("data/cats/1.jpg"),
        edited("data/birds/2.jpg"),
        edited("elsewhere/birds/1.jpg"),
        edited("faces.csv"),
        touched("faces.csv"),
        deleted("faces.csv"),
        pytest.param(lambda place: shutil.rmtree(place / "data"), id="delete the data"),
        pytest.param(lambda place: (place / "data/cats").rename(place / "data/lions"), id="rename a class"),
        pytest.param(lambda place: (place / "results/demo/.finished.json").write_text("{"), id="a damaged record"),
        pytest.param(lambda place: (place / "results/demo/.finished.json").write_text("[]"), id="an odd record"),
        pytest.param(lambda place: (place / "results/demo/.finished.json").unlink(), id="no record"),
    ],
)
def test_any_change_leads_to_snakemake(place, change):
    change(place)
    assert not is_finished(place)


@pytest.mark.parametrize(("name", "value"), [("PYTHONPATH", "elsewhere"), ("SNAKEMAKE_PROFILE", "mine")])
def test_so_does_the_environment(place, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert not is_finished(place)
    finish(place)
    assert is_finished(place) == (name == "PYTHONPATH")  # a profile names files that are not known here


@pytest.mark.parametrize("version", ["9.27.0", "8.0"])
def test_so_does_another_snakemake(place, monkeypatch, version):
    right = finished.importlib.metadata.version("snakemake")
    monkeypatch.setattr(finished.importlib.metadata, "version", lambda name: version)
    assert is_finished(place) == (version == right)


@pytest.mark.parametrize(
    "change",
    [
        edited("results/demo/logs/train.log"),
        edited("results/demo/train/.state/half"),
        edited("results/.store/objects/ab/c"),
        edited("results/other/report/index.html"),
        edited("project/docs/page.md"),
        edited("project/zfrepro/core/__pycache__/nets.pyc"),
        edited("notes.txt"),
        touched("project/zfrepro/core/nets.py"),
        touched("config.yaml"),
    ],
)
def test_nothing_else_does(place, change):
    change(place)
    assert is_finished(place)


@pytest.mark.parametrize(
    "path",
    ["config.yaml", "project/zfrepro/core/nets.py", "project/workflow/rules/train.smk", "faces.csv", "data/cats/1.jpg"],
)
def test_an_edit_during_the_run_is_not_taken_for_done(place, path):
    """Snakemake has read the experiment at the start, so what is there at the end has not been run."""
    content = (place / path).read_text()
    finish(place, during=lambda: write(place / path, f"{content}# edited\n"))
    assert not is_finished(place)
    finish(place)
    assert is_finished(place)


def test_a_run_forgets_the_one_before(place):
    finished.begin(place / "config.yaml", finished.Path("results/demo"))
    assert not is_finished(place)


def test_in_a_large_folder_files_that_come_and_go_are_seen(place, monkeypatch):
    monkeypatch.setattr(finished, "MANY", 2)
    finish(place)
    assert is_finished(place)
    stored = json.loads((place / "results/demo/.finished.json").read_text())
    assert list(stored["large_folders"]) == [f"{place}/data"]
    write(place / "data/dogs/2.jpg", "dog")
    assert not is_finished(place)


def test_a_link_that_leads_nowhere_stops_no_run(place):
    (place / "data/cats/broken.jpg").symlink_to(place / "nothing")
    finish(place)
    assert is_finished(place)


def test_an_experiment_file_that_is_odd_is_snakemake_s_to_explain(place):
    for text in ("", "[]", "experiment: [", "title: no name", "\x00", "experiment: {a: b}"):
        (place / "config.yaml").write_text(text)
        assert not is_finished(place)
        assert finished.begin(place / "config.yaml", finished.Path("results/demo")) is not None


def test_results_that_cannot_be_written_cost_a_start_only(place):
    finished.save(
        place / "config.yaml", finished.Path("results/none"), finished.begin(place / "config.yaml", place / "none")
    )
