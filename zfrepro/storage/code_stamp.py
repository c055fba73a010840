"""Whether this package is on disk as it was when this process began: else it may have imported other code than a digest reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
Stamp = tuple[tuple[str, int, int, int], ...]


@cache
def at_start() -> Stamp:
    """As it was when this was first called, which must be before a stage is imported."""
    return now()


def now() -> Stamp:
    """Path, size and times of change of every module; takes some milliseconds."""
    return tuple(sorted(_modules()))


def _modules() -> Iterator[tuple[str, int, int, int]]:
    for folder, _, names in os.walk(ROOT):
        for name in names:
            if name.endswith(".py"):
                about = os.stat(os.path.join(folder, name))
                yield os.path.join(folder, name), about.st_size, about.st_mtime_ns, about.st_ctime_ns
