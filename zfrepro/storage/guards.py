"""Protect a long job against a full disk and SIGTERM."""

from __future__ import annotations

import errno
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zfrepro.errors import UserError


def check_space(out: Path, needed: int, purpose: str) -> None:
    """Raise UserError if the disk of the existing folder `out` has less than `needed` bytes free."""
    free = shutil.disk_usage(out).free
    if free < needed:
        raise UserError(
            f"{out}: {_gigabytes(needed - free)} more disk space needed: {purpose} take {_gigabytes(needed)}, "
            f"{_gigabytes(free)} are free; delete files, use another disk or reduce the settings"
        )


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:.3g} GB"


def is_disk_full(error: OSError) -> bool:
    """Whether the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def report_disk_full(out: Path) -> Iterator[None]:
    """Turn the error of a full disk into a UserError."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise UserError(f"{out}: the disk is full ({error.strerror}); free some space and run again") from error
        raise


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block with an exception, so that temporary files and worker processes are cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
