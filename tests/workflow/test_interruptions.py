"""Stopped, killed, run twice: progress is kept, nobody stays behind, the same command goes on to the same bits."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from helpers.workspace import Workspace

EXPERIMENT = """
experiment: long
title: Long enough to be killed
prepare:
  source: {dataset: scenes, size: 64, options: {set: source, size: 64, train_per_class: 8, val_per_class: 1}}
train:
  recipe: {width: 0.08, input_size: 64, epochs: 16, batch: 32, init: he, input_scale: 0.03125, crops: random, schedule: cosine}
  runs: {improved: {base: improved}}
report: {exhibits: [fig3_architecture, training_curves]}
"""
WEIGHTS = "results/long/train/improved/model.safetensors"
LOG = "results/long/logs/train/improved.log"
RUN = ("run", "--config", "experiment.yaml", "--cores", "2")
TRAIN = (*RUN, WEIGHTS)  # the network alone, without exhibits and report

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A workspace whose network was trained in one go."""
    workspace = Workspace(tmp_path_factory.mktemp("whole"), EXPERIMENT)
    workspace.run(WEIGHTS)
    return workspace


@pytest.fixture
def workspace(tmp_path, uninterrupted):
    """An empty one."""
    return Workspace(tmp_path, EXPERIMENT)


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)
    return value


def epochs_done(workspace):
    log = workspace.folder / LOG
    return log.read_text().count("val_top1_error") if log.is_file() else 0


def members(workspace):
    """Living processes that work in this folder, but for the manager."""
    processes = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(workspace.folder) and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
        except psutil.Error:
            pass
    return processes


def same_weights(first, second):
    return (first.folder / WEIGHTS).read_bytes() == (second.folder / WEIGHTS).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on(workspace, uninterrupted, number):
    process = workspace.start(*TRAIN)
    wait_for(lambda: epochs_done(workspace) >= 3)
    process.send_signal(number)
    asked = time.monotonic()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert time.monotonic() - asked < 15
    assert members(workspace) == []
    assert "Stopped. Run the same command to resume." in out
    assert not (workspace.folder / WEIGHTS).exists()
    workspace.run(WEIGHTS)
    assert '"resumed"' in (workspace.folder / LOG).read_text()
    assert same_weights(workspace, uninterrupted)


def test_a_killed_manager_leaves_nobody_behind_the_next_run(workspace, uninterrupted):
    process = workspace.start(*TRAIN)
    wait_for(lambda: epochs_done(workspace) >= 3)
    process.kill()
    process.communicate()
    orphans = members(workspace)
    assert any("train" in orphan.cmdline() for orphan in orphans)
    workspace.run(WEIGHTS)
    assert not any(orphan.is_running() and orphan.status() != psutil.STATUS_ZOMBIE for orphan in orphans)
    assert same_weights(workspace, uninterrupted)


def test_a_second_run_is_refused_while_one_works(workspace):
    process = workspace.start(*RUN)
    try:
        wait_for(lambda: members(workspace) and (workspace.folder / "results/.run.json").is_file())
        code, output = workspace.call(*RUN)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert code == 2
    assert f"another run (process {process.pid}) is using results/" in output


def test_a_trainer_killed_again_and_again_ends_with_the_same_bits(uninterrupted, tmp_path):
    """SIGKILL at whatever step it is, several times; what it leaves is whole or absent."""
    spec = json.loads((uninterrupted.folder / "results/long/train/improved/network.json").read_text())["spec"]
    out = tmp_path / "train/improved"
    images = uninterrupted.folder / "results/long/prepare/source/manifest.json"
    command = [
        sys.executable,
        "-m",
        "zfrepro",
        "train",
        "--spec",
        json.dumps(spec),
        "--images",
        str(images),
        "--out",
        str(out),
    ]
    command += ["--save-every", "0.1", "--name", "improved"]
    log, alone = tmp_path / "log", {**os.environ, "ZFREPRO_STORE": "none"}
    for kill in range(3):
        with open(log, "a") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, cwd=uninterrupted.folder, env=alone)
            wait_for(lambda goal=4 * (kill + 1): log.read_text().count("val_top1_error") >= goal)
            process.kill()
            process.wait()
        assert not out.exists() or not any(path for path in out.iterdir() if not path.name.startswith("."))
    with open(log, "a") as file:
        subprocess.run(command, check=True, stdout=file, cwd=uninterrupted.folder, env=alone)
    assert log.read_text().count('"resumed"') >= 3
    assert (out / "model.safetensors").read_bytes() == (uninterrupted.folder / WEIGHTS).read_bytes()


def test_a_failed_job_is_shown_and_the_rest_is_kept(workspace):
    module = workspace.folder / "zfrepro/exhibits/fig3_architecture.py"
    module.write_text(module.read_text() + "\n\ndef build(files):\n    raise RuntimeError('broken on purpose')\n")
    code, output = workspace.call(*RUN)
    assert code == 1
    assert "FAILED  exhibits fig3_architecture" in output
    assert "broken on purpose" in output
    assert (workspace.folder / WEIGHTS).is_file()
    assert not os.path.exists(workspace.folder / "results/long/report/index.html")
