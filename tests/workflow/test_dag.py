"""The whole workflow once on the smoke experiment, by the installed wheel; then: what Snakemake reruns after an edit."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.edits import EDITS, EXHIBITS, SMOKE, STORED_EDITS, expected_jobs, in_config
from helpers.installed_wheel import VERSION
from helpers.workspace import ROOT, Workspace
from PIL import Image

from zfrepro.experiment import cost, loading
from zfrepro.running import TAKEN
from zfrepro.storage import artifacts

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="session")
def finished(installed_wheel, tmp_path_factory):
    """A folder in which the wheel, installed elsewhere, has run the smoke experiment to its report."""
    folder = tmp_path_factory.mktemp("smoke")
    (folder / "experiment.yaml").write_text(SMOKE)
    before = installed_wheel.files()
    output = installed_wheel.call(folder, "run", "--config", "experiment.yaml", "--cores", "2")
    assert "report: results/smoke/report/index.html" in output
    assert installed_wheel.files() == before
    return folder


@pytest.fixture(scope="session")
def workspace(finished):
    """The same folder with a copy of the project, whose code and settings are those of the wheel: nothing is left to do."""
    return Workspace(finished, SMOKE)


def report(workspace, name):
    return workspace.folder / "results/smoke/report" / name


def test_a_wheel_has_all_commands(installed_wheel, finished):
    """In one process, as they take seconds to start."""
    Image.new("RGB", (80, 70), (200, 90, 30)).save(finished / "photo.png")
    weights = "results/smoke/train/improved/model.safetensors"
    commands = {
        "plan --config experiment.yaml": "smoke: nothing to do",
        "publish --config experiment.yaml": "published: reports/smoke/index.html",
        "compare results/smoke reports/smoke": "0 of 42 claims differ",
        "vary --config demo --name demo-2 --out demo-2.yaml": "experiment: demo-2.yaml",
        "store": "smoke                               70 results",
        f"look photo.png --weights {weights} --out looked --no-occlusion": "page: looked/index.html",
    }
    lists = [command.split() for command in commands]
    output = installed_wheel.execute(
        finished, f"from zfrepro.__main__ import main\nfor command in {lists}: main(command)"
    )
    assert [text for text in commands.values() if text not in output] == []
    assert (finished / "reports/smoke/Snakefile").read_bytes() == (ROOT / "Snakefile").read_bytes()


def test_the_report_of_a_wheel_names_its_version(installed_wheel, finished):
    """And was made by it: jobs of the wheel run the wheel."""
    origin = json.loads((finished / "results/smoke/report/provenance.json").read_bytes())
    reason = f"installed as a package, zfrepro {VERSION}"
    assert origin["git"] == {"commit": None, "dirty": None, "reason": reason}
    assert origin["exhibits"]["overlap"]["command"].startswith("zfrepro run --config FILE --force results/smoke/")
    log = (finished / "results/smoke/logs/snakemake.log").read_text()
    assert re.search(r"--snakefile (\S+) ", log)[1] in installed_wheel.files()


def test_the_report_is_whole(workspace):
    page = report(workspace, "index.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert not re.findall(
        r'(?:src|href)="(?!#|data:|tables/|figures/|report\.pdf|provenance\.json|https://arxiv\.org/)[^"]*"', page
    )
    assert report(workspace, "report.pdf").read_bytes()[:5] == b"%PDF-"
    for exhibit in EXHIBITS:
        assert len(report(workspace, f"tables/{exhibit}.csv").read_text().splitlines()) > 1
        assert report(workspace, f"figures/{exhibit}.png").read_bytes()[1:4] == b"PNG"


def test_provenance_names_data_weights_settings_and_times(workspace):
    origin = json.loads(report(workspace, "provenance.json").read_text())
    text = json.dumps(origin)
    weights = workspace.folder / "results/smoke/train/improved/model.safetensors"
    manifest = json.loads((workspace.folder / "results/smoke/prepare/source/manifest.json").read_text())
    assert artifacts.sha256(weights) in text
    assert manifest["sha256"]["images.npy"] in text
    assert origin["config"]["experiment"] == "smoke"
    assert {"python", "torch", "snakemake"} <= set(origin["versions"])


def test_nothing_is_left_to_do_and_nothing_half_done(workspace):
    assert workspace.planned() == []
    results = workspace.folder / "results"
    left = list(results.rglob("*.tmp")) + list(results.glob("smoke/*/.state/*/*/state*"))
    left = [path.name for path in left if "scratch" not in path.parts]  # there folds are kept, not a state
    assert left == []


def test_plan_reports_nothing_to_do(workspace):
    assert "nothing to do" in workspace.call("plan", "--config", "experiment.yaml")[1]


def test_publish_copies_the_report_whole(workspace):
    code, output = workspace.call("publish", "--config", "experiment.yaml")
    assert code == 0, output
    published = workspace.folder / "reports/smoke"
    added = {"Snakefile", "config.yaml", "ro-crate-metadata.json", "SHA256SUMS"}
    names = {path.name for path in report(workspace, ".").iterdir()}
    assert {path.name for path in published.iterdir()} == names | added
    assert {path.name for path in published.parent.iterdir()} == {"smoke", "index.html", "compare.html"}


def test_snakemake_s_own_command_agrees(workspace):
    """What Snakemake printed can be pasted: one job's command by hand gives the same file."""
    log = (workspace.folder / "results/smoke/logs/snakemake.log").read_text()
    command = re.search(r"python -m zfrepro evaluate .*--out results/smoke/evaluate/baseline .*", log)[0]
    scores = workspace.folder / "results/smoke/evaluate/baseline/scores.npz"
    by_hand = command.replace("--out results/smoke/evaluate/baseline", "--out by-hand").partition(" > ")[0]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-c", by_hand],
        cwd=workspace.folder,
        env={**os.environ, "PATH": path, "ZFREPRO_STORE": "none"},
        check=True,
    )
    assert (workspace.folder / "by-hand/scores.npz").read_bytes() == scores.read_bytes()


