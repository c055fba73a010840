"""Jobs that a stopped run has left in SLURM, with commands that play SLURM's."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from zfrepro.running import manager, slurm_jobs, snakemake_run
from zfrepro.running.profiles import Profile

SQUEUE = """#!/bin/sh
test "$3" = --name=8dfa-4 || exit 0
cat {queue}
"""
SCANCEL = """#!/bin/sh
echo "$@" >> {calls}
sed -i s/RUNNING/COMPLETING/ {queue}
test -e {stuck} || (sleep 0.2; : > {queue}) &
"""
LOG = "Building DAG of jobs...\nSLURM run ID: 1-2\nSLURM run ID: 8dfa-4\nUsing shell: /usr/bin/bash\n"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `queue`, what squeue shows, and `calls`, what scancel was called with."""
    programs = tmp_path / "bin"
    programs.mkdir()
    files = {name: tmp_path / name for name in ("queue", "calls", "stuck")}
    for name, text in {"squeue": SQUEUE, "scancel": SCANCEL}.items():
        (programs / name).write_text(text.format(**files))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(slurm_jobs.time, "sleep", lambda seconds, sleep=time.sleep: sleep(min(seconds, 0.05)))
    files["queue"].write_text("7|RUNNING\n8|PENDING\n9|COMPLETING\n")
    (tmp_path / "snakemake.log").write_text(LOG)
    return tmp_path


def record(slurm: Path, **values: object) -> dict[str, object]:
    return {
        "manager": 1, "group": 2**22 + 1, "started": time.time(), "host": "login2", "executor": "slurm",
        "log": str(slurm / "snakemake.log"), **values,
    }  # fmt: skip


def test_the_name_of_a_run_is_the_last_that_snakemake_printed(tmp_path: Path, slurm: Path) -> None:
    assert slurm_jobs.run_name(slurm / "snakemake.log") == "8dfa-4"
    (tmp_path / "other.log").write_text("Building DAG of jobs...\n")
    assert slurm_jobs.run_name(tmp_path / "other.log") is None
    assert slurm_jobs.run_name(tmp_path / "none.log") is None


def test_jobs_are_cancelled_once_and_waited_for(slurm: Path) -> None:
    assert slurm_jobs.cancel_all("8dfa-4") == {}
    assert (slurm / "calls").read_text().splitlines()[0] == "7 8"
    assert slurm_jobs.list_jobs("8dfa-4") == {}


def test_the_next_run_cancels_what_a_killed_one_has_left_whichever_computer_that_was_on(slurm: Path) -> None:
    path = slurm / ".run.json"
    path.write_text(json.dumps(record(slurm)))
    assert manager.stop_leftovers(path) == []
    assert (slurm / "calls").is_file()
    assert not path.exists()


def test_another_executors_jobs_are_not_looked_for(slurm: Path) -> None:
    manager.cancel_on_cluster(record(slurm, executor="local"))
    assert not (slurm / "calls").exists()


def test_a_job_that_does_not_end_is_named(
    slurm: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (slurm / "stuck").touch()
    monkeypatch.setattr(slurm_jobs, "cancel_all", lambda name, real=slurm_jobs.cancel_all: real(name, 0.1))
    manager.cancel_on_cluster(record(slurm))
    assert "SLURM has not ended the jobs 7, 8, 9 yet; see: squeue --name=8dfa-4" in capsys.readouterr().err


def test_a_computer_without_slurm_says_so(
    slurm: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(slurm))
    manager.cancel_on_cluster(record(slurm, host=socket.gethostname()))
    assert "SLURM cannot be asked for the jobs of this run" in capsys.readouterr().err


def test_the_jobs_of_a_snakemake_that_crashed_are_cancelled(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snakemake_run.signal, "signal", lambda *_: None)
    command = [sys.executable, "-c", f"import sys; print({LOG!r}, flush=True); sys.exit(1)"]
    monkeypatch.setattr(manager, "snakemake_command", lambda *_, **__: command)
    record, profile = slurm / ".run.json", Profile(slurm, "slurm")
    outcome = snakemake_run.run(slurm / "config.yaml", slurm / "results", record, "auto", profile, [], [])
    assert outcome.code == 1
    assert (slurm / "calls").read_text().splitlines()[0] == "7 8"
