"""Digests of what a job reads, for the keys of the result store: the content that can change a result, and only that."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from zfrepro.storage import artifacts, paths
from zfrepro.storage.prepared_set import essential_manifest


def of_file(path: Path, whole: bool = False) -> str:
    """Of weights the digest that is written beside them; of a prepared set what its images and labels are, not where they come
    from; of anything else, or if `whole`, its bytes. Raises OSError and UserError for a file that cannot be read.

    Files that lie beside an input and are read with it are covered by a digest in it: images, features, folds.
    """
    path = Path(path)
    if path.name == "manifest.json" and not whole:
        return of_manifest(path)
    beside = path.with_name(path.name + ".sha256")
    if path.suffix == ".safetensors" and beside.is_file() and not whole:
        return beside.read_text(encoding="utf-8").split()[0]
    return artifacts.sha256(path)


def of_manifest(path: Path) -> str:
    """Of manifest.json of a prepared set."""
    essential = essential_manifest(artifacts.load_json(path))
    return hashlib.sha256(json.dumps(essential, sort_keys=True).encode()).hexdigest()


def of_folders(roots: Iterable[Path]) -> str:
    """Of names, sizes and times of change of all files below some folders, or of the files given: cheap, whatever they hold."""
    listing = hashlib.sha256()
    for root in roots:
        for path, about in sorted(_files(paths.resolve(root))):
            listing.update(f"{path}\0{about.st_size}\0{about.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return listing.hexdigest()


def _files(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    if root.is_file():
        yield root.name, root.stat()
        return
    waiting = [str(root)] if root.is_dir() else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file():
                    yield os.path.relpath(entry.path, root), entry.stat()
