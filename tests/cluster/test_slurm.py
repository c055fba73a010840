"""`zfrepro run --profile slurm` on a SLURM of one node: to the report, and through what befalls jobs and runs there.

Left out by `make test`; `make test-cluster` runs it. It needs root and Debian's or Ubuntu's `slurm-wlm` and `munge`, starts daemons of
its own in a temporary folder, and ends them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from helpers import slurm_cluster
from helpers.edits import SMOKE
from helpers.slurm_cluster import Cluster, wait_for
from helpers.workspace import Workspace

pytestmark = pytest.mark.cluster

TRAININGS = """
experiment: long
title: Long enough to be interrupted
prepare:
  source: {dataset: scenes, size: 64, options: {set: source, size: 64, train_per_class: 8, val_per_class: 1}}
train:
  recipe: {width: 0.08, input_size: 64, epochs: 24, batch: 32, init: he, input_scale: 0.03125, crops: random, schedule: cosine}
  runs: {whole: {base: improved}, cancelled: {base: improved}, timed: {base: improved}, requeued: {base: improved}}
report: {exhibits: [fig3_architecture, training_curves]}
"""
INTERRUPTED = ("cancelled", "timed", "requeued")
# Seconds instead of tens of them between two looks at the queue: jobs take seconds here.
QUICK = {"status-checks: 10": "status-checks: 2", "status-checks: 20": "status-checks: 1"}
QUIET_PATH = f"{Path(sys.executable).parent}/none:/usr/bin:/bin:/usr/sbin:/sbin"  # without the environment's python


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if missing := slurm_cluster.explain_missing():
        pytest.fail(missing)
    with slurm_cluster.running() as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Four trainings with the same settings, which compute each for itself; no python of the environment on the path."""
    made = prepare_workspace(tmp_path, TRAININGS, cluster, monkeypatch, ZFREPRO_STORE="none")
    yield made
    for process in psutil.process_iter():  # of a test that failed
        if is_at(process, made.folder) and "run" in process.cmdline()[3:4]:
            process.terminate()
            process.wait(120)


def prepare_workspace(
    folder: Path, experiment: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, **variables: str
) -> Workspace:
    path = f"{cluster.folder}/bin:{QUIET_PATH}"
    for name, value in {"SLURM_CONF": cluster.environment["SLURM_CONF"], "PATH": path, **variables}.items():
        monkeypatch.setenv(name, value)
    made = Workspace(folder, experiment)
    profile = folder / "workflow/profiles/slurm/config.yaml"
    text = profile.read_text()
    for slow, quick in QUICK.items():
        assert slow in text
        text = text.replace(slow, quick)
    profile.write_text(text)
    return made


def log_of(workspace: Workspace, run: str) -> str:
    """Empty while there is none: Snakemake deletes it before the job begins again."""
    try:
        return (workspace.folder / f"results/long/logs/train/{run}.log").read_text()
    except FileNotFoundError:
        return ""


def epochs(workspace: Workspace, run: str) -> int:
    return log_of(workspace, run).count("val_top1_error")


def weights(run: str) -> str:
    return f"results/long/train/{run}/model.safetensors"


def start(workspace: Workspace, *targets: str) -> subprocess.Popen:
    return workspace.start("run", "--config", "experiment.yaml", "--profile", "slurm", "--device", "cpu", *targets)


def job_of(cluster: Cluster, run: str) -> str | None:
    return cluster.job_of(f"rule_train_wildcards_{run}")


