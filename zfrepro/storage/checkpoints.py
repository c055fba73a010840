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

from zfrepro.storage import artifacts


def key(*parts: Any) -> str:
    """Short digest of plain values that together decide a result."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Store:
    """`folder`/<key>/ holds `state.<sha256>.pt` while a result is in the making, and its files once it is finished.

    A state carries its digest in its name, so that one rename makes both: whenever the process is killed, a whole state is there.
    """

    def __init__(self, folder: Path, key: str):
        self.folder = folder / key

    def states(self) -> list[Path]:
        """Saved states, the newest first; more than one only where a kill came before the older was dropped."""
        return sorted(self.folder.glob("state.*.pt"), key=lambda path: path.stat().st_mtime_ns, reverse=True)

    def load_state(self) -> dict[str, Any] | None:
        """The last saved state, or None if there is none that can be read."""
        import torch

        for path in self.states():
            try:
                if artifacts.sha256(path) in path.name:
                    return torch.load(path, map_location="cpu", weights_only=True)
            except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
                continue
        return None

    def save_state(self, state: dict[str, Any]) -> None:
        """Add the state, then drop the one before."""
        import torch

        unnamed = self.folder / "state.pt"
        with artifacts.atomic(unnamed) as temporary:
            torch.save(state, temporary)
        named = unnamed.with_name(f"state.{artifacts.sha256(unnamed)}.pt")
        unnamed.replace(named)
        for older in self.states():
            if older != named:
                older.unlink()

    def finished(self, names: tuple[str, ...]) -> bool:
        return all((self.folder / name).is_file() for name in names)

    def keep(self, out: Path, names: tuple[str, ...]) -> None:
        """Remember finished files (by hard link where the file system can) and drop the state."""
        for name in names:
            _link(out / name, self.folder / name)
        for state in self.states():
            state.unlink()

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
