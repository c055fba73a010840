"""The largest memory that each job of a run has held, from the kernel's own record of every process below the run.

Snakemake's benchmark files look at a job every 30 seconds, and so miss what it holds for less.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

EVERY = 0.5  # seconds; of a process's largest memory only what it takes in its last half second may be missed
UNITS = {"kB": 1024}


@contextmanager
def recorded(pid: int, path: Path) -> Iterator[None]:
    """Keep in the JSON file `path`: job (its `name_of`) -> bytes, of all jobs below the process while in the block, and of those that
    the file had; of a job that was stopped and resumed the larger."""
    stop, peaks = threading.Event(), read(path)
    thread = threading.Thread(target=_watch, args=(pid, peaks, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        path.write_text(json.dumps(peaks, indent=1, sort_keys=True))


def read(path: Path) -> dict[str, int]:
    """Job -> bytes."""
    peaks: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    return peaks


def _watch(pid: int, peaks: dict[str, int], stop: threading.Event) -> None:
    """A job's memory is that of its processes together: what they share counts several times."""
    largest: dict[tuple[int, float], int] = {}
    members: dict[str, set[tuple[int, float]]] = {}
    while not stop.wait(EVERY):
        for job, process in _job_processes(pid):
            identity = process.pid, process.create_time()
            largest[identity] = max(largest.get(identity, 0), peak_of(process.pid))
            members.setdefault(job, set()).add(identity)
        for job, identities in members.items():
            peaks[job] = max(peaks.get(job, 0), sum(largest[identity] for identity in identities))


def _job_processes(pid: int) -> Iterator[tuple[str, psutil.Process]]:
    """Each process of every job below the process, with the job's name."""
    with suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error):
                if job := name_of(process.cmdline()):
                    for member in (process, *process.children(recursive=True)):
                        yield job, member


def name_of(command: Sequence[str]) -> str:
    """`results/x/train/improved` of `python -m zfrepro train ... --out results/x/train/improved`; empty for another command."""
    if "-m" not in command[1:2] or command[2:3] != ["zfrepro"] or "--out" not in command:
        return ""
    return command[command.index("--out") + 1]


def peak_of(pid: int) -> int:
    """Bytes: the largest resident memory that the process has had; 0 where the system does not say, or the process is gone."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                _, size, unit = line.split()
                return int(size) * UNITS[unit]
    return 0
