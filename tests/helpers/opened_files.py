"""Which files this process opens for reading."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_listeners: list[set[Path]] = []
_installed: list[bool] = []


@contextmanager
def recorded(below: Path) -> Iterator[set[Path]]:
    """The files below a folder that are opened for reading in the block, relative to it; not those that only libraries in other
    languages open."""
    if not _installed:
        sys.addaudithook(_listen)
        _installed.append(True)
    opened: set[Path] = set()
    files: set[Path] = set()
    _listeners.append(opened)
    try:
        yield files
    finally:
        _listeners.remove(opened)
        root = below.resolve()
        files |= {path.relative_to(root) for path in map(Path.resolve, opened) if path.is_relative_to(root)}


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _listeners:
        path, _, flags = arguments
        if isinstance(path, str | os.PathLike) and (flags or 0) & os.O_ACCMODE in (os.O_RDONLY, os.O_RDWR):
            for opened in _listeners:
                opened.add(Path(path))
