"""Keep what jobs have computed, under a key of everything that can change it, so that nothing is computed twice.

    results/<k>/<key>.json    one finished job: what the key was made of, sha256 of each file, seconds of computing; sha256 of all that
    objects/<s>/<sha256>      the files, by their content; hard links to the experiments' files where the file system can
    folders/<digest>          one line: a results folder that uses this store
    checked/<digest>          sha256 of a large input, with its size and times: see input_check

An entry is written last and in one piece, so a job that is killed leaves none. A file is served only if its sha256 is right. All of
it may be deleted at any time: it is then computed again. Times of files play no part.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zfrepro import graph
from zfrepro.errors import UserError
from zfrepro.storage import artifacts, guards
from zfrepro.storage.store_folder import VARIABLE, store_folder

RECORD = ".result.json"  # beside a job's files: how they came about
DIGEST = re.compile("[0-9a-f]{64}")
ABANDONED = 86_400  # seconds, by the file system's own clock, after which no process still writes a temporary file


@dataclass(frozen=True)
class Entry:
    """One finished job. files: name relative to the job's folder -> sha256."""

    key: str
    stage: str
    files: Mapping[str, str]
    seconds: float
    parts: Mapping[str, Any]


class ResultStore:
    def __init__(self, root: Path):
        self.root = root

    def object_path(self, digest: str) -> Path:
        return self.root / "objects" / digest[:2] / digest[2:]

    def _entry_path(self, key: str) -> Path:
        return self.root / "results" / key[:2] / f"{key[2:]}.json"

    def entry(self, key: str) -> Entry | None:
        """The entry, whether its files are there or not; None if there is none, or it is damaged."""
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            stored = json.loads(self._entry_path(key).read_bytes())
            is_whole = stored.pop("sha256") == _digest(stored)
            files = {str(name): str(digest) for name, digest in stored["files"].items()}
            safe = all(map(_is_inside, files)) and all(map(DIGEST.fullmatch, files.values()))
            if is_whole and stored["key"] == key and files and safe:
                return Entry(key, stored["stage"], files, float(stored["seconds"]), stored["parts"])
        return None

    def has_files(self, entry: Entry) -> bool:
        """Whether its files are there; whether they are whole is checked when they are taken."""
        return all(self.object_path(digest).is_file() for digest in entry.files.values())

    def take(self, key: str, out: Path) -> Entry | None:
        """Put the files of a finished job into the folder `out`; None if there are none, or one is damaged, which is then
        deleted."""
        entry = self.entry(key)
        if entry is None or not all(self._is_whole(digest) for digest in entry.files.values()):
            return None
        try:
            for name, digest in entry.files.items():
                _link(self.object_path(digest), out / name, digest)
        except FileNotFoundError:  # another run has pruned it
            return None
        return entry

    def _is_whole(self, digest: str) -> bool:
        path = self.object_path(digest)
        try:
            if artifacts.sha256(path) == digest:
                return True
            path.unlink()
        except OSError:
            pass
        return False

    def add(
        self, key: str, stage: str, parts: Mapping[str, Any], out: Path, names: Iterable[str], seconds: float
    ) -> None:
        """Store the files of a job, then its entry. Raises OSError where the disk is full or cannot be written."""
        files = {name: artifacts.sha256(out / name) for name in names}
        self._add_files(out, files)
        stored = {"key": key, "stage": stage, "files": files, "seconds": round(seconds, 1), "parts": parts}
        artifacts.save_json(self._entry_path(key), {**stored, "sha256": _digest(stored)})
        self._add_files(out, files)  # those that another run has pruned meanwhile, since no entry named them

    def _add_files(self, out: Path, files: Mapping[str, str]) -> None:
        for name, digest in files.items():
            if not self._is_whole(digest):
                _link(out / name, self.object_path(digest), digest)

    def register(self, results: Path) -> None:
        """Note that a results folder uses this store, so that `prune` keeps what its experiments use."""
        folder = str(results.resolve())
        path = self.root / "folders" / hashlib.sha256(folder.encode()).hexdigest()[:16]
        if not path.is_file():
            artifacts.save_text(path, f"{folder}\n")

    def folders(self) -> list[Path]:
        """The results folders that use this store, whether they still exist or not."""
        paths = sorted((self.root / "folders").glob("[!.]*"))
        return [Path(path.read_text(encoding="utf-8").strip()) for path in paths]

    def entries(self) -> Iterator[Entry]:
        for path in sorted((self.root / "results").glob("??/[!.]*.json")):
            entry = self.entry(path.parent.name + path.stem)
            if entry is not None:
                yield entry

    def objects(self) -> dict[str, int]:
        """sha256 -> bytes"""
        sizes = {}
        for path in (self.root / "objects").glob("??/[!.]*"):
            with suppress(FileNotFoundError):  # another run has pruned it
                sizes[path.parent.name + path.name] = path.stat().st_size
        return sizes

    def prune(self, used: Callable[[], Collection[str]]) -> int:
        """Delete all entries but those with the keys that `used` returns, and all files that none of the rest names; returns the
        bytes.

        What another run adds meanwhile stays: only what was there before the keys in use were looked up is deleted.
        """
        paths = list((self.root / "results").glob("??/[!.]*"))
        objects, keys_in_use = self.objects(), set(used())
        for path in paths:
            if path.parent.name + path.stem not in keys_in_use:
                path.unlink(missing_ok=True)
        needed = {digest for entry in self.entries() for digest in entry.files.values()}
        unneeded = {digest: size for digest, size in objects.items() if digest not in needed}
        for digest in unneeded:
            self.object_path(digest).unlink(missing_ok=True)
        for leftover in (*self._abandoned(), *(self.root / "checked").glob("[!.]*")):
            leftover.unlink(missing_ok=True)
        return sum(unneeded.values())

    def _abandoned(self) -> Iterator[Path]:
        """Temporary files of processes that were killed."""
        with tempfile.TemporaryFile(dir=self.root) as new:
            now = os.fstat(new.fileno()).st_ctime
        for path in (*self.root.glob("*/.*.tmp"), *self.root.glob("*/??/.*.tmp")):
            with suppress(FileNotFoundError):
                if now - path.stat().st_ctime > ABANDONED:
                    yield path


