"""Digests of what a job reads, for the keys of the result store: the content that can change a result, and only that."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from zfrepro.storage import artifacts
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
