"""Keep what a long stage has paid for: a resumable state, and finished results under the key of what made them.

Snakemake deletes a job's declared outputs when the job dies or runs again; this folder is not declared, so it stays. A state
is only ever taken up under the same key: same settings, code, data, versions and precision.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zfrepro import artifacts
from zfrepro.errors import UserError


def key(*parts: Any) -> str:
    """Short digest of plain values that together decide a result."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Store:
    """`folder`/<key>/ holds `state.pt` while a result is in the making, and its files once it is finished."""

    def __init__(self, folder: Path, key: str):
        self.folder = folder / key
        self.state_file = self.folder / "state.pt"

    def load_state(self) -> dict[str, Any] | None:
        """The last saved state, or None if there is none that can be read."""
        import torch

        try:
            artifacts.check_sha256(self.state_file)
            return torch.load(self.state_file, map_location="cpu", weights_only=True)
        except (UserError, OSError, RuntimeError, EOFError, pickle.UnpicklingError):
            return None

    def save_state(self, state: dict[str, Any]) -> None:
        """Replace the saved state; the one before stays until the new one is whole."""
        import torch

        with artifacts.atomic(self.state_file) as temporary:
            torch.save(state, temporary)
            digest = artifacts.sha256(temporary)
            # a kill between the two renames leaves a state whose digest differs: it is then not taken up
            artifacts.save_text(self.state_file.with_name("state.pt.sha256"), f"{digest}  state.pt\n")

    def finished(self, names: tuple[str, ...]) -> bool:
        return all((self.folder / name).is_file() for name in names)

    def keep(self, out: Path, names: tuple[str, ...]) -> None:
        """Remember finished files (by hard link where the file system can) and drop the state."""
        for name in names:
            _link(out / name, self.folder / name)
        for leftover in (self.state_file, self.state_file.with_name("state.pt.sha256")):
            leftover.unlink(missing_ok=True)

    def give_back(self, out: Path, names: tuple[str, ...]) -> None:
        out.mkdir(parents=True, exist_ok=True)
        for name in names:
            _link(self.folder / name, out / name)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with artifacts.atomic(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


@contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM or SIGINT sets, so that work can end at a good place instead of at once."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Every:
    """True once per period: `if saving.due(): ...`"""

    def __init__(self, seconds: float):
        self.seconds, self.last = seconds, time.monotonic()

    def due(self) -> bool:
        if time.monotonic() - self.last < self.seconds:
            return False
        self.last = time.monotonic()
        return True
