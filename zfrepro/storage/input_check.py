"""Check the large files that lie beside an input and are read with it: the input names their sha256, and only that is in a key.

Reading a set of 260 GB takes minutes, so the digest of a file is remembered with its size, its times and its number on the disk, for as
long as these stay as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from zfrepro.errors import UserError
from zfrepro.storage import artifacts


def require_whole(inputs: Iterable[Path], memory: Path) -> None:
    """memory: folder for the digests of files. Raises UserError for one that is damaged or missing."""
    for path in inputs:
        for file, digest in _beside(path):
            if not file.is_file() or _sha256(file, memory) != digest:
                raise UserError(
                    f"{file}: damaged, its sha256 is not the one in {path.name}; delete {path.parent} and run again"
                )


def _beside(path: Path) -> Iterator[tuple[Path, str]]:
    """File and the sha256 that an input names: of a prepared set, of features, of folds."""
    if path.name not in ("manifest.json", "features.json", "folds.json"):
        return
    content = artifacts.load_json(path)
    for key in ("sha256", "thumbnails"):
        digests = content.get(key) if isinstance(content, dict) else None
        for name, digest in (digests if isinstance(digests, dict) else {}).items():  # the stage says what is odd
            yield path.with_name(f"layer{name}.npy" if path.name == "features.json" else name), digest


def _sha256(file: Path, memory: Path) -> str:
    status = os.stat(file)
    state = [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    place = memory / hashlib.sha256(str(file.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    with suppress(OSError, ValueError, TypeError, KeyError):
        stored = json.loads(place.read_bytes())
        if stored["state"] == state:
            return str(stored["sha256"])
    digest = artifacts.sha256(file)
    with suppress(OSError):
        artifacts.save_json(place, {"state": state, "sha256": digest})
    return digest