SNAKEMAKE_EDITS = (  # every kind of trigger: code, a data file, settings of one job, shared code, and what must not count
    "core/overlap.py",
    "a template",
    "the config of one training run",
    "this data set's drawing",
    "reordered keys",
)


@pytest.mark.parametrize("name", SNAKEMAKE_EDITS)
def test_snakemake_reruns_the_same_jobs(workspace, name):
    """As test_reruns.py says of every edit."""
    file, edit, _ = EDITS[name]
    path = workspace.folder / file
    text = path.read_text()
    path.write_text(edit(text))
    try:
        jobs = {}
        for job in workspace.planned():
            jobs.setdefault(job.rule, []).append(job.name)
    finally:
        path.write_text(text)
    assert {rule: sorted(names) for rule, names in jobs.items()} == expected_jobs(name)


def test_touching_every_file_leads_to_nothing(workspace):
    for path in workspace.folder.rglob("*"):
        if path.is_file() and "results" not in path.relative_to(workspace.folder).parts:
            os.utime(path)
    assert workspace.planned() == []


def test_plan_prints_the_reasons(workspace):
    path = workspace.folder / "experiment.yaml"
    text = path.read_text()
    path.write_text(in_config(lambda content: content["train"]["runs"]["improved-seed1"].update(epochs=1))(text))
    try:
        code, output = workspace.call("plan", "--config", "experiment.yaml")
    finally:
        path.write_text(text)
    assert code == 0
    assert re.search(r"^train +1 of 4 +improved-seed1: its settings changed \(epochs\)$", output, re.M)
    assert re.search(r"^evaluate +1 of 6 +improved-seed1: its inputs will be rebuilt$", output, re.M)


