"""Start Snakemake so that it can be stopped whole, and clear away what a killed manager left behind.

Snakemake and all its jobs share a process group of their own. The manager holds a lock while it works and notes the group
in a file: the next manager that gets the lock finds the note and ends whatever still runs of that group.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from zfrepro.errors import UserError
from zfrepro.storage import artifacts

ROOT = Path(__file__).resolve().parents[2]  # holds Snakefile, workflow/, config.yaml
# Environment of every job, unless the user says otherwise. glibc takes memory in huge pages: on a CPU, page faults would cost
# training a fifth of its time.
JOBS = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
GRACE = 15.0  # seconds that jobs have to save their progress


def experiment_parser(verb: str, explanation: str | None) -> argparse.ArgumentParser:
    """The options that every verb has: which experiment."""
    parser = argparse.ArgumentParser(f"zfrepro {verb}", description=explanation)
    default = ROOT / "config.yaml"
    parser.add_argument("--config", type=Path, default=default, metavar="FILE", help="experiment; default: config.yaml")
    return parser


def snakemake_command(config: Path, *options: str) -> list[str]:
    """`python -m snakemake` on our Snakefile with one experiment; results/ lies in the current folder."""
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config),
        "--workflow-profile", str(ROOT / "workflow/profiles/default"), *options,
    ]  # fmt: skip


def environment(device: str = "auto") -> dict[str, str]:
    """For Snakemake and its jobs: this Python first on the path, the device to compute on."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "ZFREPRO_DEVICE": device, "PYTHONUNBUFFERED": "1"}


def adopt_job_environment() -> None:
    """Give this process, and whatever it starts, the environment of jobs."""
    for variable, value in JOBS.items():
        os.environ.setdefault(variable, value)


@contextmanager
def run_lock(results: Path) -> Iterator[Path]:
    """Hold the folder's lock; yield the note's path. Raises UserError if another run is at work."""
    results.mkdir(parents=True, exist_ok=True)
    note = results / ".run.json"
    with open(results / ".run.lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            other = json.loads(note.read_text())["manager"] if note.is_file() else "unknown"
            raise UserError(
                f"another run (process {other}) is at work in {results}/; wait for it, or stop it"
            ) from error
        reap(note)
        yield note
        note.unlink(missing_ok=True)


def reap(note: Path) -> list[int]:
    """End every process of the group that an earlier manager noted and left; gives their ids."""
    try:
        left = json.loads(note.read_text())
    except (OSError, ValueError):
        return []
    members = group_members(left["group"], left["started"])
    if members:
        stop_group(left["group"], left["started"])
    note.unlink(missing_ok=True)
    return [process.pid for process in members]


def start(command: list[str], note: Path, output: Path, device: str) -> subprocess.Popen:
    """Start in a process group of its own, output to a file (a pipe would break if the manager died)."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with open(output, "wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment(device),
        )
    started = psutil.Process(process.pid).create_time()
    artifacts.save_json(note, {"manager": os.getpid(), "group": process.pid, "started": started})
    return process


def stop_group(group: int, started: float, grace: float = GRACE) -> None:
    """SIGTERM to all, SIGKILL to what is left after `grace` seconds."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not group_members(group, started):
                return
            time.sleep(0.1)


def group_members(group: int, started: float) -> list[psutil.Process]:
    """Living processes of a session that began at `started`; a later group of the same number is not ours."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            ours = os.getsid(process.pid) == group and process.create_time() >= started - 1
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def locked() -> bool:
    """Whether Snakemake's own lock is left in this folder."""
    return any(Path(".snakemake/locks").glob("*"))
