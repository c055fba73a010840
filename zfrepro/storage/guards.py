"""What a long job guards against: a disk that is or gets full, and SIGTERM."""

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
            f"{_gigabytes(free)} are free; free some, choose another disk or ask for less"
        )


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:.3g} GB"


@contextmanager
def full_disk_said(out: Path) -> Iterator[None]:
    """A write that finds the disk full becomes a UserError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{out}: the disk is full ({error.strerror}); free some space and run again") from error
        raise


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM leaves the block as an exception, so that temporary files and worker processes go with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
