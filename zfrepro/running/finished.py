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
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zfrepro.running.options import ROOT
from zfrepro.storage import paths

RECORD = ".finished.json"
WATCHED = ("SNAKEMAKE_PROFILE", "PYTHONPATH")  # of the environment
SKIPPED = ("logs", "__pycache__")
MANY = 200_000  # files in one folder tree; of a larger one only the folders' own times of change are compared


def report_of(config: Path) -> Path | None:
    """The report of an experiment file, if a run of it would have nothing to do."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        content = read(config)
        results = Path("results") / str(content["experiment"])
        stored = json.loads((results / RECORD).read_bytes())
        if stored["fingerprint"] == fingerprint(config, content, results, stored["large_folders"]):
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
        content = read(config)
        large = _large_folders(content)
        record = {"fingerprint": fingerprint(config, content, results, large), "large_folders": large}
        temporary = results / f"{RECORD}.tmp"
        temporary.write_text(json.dumps(record), encoding="utf-8")
        temporary.replace(results / RECORD)


def forget(results: Path) -> None:
    """Before anything is run."""
    (results / RECORD).unlink(missing_ok=True)


def fingerprint(config: Path, content: dict[str, Any], results: Path, large: Mapping[str, list[str]]) -> str:
    """Hex digest. large: see _large_folders. Raises OSError for a file that cannot be read."""
    whole = hashlib.sha256()
    for line in _facts(config, content, results, large):
        whole.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return whole.hexdigest()


def _facts(config: Path, content: dict[str, Any], results: Path, large: Mapping[str, list[str]]) -> Iterator[str]:
    yield f"{sys.version} {importlib.metadata.version('snakemake')} {ROOT}"
    yield from (f"{name} {os.environ.get(name)}" for name in WATCHED)
    yield f"{config.resolve()} {_digest(config)}"
    for path in (ROOT / "Snakefile", *_files(ROOT / "workflow"), *_files(ROOT / "zfrepro")):
        yield f"{path} {_digest(path)}"
    for path in _files(results):
        about = path.stat()
        yield f"{path} {about.st_size} {about.st_mtime_ns}"
    for named in sorted(set(_named_paths(content))):
        yield from _listing(named, large)


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


def _listing(path: str, folders: Mapping[str, list[str]]) -> Iterator[str]:
    """Names, sizes and times of change of the files below; of a large tree, whose folders are known, only those of the folders.

    A folder changes when a file in it comes, goes or gets another name, not when a file's content is overwritten in place.
    """
    if not os.path.isdir(path):
        yield _status(path)
    elif path in folders:
        yield from map(_status, folders[path])
    else:
        for parent, below, names in os.walk(path):
            below.sort()
            yield _status(parent)
            yield from (_status(os.path.join(parent, name)) for name in sorted(names))


def _status(path: str) -> str:
    about = os.lstat(path)
    return f"{path} {0 if stat.S_ISDIR(about.st_mode) else about.st_size} {about.st_mtime_ns}"


def _large_folders(content: dict[str, Any]) -> dict[str, list[str]]:
    """Folder that the experiment file names -> all folders below, if there are more than MANY files in them."""
    large = {}
    for path in _named_paths(content):
        tree = [(parent, len(names)) for parent, _, names in os.walk(path)] if os.path.isdir(path) else []
        if sum(count for _, count in tree) > MANY:
            large[path] = sorted(parent for parent, _ in tree)
    return large
