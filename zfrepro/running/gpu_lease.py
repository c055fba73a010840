"""A GPU for a job. Snakemake counts GPUs and does not say which one a job gets, so each job takes one that is free.

A GPU has a lock file for each of the jobs that may share it. A job holds one as long as its process lives, and sees this GPU alone;
that of a killed job is free at once. The files lie in one folder for all runs and experiments of a user on a machine.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from zfrepro.errors import UserError
from zfrepro.running import gpus
from zfrepro.storage import machine

GPUS, JOBS_PER_GPU = "ZFREPRO_GPUS", "ZFREPRO_JOBS_PER_GPU"  # what a run tells its jobs: ids of its GPUs, jobs on each
GRANTED = (*machine.GPU_CHOICE, "SLURM_JOB_GPUS", "ROCR_VISIBLE_DEVICES")  # what it sets if it has given the job a GPU
SECONDS = 0.5  # between two looks for a free GPU

_held: list[int] = []  # file descriptors of the locks of this process


def variables(choice: gpus.Choice | None) -> dict[str, str]:
    """Environment of the jobs of a run; None: the CPU."""
    chosen, jobs = (choice.gpus, choice.jobs_per_gpu) if choice else ((), 1)
    return {GPUS: ",".join(gpu.id for gpu in chosen), JOBS_PER_GPU: str(jobs)}


def forget() -> None:
    """The jobs of this run are given their GPUs by a cluster."""
    for name in (GPUS, JOBS_PER_GPU):
        os.environ.pop(name, None)


def offer() -> None:
    """Name all GPUs of this machine to the jobs of a run that `zfrepro run` has not started."""
    if GPUS not in os.environ and os.environ.get("ZFREPRO_DEVICE") != "cpu":
        os.environ[GPUS] = ",".join(gpu.id for gpu in gpus.visible())


def slots() -> int:
    """How many jobs can use the GPUs of the run at once; 0 where it has not named any: on the CPU, on a cluster."""
    return len(_named()) * _jobs_per_gpu()


def take(device: str) -> bool:
    """Wait until a GPU is free, and keep it until this process ends; whether it now sees other GPUs than before.

    device: where the job computes, `auto`, `cpu`, `cuda` or `cuda:1`; a GPU with a number is kept under this number.
    """
    if _held or device == "cpu" or _is_granted(os.environ):
        return False
    ids = _named() if GPUS in os.environ else [gpu.id for gpu in gpus.visible()]
    number = device.partition(":")[2]
    if number:
        ids = ids[int(number) : int(number) + 1]
    if not ids:
        return False
    gpu, lock = _wait(_folder(), ids, _jobs_per_gpu())
    _held.append(lock)
    if number:
        return False
    os.environ.update({name: gpu for name in machine.GPU_CHOICE if name in ("CUDA_VISIBLE_DEVICES", *os.environ)})
    return True


def _named() -> list[str]:
    return [word for word in os.environ.get(GPUS, "").split(",") if word]


def _jobs_per_gpu() -> int:
    text = os.environ.get(JOBS_PER_GPU) or "1"
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"{JOBS_PER_GPU}={text}: use a whole number, at least 1")
    return int(text)


def _is_granted(environment: Mapping[str, str]) -> bool:
    """Whether a batch system has given this job its GPU. Inside such a job, a run gives out those that it sees: it names them."""
    in_batch = any(name in environment for name in machine.BATCH_JOBS)
    return GPUS not in environment and in_batch and any(environment.get(name) for name in GRANTED)


def _folder() -> Path:
    """The user's own: in a folder that others can write they could stop every job. Not $XDG_RUNTIME_DIR, which is emptied when the
    user logs out, and a run may go on then."""
    folder = Path(tempfile.gettempdir()) / f"zfrepro-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o077:
        raise UserError(f"{folder}: others can change what is there; remove it, or set TMPDIR to a folder of your own")
    return folder


def _wait(folder: Path, ids: Sequence[str], jobs_per_gpu: int) -> tuple[str, int]:
    """Id of a GPU, file descriptor of its lock."""
    waiting = False
    while (slot := _free_slot(folder, ids, jobs_per_gpu)) is None:
        if not waiting:
            jobs = f"{len(ids) * jobs_per_gpu} on {len(ids)} GPU{'s' * (len(ids) > 1)}"
            print(json.dumps({"note": f"waiting for other jobs to end ({jobs}; locks: {folder})"}), flush=True)
        waiting = True
        time.sleep(SECONDS)
    return slot


def _free_slot(folder: Path, ids: Sequence[str], jobs_per_gpu: int) -> tuple[str, int] | None:
    """Of the GPU with the fewest jobs, the first of several; None if all are taken."""
    with _choosing(folder):
        free = {gpu: list(_free_locks(folder, gpu, jobs_per_gpu)) for gpu in ids}
        gpu = max(free, key=lambda name: len(free[name]))
        kept = free[gpu].pop(0) if free[gpu] else None
        for lock in (lock for locks in free.values() for lock in locks):
            os.close(lock)
    return None if kept is None else (gpu, kept)


@contextmanager
def _choosing(folder: Path) -> Iterator[None]:
    """One process at a time looks which locks are free, since it holds them while it does."""
    lock = os.open(folder / "choosing.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _free_locks(folder: Path, gpu: str, jobs_per_gpu: int) -> Iterator[int]:
    """File descriptors, now locked."""
    for job in range(jobs_per_gpu):
        lock = os.open(folder / f"{quote(gpu, safe='')}.{job}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            yield lock
