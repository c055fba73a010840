"""Digests of what a job reads, for the keys of the result store: the content that can change a result, and only that."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from zfrepro.storage import artifacts, paths
from zfrepro.storage.prepared_set import essential_manifest


def of_file(path: Path, whole: bool = False) -> str:
    """Of weights the digest that is written beside them; of a prepared set what its images and labels are, not where they come
    from; of anything else, or if `whole`, its bytes. Raises OSError and UserError for a file that cannot be read.

    Files that lie beside an input and are read with it are covered by a digest in it: images, features, folds (input_check).
    """
    path = paths.resolve(path)
    if path.name == "manifest.json" and not whole:
        return of_manifest(path)
    if path.suffix == ".safetensors" and not whole and (recorded := _named_digest(path)):
        return recorded
    return artifacts.sha256(path)


def _named_digest(path: Path) -> str:
    """As the file beside says it, to which the weights are compared where they are read; empty if there is none."""
    beside = path.with_name(path.name + ".sha256")
    return next(iter(beside.read_bytes().decode("ascii", "replace").split()), "") if beside.is_file() else ""


def of_manifest(path: Path) -> str:
    """Of manifest.json of a prepared set."""
    essential = essential_manifest(artifacts.load_json(path))
    return hashlib.sha256(json.dumps(essential, sort_keys=True).encode()).hexdigest()
