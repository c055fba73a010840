"""The SLURM jobs of a run that was stopped or killed.

Snakemake cancels its jobs when it is interrupted, but misses those that it is just submitting or asking about, and all of them if it
is killed. It gives every job of a run the same name and prints it, so they can be found afterwards.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

RUN_NAME = re.compile(r"^SLURM run ID: (\S+)$", re.MULTILINE)
END_SECONDS = 90.0  # a cancelled job has SLURM's KillWait, 30 seconds unless configured, to save its progress
ENDING = ("COMPLETING",)


def run_name(log: Path) -> str | None:
    """Name of the run's jobs, from what Snakemake printed; None if it has submitted none."""
    try:
        names = RUN_NAME.findall(log.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return names[-1] if names else None


def list_jobs(name: str) -> dict[str, str]:
    """Number -> state of the run's jobs that have not ended. Raises OSError if SLURM cannot be asked."""
    lines = _call("squeue", "--noheader", "--format=%i|%T", f"--name={name}").splitlines()
    return dict(line.split("|", 1) for line in lines if "|" in line)


def cancel(name: str) -> dict[str, str]:
    """Cancel the run's jobs; returns those that have not ended yet."""
    jobs = list_jobs(name)
    if waiting := [number for number, state in jobs.items() if state not in ENDING]:
        _call("scancel", *waiting)
    return jobs


def cancel_all(name: str, seconds: float = END_SECONDS) -> dict[str, str]:
    """Cancel the run's jobs and wait until they have ended; returns those that have not."""
    end = time.monotonic() + seconds
    while (jobs := cancel(name)) and time.monotonic() < end:
        time.sleep(1)
    return jobs


def _call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=60)
    if done.returncode and command[0] == "squeue":
        raise OSError(done.stderr.strip() or f"{command[0]} failed")
    return done.stdout
