"""Answer "nothing to do" before Snakemake starts: everything that a finished run depends on is as it was when it finished.

The fingerprint holds the bytes of the experiment file, of the workflow and of this package, sizes and times of all results and of
all files that the experiment file names, and the environment that changes what Snakemake does. Any difference, also one without
consequence, leads to Snakemake, which decides. It imports little: a run with nothing to do is over before numpy would be loaded.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from zfrepro.running.options import ROOT
from zfrepro.storage import paths

RECORD = ".finished.json"
WATCHED = ("SNAKEMAKE_PROFILE", "PYTHONPATH")  # of the environment
SKIPPED = ("logs", "__pycache__")
MANY = 200_000  # files in one folder tree, beyond which a folder's own time of change stands for its files


def report_of(config: Path) -> Path | None:
    """The report of an experiment file, if a run of it would have nothing to do."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        content = read(config)
        results = Path("results") / str(content["experiment"])
        stored = json.loads((results / RECORD).read_bytes())
        if stored["fingerprint"] == fingerprint(config, content, results):
            return results / "report"
    return None


def read(config: Path) -> dict[str, Any]:
    """The experiment file as plain values. Raises ValueError for anything but a mapping."""
    import yaml

    try:
        content = yaml.load(config.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    if not isinstance(content, dict):
        raise ValueError(f"{config}: not a mapping")
    return content


def save(config: Path, results: Path) -> None:
    """After a run that has made the whole report; a folder that cannot be written costs the next run a start of Snakemake."""
    with suppress(OSError, ValueError):
        record = {"fingerprint": fingerprint(config, read(config), results)}
        temporary = results / f"{RECORD}.tmp"
        temporary.write_text(json.dumps(record), encoding="utf-8")
        temporary.replace(results / RECORD)


def forget(results: Path) -> None:
    """Before anything is run."""
    (results / RECORD).unlink(missing_ok=True)


def fingerprint(config: Path, content: dict[str, Any], results: Path) -> str:
    """Hex digest. Raises OSError for a file that cannot be read."""
    whole = hashlib.sha256()
    for line in _facts(config, content, results):
        whole.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return whole.hexdigest()


def _facts(config: Path, content: dict[str, Any], results: Path) -> Iterator[str]:
    yield f"{sys.version} {importlib.metadata.version('snakemake')} {ROOT}"
    yield from (f"{name} {os.environ.get(name)}" for name in WATCHED)
    yield f"{config.resolve()} {_digest(config)}"
    for path in (ROOT / "Snakefile", *_files(ROOT / "workflow"), *_files(ROOT / "zfrepro")):
        yield f"{path} {_digest(path)}"
    for path in _files(results):
        about = path.stat()
        yield f"{path} {about.st_size} {about.st_mtime_ns}"
    for named in sorted(set(_named_paths(content))):
        yield from _listing(named)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """All files below, sorted; without hidden ones, logs and Python's own."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _named_paths(value: Any) -> Iterator[str]:
    """Texts in the experiment file that are files or folders."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _named_paths(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _named_paths(inner)
    elif isinstance(value, str) and "\n" not in value and len(value) < 4096:
        path = str(paths.resolve(value))
        if os.sep in path and os.path.exists(path):
            yield path


def _listing(path: str) -> Iterator[str]:
    """Names, sizes and times of change of the files below; in a tree of more than MANY only those of the folders."""
    if not os.path.isdir(path):
        about = os.stat(path)
        yield f"{path} {about.st_size} {about.st_mtime_ns}"
        return
    count = 0
    for parent, folders, names in os.walk(path):
        folders.sort()
        yield f"{parent} {os.stat(parent).st_mtime_ns} {len(names)}"
        for name in sorted(names):
            count += 1
            if count <= MANY:
                about = os.stat(os.path.join(parent, name))
                yield f"{name} {about.st_size} {about.st_mtime_ns}"