def folder_of(stage: str, out: Path) -> Path:
    """The folder of a job's files; out: what it writes, a folder or one file."""
    return out.parent if stage in graph.FILE_STAGES else out


def record_path(stage: str, out: Path) -> Path:
    """Beside the files of a job that writes `out`."""
    return out.with_name(f".{out.name}{RECORD}") if stage in graph.FILE_STAGES else out / RECORD


def read_record(stage: str, out: Path) -> dict[str, Any]:
    """How the files of a job came about: key, whether they were `taken` from the store, seconds; empty if unknown."""
    with suppress(OSError, ValueError):
        record = json.loads(record_path(stage, out).read_bytes())
        if isinstance(record, dict):
            return record
    return {}


def used_keys(results: Path) -> dict[str, set[str]]:
    """Key -> experiments, of every job whose files lie in a results folder."""
    keys: dict[str, set[str]] = {}
    for path in sorted(results.glob(f"[!.]*/*/**/*{RECORD}")):  # also those that begin with the dot of RECORD
        with suppress(OSError, ValueError, KeyError, TypeError):
            keys.setdefault(str(json.loads(path.read_bytes())["key"]), set()).add(path.relative_to(results).parts[0])
    return keys


def explain(error: OSError) -> str:
    """Why a result could not be stored."""
    if guards.is_disk_full(error):
        return "its disk is full"
    return error.strerror or str(error)


def prepare_folder(results: Path) -> None:
    """Make the store before a run, and note that these results use it. Raises UserError for one that cannot be made or read."""
    root = store_folder(results)
    if root is None:
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        os.listdir(root)
        ResultStore(root).register(results)
    except OSError as error:
        if guards.is_disk_full(error):
            return
        raise UserError(
            f"{root}: cannot be used as the result store ({error.strerror}); set {VARIABLE} to another folder, or to none"
        ) from error


def _digest(stored: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()


def _is_inside(name: str) -> bool:
    """Whether a name from an entry stays inside the job's folder."""
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts and path.name != ""


def _link(source: Path, target: Path, digest: str) -> None:
    """A hard link where the file system can, else a copy whose bytes are checked."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with artifacts.atomic(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise
            shutil.copyfile(source, temporary)
            if artifacts.sha256(temporary) != digest:
                raise OSError(errno.EIO, "the copy differs from what was copied", str(source)) from error
