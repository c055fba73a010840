"""What lies in the folders of a data set, by names and sizes: cheap to list, and enough to notice that images came, went or changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zfrepro.datasets.walk import HELPER_FILES, is_helper_folder
from zfrepro.spec import Base
from zfrepro.storage import paths


@dataclass(frozen=True)
class Contents:
    """files: how many; size: bytes of all; digest: of their names and sizes."""

    files: int
    size: int
    digest: str

    def __str__(self) -> str:
        return f"{self.files:,} files, {self.size:,} bytes, {self.digest}"


def roots(options: Base) -> list[Path]:
    """The folders and files that the options of a data set name; none for one that is drawn.

    Of a folder that holds other sets as well, such as data/ with ImageNet's million files, the part that is the set's own, if it is
    there already.
    """
    named = {name: paths.resolve(value) for name, value in options if isinstance(value, Path)}
    own = {"root": options.own_folder} if hasattr(options, "own_folder") else {}
    return [*(named | own).values()]


def of_folders(places: Iterable[Path], times: bool = False) -> Contents:
    """times: whether the times of a file's last change count too; then a `touch` changes the digest.

    A program can set the first of these times, as `cp -p` does, but not the second, so no replaced file goes unnoticed.
    """
    files, size, listing = 0, 0, hashlib.sha256()
    for folder in places:
        listing.update(b"\n")
        for name, status in sorted(_files(folder)):
            files, size = files + 1, size + status.st_size
            changed = f" {status.st_mtime_ns} {status.st_ctime_ns}" if times else ""
            listing.update(f"{name}\0{status.st_size}{changed}\n".encode("utf-8", "surrogateescape"))
    return Contents(files, size, listing.hexdigest()[:16])


def _files(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Path relative to the root and status of every file that a reader might read; each real folder once."""
    if root.is_file():
        yield root.name, root.stat()
        return
    waiting, entered = [str(root)] if root.is_dir() else [], set()
    skipped = len(os.path.join(root, ""))
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in entered:
            continue
        entered.add(real)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    waiting += [] if is_helper_folder(entry.name) else [entry.path]
                elif not entry.name.startswith(".") and entry.name.lower() not in HELPER_FILES and entry.is_file():
                    yield entry.path[skipped:], entry.stat()