def test_what_a_plan_counts_is_what_a_run_wrote(workspace, monkeypatch):
    monkeypatch.chdir(workspace.folder)
    config = loading.load(Path("experiment.yaml"))
    results = config.results()
    written = {
        kind: sorted(results.glob(f"{kind}/**/{pattern}.npy"))
        for kind, pattern in (("prepare", "*s*"), ("features", "layer*"))  # images, thumbnails; mean.npy is small
    }
    rows = {kind: sum(np.load(path, mmap_mode="r").nbytes for path in paths) for kind, paths in written.items()}
    jobs = [("prepare", name) for name in {path.parent.name for path in written["prepare"]}]
    assert len(written["prepare"]) == len(jobs) + 1  # thumbnails of the source
    folders = {path.parent for path in written["features"]}
    jobs += [("features", folder.parent.name, folder.name) for folder in folders]
    assert len(folders) > 2
    assert cost.estimate_cost(config, jobs).bytes == {
        "prepared images": rows["prepare"],
        "features": rows["features"],
    }


@pytest.fixture
def copied(workspace, tmp_path):
    """A copy of the finished experiment with its store, to edit and run."""
    copy = object.__new__(Workspace)
    copy.folder = tmp_path / "copy"
    shutil.copytree(workspace.folder, copy.folder)
    return copy


def weights_of(workspace):
    return {
        path.parent.name: artifacts.sha256(path) for path in workspace.folder.glob("results/*/*/*/model.safetensors")
    }


def test_a_lost_result_is_taken_from_the_store(copied):
    before = weights_of(copied)
    lost = copied.folder / "results/smoke/train/improved-seed1/model.safetensors"
    lost.unlink()
    output = copied.run(str(lost.relative_to(copied.folder)))
    assert "train improved-seed1  from the store" in output
    assert weights_of(copied) == before


def test_an_edit_that_changes_no_number_computes_nothing(copied):
    before = weights_of(copied)
    edits, _, _ = STORED_EDITS["a function more in errors.py"]
    for file, edit in edits.items():
        (copied.folder / file).write_text(edit((copied.folder / file).read_text()))
    code, plan = copied.call("plan", "--config", "experiment.yaml")
    assert code == 0
    assert re.search(r"^train +4 of 4 +baseline, improved, .*; in the store$", plan, re.M)
    jobs = len(re.findall(r"^\d+", copied.run("--", "results/smoke/exhibits/fig7_occlusion/exhibit.json"), re.M))
    assert jobs == 4
    assert "71 jobs: 70 taken from the result store, 1 computed" in plan
    logs = [
        copied.folder / f"results/smoke/logs/{name}.log"
        for name in ("prepare/source", "train/improved", "occlusion/improved")
    ]
    assert all(TAKEN in log.read_text() for log in logs)
    assert weights_of(copied) == before


def test_experiments_share_what_they_have_in_common(copied):
    """Another experiment with the same images and recipe: its networks are those of the first, trained once."""
    change = in_config(lambda content: content.update(experiment="second", title="Another"))
    (copied.folder / "second.yaml").write_text(change(SMOKE))
    wanted = "results/second/evaluate/improved/errors.json"
    code, output = copied.call("run", "--config", "second.yaml", "--cores", "2", wanted)
    assert code == 0, output
    assert "3 of 3 jobs taken from the result store" in output
    weights = copied.folder / "results/second/train/improved/model.safetensors"
    assert artifacts.sha256(weights) == weights_of(copied)["improved"]
    assert weights.stat().st_nlink == 2  # the file in the store, not a copy of it
    users = copied.call("store")[1]
    assert re.search(r"^smoke +70 results", users, re.M)
    assert re.search(r"^second +3 results", users, re.M)


def test_a_run_with_nothing_to_do_does_not_start_snakemake(workspace):
    log = workspace.folder / "results/smoke/logs/snakemake.log"
    workspace.run()  # tests before this one may have touched or edited files
    text = log.read_bytes()
    log.unlink()
    assert workspace.run().startswith("nothing to do: results/smoke/report/index.html")
    assert not log.exists()
    os.utime(report(workspace, "index.html"))
    workspace.run()
    assert log.exists()
    log.write_bytes(text)
