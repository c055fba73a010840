"""Start Snakemake so that it can be stopped together with its jobs, and clean up after a manager that was killed.

Snakemake and all its jobs on this computer share a process group of their own. The manager and Snakemake hold a lock, and the
manager records the group in a file. The next manager reads the file and stops whatever is left of that group and, on a cluster, of
its jobs.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from zfrepro.running import profiles, slurm_jobs
from zfrepro.running import run_lock as run_lock_file
from zfrepro.running.profiles import Profile
from zfrepro.storage import artifacts, machine, surroundings
from zfrepro.storage.workflow_files import ROOT

# Environment of every job, unless the user sets these variables. Huge pages: on a CPU, page faults would otherwise take a fifth
# of the training time.
JOB_ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", **surroundings.ENCODING}
CACHES = Path("results/.cache")  # of libraries whose own folders cannot be written
GRACE_SECONDS = (
    60.0  # time for jobs to save their progress: two states of the widest network take 30 s on a busy machine
)
INTERRUPT_SECONDS = 20.0  # time for a Snakemake to cancel its jobs on a cluster
PREFIX = "ZFREPRO_"  # of the variables that the stages read


def snakemake_command(config: Path, *options: str, profile: Profile = profiles.DEFAULT) -> list[str]:
    """`python -m snakemake` on our Snakefile with one experiment; results/ is in the current folder."""
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config),
        "--workflow-profile", str(profile.path), *options,
    ]  # fmt: skip


def environment(device: str = "auto") -> dict[str, str]:
    """Environment of Snakemake and its jobs: this Python first on the path, the device, UTF-8, caches that can be written."""
    variables = {"PATH": _path(), "ZFREPRO_DEVICE": device, "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **surroundings.job_variables(os.environ, CACHES), **variables}


def adopt_job_environment() -> None:
    """Set the environment of jobs in this process and all that it starts. A Snakemake that runs one job on another computer does it
    there: rules say `python`, and on the path of that computer may be another or none."""
    os.environ["PATH"] = _path()
    for variable, value in JOB_ENVIRONMENT.items():
        os.environ.setdefault(variable, value)


def _path() -> str:
    """$PATH with this Python's folder first."""
    folder, path = str(Path(sys.executable).parent), os.environ.get("PATH", "")
    return path if path.split(os.pathsep)[0] == folder else f"{folder}{os.pathsep}{path}"


def passed_variables() -> list[str]:
    """Variables of the environment that jobs need wherever they run."""
    return sorted(name for name in os.environ if name.startswith(PREFIX))


def adopt_writable_caches() -> None:
    """For this process what `environment` gives the jobs: a library that draws or sets text looks for its cache when imported."""
    variables = surroundings.job_variables(os.environ, CACHES)
    os.environ.update({name: value for name, value in variables.items() if name not in surroundings.ENCODING})


@contextmanager
def run_lock(results: Path) -> Iterator[Path]:
    """Hold the lock of the results folder; yield the path of its run record. Raises UserError if another run is active."""
    with run_lock_file.hold(results, stop_leftovers) as record:
        stop_leftovers(record)
        yield record
        record.unlink(missing_ok=True)


def stop_leftovers(record: Path) -> list[int]:
    """Stop every process and every SLURM job that is left of an earlier manager's run; returns the processes' ids.

    The numbers of another machine's processes mean nothing here, nor do those from before this machine was started again.
    """
    earlier = run_lock_file.read(record)
    members = _members_here(earlier)
    if not _is_local(earlier):
        print("Stopping what an earlier run has left on the cluster ...", flush=True)
    if members:
        stop(earlier)
    elif earlier:
        cancel_on_cluster(earlier)
    record.unlink(missing_ok=True)
    return [process.pid for process in members]


def _members_here(earlier: Mapping[str, Any]) -> list[psutil.Process]:
    if not earlier or not run_lock_file.is_of_this_machine(earlier):
        return []
    return group_members(earlier["group"], earlier["started"])


def start(
    command: list[str], record: Path, output: Path, device: str, executor: str = profiles.LOCAL
) -> subprocess.Popen:
    """Start the command in a new process group, its output in a file: a pipe would break if the manager died.

    It inherits the lock of the results (see run_lock.hold), which so is held as long as it works.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with open(output, "wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            close_fds=False,
            env=environment(device),
        )
    started = psutil.Process(process.pid).create_time()
    content = {
        "manager": os.getpid(),
        "group": process.pid,
        "started": started,
        "host": socket.gethostname(),
        "boot": machine.boot_id(),
        "executor": executor,
        "log": str(output),
    }
    artifacts.save_json(record, content)
    return process


def stop(run: Mapping[str, Any]) -> None:
    """Stop a recorded Snakemake and its jobs, here and on a cluster."""
    if not _is_local(run):
        _interrupt(run)
    stop_group(run["group"], run["started"], GRACE_SECONDS if _is_local(run) else 5.0)
    cancel_on_cluster(run)


def _is_local(run: Mapping[str, Any]) -> bool:
    return run.get("executor", profiles.LOCAL) == profiles.LOCAL


def _interrupt(run: Mapping[str, Any]) -> None:
    """Ask Snakemake to cancel its jobs and to end, as Ctrl-C does: after SIGTERM it would wait for all of them."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(run["group"], signal.SIGINT)
    end = time.monotonic() + INTERRUPT_SECONDS
    while time.monotonic() < end and run["group"] in [
        process.pid for process in group_members(run["group"], run["started"])
    ]:
        time.sleep(0.2)


def cancel_on_cluster(run: Mapping[str, Any]) -> None:
    """Cancel what is left of a run's SLURM jobs and wait until they have saved their progress."""
    name = slurm_jobs.run_name(Path(run.get("log", "")))
    if run.get("executor") != "slurm" or name is None:
        return
    try:
        left = slurm_jobs.cancel_all(name)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"SLURM cannot be asked for the jobs of this run ({error}); see: squeue --name={name}", file=sys.stderr)
        return
    if left:
        print(f"SLURM has not ended the jobs {', '.join(left)} yet; see: squeue --name={name}", file=sys.stderr)


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
