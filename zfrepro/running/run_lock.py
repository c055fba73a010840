"""The lock of a results folder: one run at a time, also where the file system has no locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from zfrepro.errors import UserError
from zfrepro.storage import machine

BUSY = (errno.EWOULDBLOCK, errno.EAGAIN)  # one number on Linux


@contextmanager
def hold(results: Path, stop_leftovers: Callable[[Path], object] = lambda record: None) -> Iterator[Path]:
    """Hold the lock of the results folder; yield the path of its run record. Raises UserError if another run is active.

    The Snakemake of a run inherits the lock. If its manager is no longer there, `stop_leftovers`, given the record, is to end it.
    Where the file system has no locks (Lustre without `flock`, some NFS), the record of the last run decides, and a line says so.
    """
    record = results / ".run.json"
    with _open(results) as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            if not _lock(lock) and not (_is_orphan(record) and _lock_after(stop_leftovers, lock, record)):
                raise UserError(f"another run ({_process(record)}) is using {results}/; wait for it or stop it")
        except OSError as error:
            _check_record(results, record)
            reason = error.strerror or str(error)
            print(
                f"{results}/: its file system has no locks ({reason}): start no second run here while this one works",
                file=sys.stderr,
            )
        yield record


def _lock(file: TextIO) -> bool:
    """False if another process holds the lock. Raises OSError where the file system has none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in BUSY:
            return False
        raise
    return True


def _lock_after(stop_leftovers: Callable[[Path], object], file: TextIO, record: Path) -> bool:
    stop_leftovers(record)
    end = time.monotonic() + 5
    while not (locked := _lock(file)) and time.monotonic() < end:
        time.sleep(0.1)
    return locked


def _is_orphan(record: Path) -> bool:
    """Whether the run's manager was killed on this machine, so that only its Snakemake holds the lock."""
    content = read(record)
    return (
        bool(content)
        and is_of_this_machine(content)
        and not machine.has_process(content["manager"], content["started"])
    )


def read(record: Path) -> dict[str, Any]:
    """The run record: manager, group, started, host, boot, executor, log; empty for one that is not there or cannot be read."""
    with suppress(OSError, ValueError):
        content = json.loads(record.read_text(encoding="utf-8"))
        if isinstance(content, dict) and {"manager", "group", "started"} <= content.keys():
            return content
    return {}


def is_of_this_host(content: Mapping[str, Any]) -> bool:
    """Whether the processes that a record names are this machine's; older records name no host."""
    return content.get("host", socket.gethostname()) == socket.gethostname()


def is_of_this_machine(content: Mapping[str, Any]) -> bool:
    """Whether they are, and it was not started again since."""
    return is_of_this_host(content) and content.get("boot", machine.boot_id()) == machine.boot_id()


def _open(results: Path) -> TextIO:
    """Raises UserError where the folder cannot be made or written."""
    try:
        results.mkdir(parents=True, exist_ok=True)
        return open(results / ".run.lock", "a", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{Path(os.path.abspath(results))}: cannot be written ({error.strerror}); results go to the current folder: change to one "
            "that you may write to, and run again"
        ) from error


def _process(record: Path) -> str:
    content = read(record)
    if not content:
        return "its process is not known"
    host = "" if is_of_this_host(content) else f" on {content['host']}"
    return f"process {content['manager']}{host}"


def _check_record(results: Path, record: Path) -> None:
    """Without a lock: raises UserError if the last run's process still exists, or is another machine's, where that is not known."""
    content = read(record)
    if not content:
        return
    if not is_of_this_host(content):
        raise UserError(
            f"{results}/: the last run here was on {content['host']} (process {content['manager']}) and did not end by itself; if it is "
            f"no longer at work, delete {record} and run again"
        )
    if is_of_this_machine(content) and machine.has_process(content["manager"], content["started"]):
        raise UserError(f"another run ({_process(record)}) is using {results}/; wait for it or stop it")