def test_the_smoke_experiment_runs_to_its_pdf(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every stage but exhibits and report as SLURM jobs, those with a network on one of two GPUs."""
    workspace = prepare_workspace(tmp_path, SMOKE, cluster, monkeypatch)
    process = workspace.start("run", "--config", "experiment.yaml", "--profile", "slurm")
    output, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, output
    report = workspace.folder / "results/smoke/report"
    assert (report / "report.pdf").read_bytes()[:5] == b"%PDF-"
    assert (report / "index.html").read_text().rstrip().endswith("</html>")
    log = (workspace.folder / "results/smoke/logs/snakemake.log").read_text()
    assert len(re.findall(r"has been submitted with SLURM jobid", log)) == len(
        re.findall(r"^rule (?!all)", log, re.MULTILINE)
    )
    assert set(re.findall(r"^localrule (\w+)", log, re.MULTILINE)) == {"exhibits", "report", "all"}
    assert {"--workers 16", "--threads 8", "--threads 4"} <= set(re.findall(r"--(?:workers|threads) \d+", log))
    _, output = workspace.call("run", "--config", "experiment.yaml", "--profile", "slurm")
    assert output.startswith("nothing to do")


def test_interrupted_trainings_go_on_to_the_same_bits(workspace: Workspace, cluster: Cluster) -> None:
    """One is cancelled, one is out of time, one is put back into the queue, one is left alone. A second writer is refused."""
    process = start(workspace, *(weights(run) for run in ("whole", *INTERRUPTED)))
    jobs, trainers = {}, {}
    for run in INTERRUPTED:
        jobs[run], trainers[run] = hold_at_epoch(workspace, cluster, run, 2)
    cluster.call("scontrol", "update", f"JobId={jobs['timed']}", "TimeLimit=1")  # minute; SLURM looks twice a minute
    cluster.call("scancel", jobs["cancelled"])
    refused = train_by_hand(workspace, "requeued")
    cluster.call("scontrol", "requeue", jobs["requeued"])
    wait_for(lambda: (jobs["timed"], "RUNNING") not in [job[:2] for job in cluster.jobs()], 200, "the time limit")
    trainers["timed"].resume()  # SIGTERM is waiting for it; the other two SLURM has continued itself
    out, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, out
    assert cluster.jobs() == []
    for run in INTERRUPTED:
        assert '"resumed"' in log_of(workspace, run), run
        assert (workspace.folder / weights(run)).read_bytes() == (workspace.folder / weights("whole")).read_bytes(), run
    assert "again   train cancelled" in out
    assert "again   train timed" in out
    assert "SLURM status is: 'CANCELLED'" in out
    assert "SLURM status is: 'TIMEOUT'" in out
    assert "FAILED  train requeued" not in out
    assert refused.returncode == 2
    assert (
        f"on {socket.gethostname()} (SLURM job {jobs['requeued']}) is writing here; wait for it or end it"
        in refused.stderr
    )


def hold_at_epoch(workspace: Workspace, cluster: Cluster, run: str, epoch: int) -> tuple[str, psutil.Process]:
    """Number of the SLURM job that trains, and its process, once it has done some epochs; it then stands still."""
    wait_for(lambda: epochs(workspace, run) >= epoch, 300, f"epoch {epoch} of {run}")
    trainers = [process for process in psutil.process_iter() if is_at(process, workspace.folder)]
    [trainer] = [
        process
        for process in trainers
        if process.cmdline()[1:4] == ["-m", "zfrepro", "train"] and run in process.cmdline()
    ]
    trainer.suspend()
    number = job_of(cluster, run)
    assert number is not None
    return number, trainer


def is_at(process: psutil.Process, folder: Path) -> bool:
    """Whether it works in the folder."""
    try:
        return process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def train_by_hand(workspace: Workspace, run: str) -> subprocess.CompletedProcess:
    """The command of a job that is at work."""
    log = (workspace.folder / "results/long/logs/snakemake.log").read_text()
    spec = re.search(rf"--spec '(\{{.*?\}})' .*--name {run} ", log)
    assert spec
    command = [
        sys.executable, "-m", "zfrepro", "train", "--spec", spec[1], "--images", "results/long/prepare/source/manifest.json", "--out",
        f"results/long/train/{run}", "--name", run, "--device", "cpu",
    ]  # fmt: skip
    return subprocess.run(command, cwd=workspace.folder, capture_output=True, text=True, check=False)


def test_a_stopped_or_killed_run_leaves_no_job(workspace: Workspace, cluster: Cluster) -> None:
    """After SIGTERM at once; after SIGKILL once the next run begins, which then finishes the training."""
    process = start(workspace, weights("whole"), weights("cancelled"))
    wait_for(lambda: epochs(workspace, "whole") >= 2, 240, "training")
    process.terminate()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Stopped. Run the same command to resume." in out
    assert cluster.jobs() == []
    done = epochs(workspace, "whole")

    process = start(workspace, weights("whole"))
    job = wait_for(lambda: job_of(cluster, "whole"), 120, "the second run's job")
    wait_for(
        lambda: '"resumed"' in log_of(workspace, "whole"),
        120,
        "the second run",
    )
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert [number for number, _, _ in cluster.jobs()] == [job]
    leader = json.loads((workspace.folder / "results/.run.json").read_text())["group"]

    process = start(workspace, weights("whole"))
    wait_for(lambda: job not in [number for number, _, _ in cluster.jobs()], 60, "the killed run's job")
    out, _ = process.communicate(timeout=400)
    assert process.returncode == 0, out
    assert not Path(f"/proc/{leader}").exists()
    assert cluster.jobs() == []
    assert done >= 2


def test_what_slurm_refuses_is_on_the_terminal(workspace: Workspace) -> None:
    """A profile of one's own, with a partition that does not exist."""
    own = workspace.folder / "own"
    own.mkdir()
    text = (workspace.folder / "workflow/profiles/slurm/config.yaml").read_text()
    text = text.replace("#  slurm_partition: NAME", "  slurm_partition: nowhere #").replace("retries: 3", "retries: 0")
    (own / "config.yaml").write_text(text)
    code, output = workspace.call(
        "run", "--config", "experiment.yaml", "--profile", "own", "results/long/prepare/source/manifest.json"
    )
    assert code == 1
    assert "invalid partition specified: nowhere" in output
