"""Keep the state of a long stage to resume from, under a key of everything that it depends on.

Snakemake deletes the declared outputs of a job that fails or runs again. This folder is not a declared output, so it stays. A
state is used only with the same key: the same settings, code, data, versions and precision.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zfrepro.storage import artifacts, single_writer


def key(*parts: Any) -> str:
    """Short digest of the values that a result depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Store:
    """`folder`/<key>/ contains `state.<sha256>.pt` until the result is complete.

    The digest is in the name of the state, so one rename writes both: a complete state exists whenever the process is killed.
    """

    def __init__(self, folder: Path, key: str):
        self.folder = folder / key
        self._writer: single_writer.Writer | None = None

    @contextmanager
    def only_writer(self) -> Iterator[None]:
        """No second process works on this result, under whatever key, on whatever machine. Raises UserError that names the one
        that does."""
        with single_writer.hold(self.folder.parent) as self._writer:
            yield

    def states(self) -> list[Path]:
        """Saved states, newest first; more than one only if the process was killed before it deleted the older."""
        return sorted(self.folder.glob("state.*.pt"), key=lambda path: path.stat().st_mtime_ns, reverse=True)

    def load_state(self) -> dict[str, Any] | None:
        """The newest readable state; None if there is none."""
        import torch

        for path in self.states():
            try:
                if artifacts.sha256(path) in path.name:
                    return torch.load(path, map_location="cpu", weights_only=True)
            except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
                continue
        return None

    def save_state(self, state: dict[str, Any]) -> None:
        """Save the state, then delete the previous one."""
        import torch

        if self._writer is not None:
            self._writer.require_current()
        unnamed = self.folder / "state.pt"
        with artifacts.atomic(unnamed) as temporary:
            torch.save(state, temporary)
        final = unnamed.with_name(f"state.{artifacts.sha256(unnamed)}.pt")
        unnamed.replace(final)
        for older in self.states():
            if older != final:
                older.unlink()

    def delete_states(self) -> None:
        """Once the result is complete."""
        for state in self.states():
            state.unlink()


class BackgroundSaver:
    """Save states in a thread, one at a time, so that the work goes on meanwhile; a state must not change after `start`.

    As a context it waits at its end for the state that is being saved. That one may fail without harm: either the work is complete,
    or an error is on its way already.
    """

    def __init__(self, store: Store):
        self.store, self._pool = store, ThreadPoolExecutor(1, "checkpoint")
        self._saving: Future[None] | None = None

    @property
    def busy(self) -> bool:
        return self._saving is not None and not self._saving.done()

    def start(self, state: dict[str, Any]) -> None:
        """After the state before; raises that one's error."""
        self.finish()
        self._saving = self._pool.submit(self.store.save_state, state)

    def finish(self) -> None:
        """Wait for the state that is being saved; raises its error, once."""
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def check(self) -> None:
        """Raise the error of a state that could not be saved; does not wait."""
        if not self.busy:
            self.finish()

    def __enter__(self) -> BackgroundSaver:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


@contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM or SIGINT sets, so that the work can save its state before it ends."""
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
