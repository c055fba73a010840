"""Start Snakemake so that it can be stopped together with its jobs, and clean up after a manager that was killed.

Snakemake and all its jobs share a process group of their own. The manager holds a lock while they run and records the group in
a file. The next manager that gets the lock reads the file and stops whatever is left of that group.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from zfrepro.running import run_lock as run_lock_file
from zfrepro.storage import artifacts, surroundings
from zfrepro.storage.workflow_files import ROOT

# Environment of every job, unless the user sets these variables. Huge pages: on a CPU, page faults would otherwise take a fifth
# of the training time.
JOB_ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", **surroundings.ENCODING}
CACHES = Path("results/.cache")  # of libraries whose own folders cannot be written
GRACE_SECONDS = 15.0  # time for jobs to save their progress


def snakemake_command(config: Path, *options: str) -> list[str]:
    """`python -m snakemake` on our Snakefile with one experiment; results/ is in the current folder."""
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config),
        "--workflow-profile", str(ROOT / "workflow/profiles/default"), *options,
    ]  # fmt: skip


def environment(device: str = "auto") -> dict[str, str]:
    """Environment of Snakemake and its jobs: this Python first on the path, the device, UTF-8, caches that can be written."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    variables = {"PATH": path, "ZFREPRO_DEVICE": device, "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **surroundings.job_variables(os.environ, CACHES), **variables}


def adopt_job_environment() -> None:
    """Set the environment of jobs in this process and all that it starts."""
    for variable, value in JOB_ENVIRONMENT.items():
        os.environ.setdefault(variable, value)


def adopt_writable_caches() -> None:
    """For this process what `environment` gives the jobs: a library that draws or sets text looks for its cache when imported."""
    variables = surroundings.job_variables(os.environ, CACHES)
    os.environ.update({name: value for name, value in variables.items() if name not in surroundings.ENCODING})


@contextmanager
def run_lock(results: Path) -> Iterator[Path]:
    """Hold the lock of the results folder; yield the path of its run record. Raises UserError if another run is active."""
    with run_lock_file.hold(results) as record:
        stop_leftovers(record)
        yield record
        record.unlink(missing_ok=True)


def stop_leftovers(record: Path) -> list[int]:
    """Stop every process that is left of the recorded group of an earlier manager; returns their ids.

    The numbers of another machine's processes mean nothing here: its record is only removed.
    """
    earlier = run_lock_file.read(record)
    record.unlink(missing_ok=True)
    if not earlier or not run_lock_file.is_of_this_host(earlier):
        return []
    members = group_members(earlier["group"], earlier["started"])
    if members:
        stop_group(earlier["group"], earlier["started"])
    return [process.pid for process in members]


def start(command: list[str], record: Path, output: Path, device: str) -> subprocess.Popen:
    """Start the command in a new process group, its output in a file: a pipe would break if the manager died."""
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
    content = {"manager": os.getpid(), "group": process.pid, "started": started, "host": socket.gethostname()}
    artifacts.save_json(record, content)
    return process


def stop_group(group: int, started: float, grace: float = GRACE_SECONDS) -> None:
    """Send SIGTERM to all, SIGKILL to those left after `grace` seconds."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not group_members(group, started):
                return
            time.sleep(0.1)


def group_members(group: int, started: float) -> list[psutil.Process]:
    """Running processes of the session that began at `started`; a later session with the same number is not ours."""
    members = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            ours = os.getsid(process.pid) == group and process.create_time() >= started - 1
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def is_locked() -> bool:
    """Whether Snakemake's own lock exists in this folder."""
    return any(Path(".snakemake/locks").glob("*"))
