"""The lock of a results folder: one run at a time, also where the file system has no locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import psutil

from zfrepro.errors import UserError

BUSY = (errno.EWOULDBLOCK, errno.EAGAIN)  # one number on Linux


@contextmanager
def hold(results: Path) -> Iterator[Path]:
    """Hold the lock of the results folder; yield the path of its run record. Raises UserError if another run is active.

    Where the file system has no locks (Lustre without `flock`, some NFS), the record of the last run decides, and a line says so.
    """
    record = results / ".run.json"
    with _open(results) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in BUSY:
                raise UserError(
                    f"another run ({_process(record)}) is using {results}/; wait for it or stop it"
                ) from error
            _check_record(results, record)
            reason = error.strerror or str(error)
            print(
                f"{results}/: its file system has no locks ({reason}): start no second run here while this one works",
                file=sys.stderr,
            )
        yield record


def read(record: Path) -> dict[str, Any]:
    """The run record: manager, group, started, host; empty for one that is not there or cannot be read."""
    with suppress(OSError, ValueError):
        content = json.loads(record.read_text(encoding="utf-8"))
        if isinstance(content, dict) and {"manager", "group", "started"} <= content.keys():
            return content
    return {}


def is_of_this_host(content: dict[str, Any]) -> bool:
    """Whether the processes that a record names are this machine's; older records name no host."""
    return content.get("host", socket.gethostname()) == socket.gethostname()


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
    if _started_before(content["manager"], content["started"]):
        raise UserError(f"another run ({_process(record)}) is using {results}/; wait for it or stop it")


def _started_before(pid: int, moment: float) -> bool:
    """Whether the process exists and is no later one with the same number; moment: when it started its jobs."""
    try:
        return psutil.Process(pid).create_time() <= moment + 1
    except psutil.Error:
        return False
