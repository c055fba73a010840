"""One writer of a folder at a time, on all machines that share its file system.

The kernel's lock (flock) ends with its process. But some file systems have none (Lustre without `flock`), and some have one that other
machines do not see (`localflock`). So a writer also leaves a note of who it is, and touches it as long as it lives. A process that
finds the note of another machine waits until it is touched, and gives up, or has been silent for long, and takes over.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zfrepro.errors import UserError
from zfrepro.storage import artifacts, machine

TOUCH_SECONDS = 20.0
SILENT_SECONDS = 120.0  # longer than what a network file system's clients remember of a file
LOOK_SECONDS = 2.0
LOCK, NOTE = ".writer.lock", ".writer.json"


class Writer:
    """The only writer of `folder`, until another machine takes it for dead."""

    def __init__(self, folder: Path):
        self.note = folder / NOTE
        self.content = {
            "token": uuid.uuid4().hex,
            "host": socket.gethostname(),
            "boot": machine.boot_id(),
            "process": os.getpid(),
            "started": time.time(),
            "job": machine.batch_job(),
        }
        artifacts.save_json(self.note, self.content)

    def is_current(self) -> bool:
        """Also while the note cannot be read: only another's token says that another writes."""
        return read_note(self.note).get("token", self.content["token"]) == self.content["token"]

    def require_current(self) -> None:
        """Raises UserError if another writer has taken over, as happens to a process that was suspended for minutes."""
        if not self.is_current():
            raise UserError(f"{self.note.parent}: {_name(read_note(self.note))} has taken over; this process ends")

    def keep_touching(self, ended: threading.Event) -> None:
        while not ended.wait(TOUCH_SECONDS):
            with suppress(OSError):
                if self.is_current():
                    os.utime(self.note)

    def leave(self) -> None:
        with suppress(OSError):
            if self.is_current():
                self.note.unlink()


@contextmanager
def hold(folder: Path) -> Iterator[Writer]:
    """Be the folder's only writer. Raises UserError, naming the other, if there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "a", encoding="utf-8") as lock:
        _require_free(folder, locked=_lock(lock.fileno(), folder))
        writer, ended = Writer(folder), threading.Event()
        thread = threading.Thread(target=writer.keep_touching, args=(ended,), daemon=True)
        thread.start()
        try:
            yield writer
        finally:
            ended.set()
            thread.join()
            writer.leave()


def read_note(note: Path) -> dict[str, Any]:
    """Empty for one that is not there or cannot be read."""
    with suppress(OSError, ValueError):
        content = json.loads(note.read_text(encoding="utf-8"))
        if isinstance(content, dict) and {"token", "host", "boot", "process", "started"} <= content.keys():
            return content
    return {}


def _lock(file: int, folder: Path) -> bool:
    """False where the file system has no locks. Raises UserError if another process has this one."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _busy(folder) from None
    except OSError:
        return False
    return True


def _require_free(folder: Path, locked: bool) -> None:
    """Raises UserError if the writer that the note names still works."""
    content = read_note(folder / NOTE)
    if not content:
        return
    if content["host"] != socket.gethostname():
        _wait_for_silence(folder)
    elif (
        not locked
        and content["boot"] == machine.boot_id()
        and machine.has_process(content["process"], content["started"])
    ):
        raise _busy(folder)


def _wait_for_silence(folder: Path) -> None:
    """Return once the note of another machine has not been touched for long, or is gone."""
    note = folder / NOTE
    first, announced = _touched(note), False
    while (touched := _touched(note)) is not None:
        if touched != first:
            raise _busy(folder)
        if _now(folder) - touched > SILENT_SECONDS:
            return
        if not announced:
            _log(
                note=f"{_name(read_note(note))} was the last to write {folder}; waiting up to {SILENT_SECONDS:.0f} s for a sign of it"
            )
            announced = True
        time.sleep(LOOK_SECONDS)


def _touched(note: Path) -> float | None:
    """When, by the clock of the file system; None if the note is gone. Opened, so that a network file system asks its server."""
    try:
        with open(note, "rb") as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return None


def _now(folder: Path) -> float:
    """By the clock of the file system: this machine's may differ."""
    os.utime(folder / LOCK)
    with open(folder / LOCK, "rb") as file:
        return os.fstat(file.fileno()).st_mtime


def _busy(folder: Path) -> UserError:
    return UserError(
        f"{folder}: {_name(read_note(folder / NOTE))} is writing here; wait for it or end it, then run again"
    )


def _name(content: dict[str, Any]) -> str:
    """`process 77 on node7 (SLURM job 12)`"""
    if not content:
        return "another process"
    job = f" ({content['job']})" if content.get("job") else ""
    return f"process {content['process']} on {content['host']}{job}"


def _log(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)
