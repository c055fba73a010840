"""Answer "nothing to do" before Snakemake starts: everything that a finished run depends on is as it was.

Its sources are the bytes of the experiment file, of the workflow and of this package, sizes and times of all files that the
experiment file names, and the environment that changes what Snakemake does: they must be as they were before the run, so that an edit
during it is not taken for done. Its results, by their sizes and times, must be as it left them. Any difference, also one without
consequence, leads to Snakemake, which decides. It imports little: a run with nothing to do is over before numpy would be loaded.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zfrepro.storage import paths
from zfrepro.storage.workflow_files import PACKAGE, ROOT

RECORD = ".finished.json"
WATCHED = ("PYTHONPATH",)  # of the environment
PROFILE = "SNAKEMAKE_PROFILE"  # it may name files anywhere that change what Snakemake does
RESULTS = "results"
SKIPPED = ("logs", "__pycache__")
MANY = 200_000  # files in one folder tree; of a larger one only the folders' own times of change are compared


def report_of(config: Path) -> Path | None:
    """The report of an experiment file, if a run of it would have nothing to do."""
    if os.environ.get(PROFILE):
        return None
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        results = Path(RESULTS) / str(read(config)["experiment"])
        stored = json.loads((results / RECORD).read_bytes())
        same = stored["sources"] == _sources(config, stored["large_folders"])
        if same and stored["results"] == _results(results):
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


def save(config: Path, results: Path, before: Mapping[str, Any]) -> None:
    """After a run that has made the whole report; before: what `begin` returned. A folder that cannot be written costs the next run
    a start of Snakemake."""
    with suppress(OSError, ValueError):
        if before and before["sources"] == _sources(config, before["large_folders"]):
            record = {**before, "results": _results(results)}
            temporary = results / f"{RECORD}.tmp"
            temporary.write_text(json.dumps(record), encoding="utf-8")
            temporary.replace(results / RECORD)


def begin(config: Path, results: Path) -> dict[str, Any]:
    """Before anything is run: forget the earlier run. Returns what `save` compares, nothing where a file cannot be read."""
    (results / RECORD).unlink(missing_ok=True)
    with suppress(OSError, ValueError):
        large = _large_folders(read(config))
        return {"large_folders": large, "sources": _sources(config, large)}
    return {}


def _sources(config: Path, large: Mapping[str, list[str]]) -> str:
    """Hex digest of all that a run depends on; large: see _large_folders. Raises OSError or ValueError for a file that cannot be read."""
    return _fingerprint(_source_facts(config, read(config), large))


def _results(results: Path) -> str:
    return _fingerprint(_status(str(path)) for path in _files(results))


def _fingerprint(facts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(fact.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


def _source_facts(config: Path, content: dict[str, Any], large: Mapping[str, list[str]]) -> Iterator[str]:
    yield f"{sys.version} {importlib.metadata.version('snakemake')} {ROOT}"
    yield from (f"{name} {os.environ.get(name)}" for name in WATCHED)
    yield f"{config.resolve()} {_digest(config)}"
    for path in (ROOT / "Snakefile", *_files(ROOT / "workflow"), *_files(PACKAGE)):
        yield f"{path} {_digest(path)}"
    for named_path in sorted(set(_named_paths(content))):
        yield from _listing(named_path, large)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """All files below, sorted; without hidden ones, logs and Python's own."""
    for parent, folders, names in os.walk(folder, followlinks=True):
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
        if value not in ("", ".", "..", "/", RESULTS) and os.path.exists(path):
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
        for parent, below, names in os.walk(path, followlinks=True):
            below.sort()
            yield _status(parent)
            yield from (_status(os.path.join(parent, name)) for name in sorted(names))


def _status(path: str) -> str:
    try:
        status = os.stat(path)
    except FileNotFoundError:  # a link that leads nowhere
        status = os.lstat(path)
    return f"{path} {0 if stat.S_ISDIR(status.st_mode) else status.st_size} {status.st_mtime_ns}"


def _large_folders(content: dict[str, Any]) -> dict[str, list[str]]:
    """Folder that the experiment file names -> all folders below, if there are more than MANY files in them."""
    large = {}
    for path in _named_paths(content):
        tree = (
            [(parent, len(names)) for parent, _, names in os.walk(path, followlinks=True)]
            if os.path.isdir(path)
            else []
        )
        if sum(count for _, count in tree) > MANY:
            large[path] = sorted(parent for parent, _ in tree)
    return large
