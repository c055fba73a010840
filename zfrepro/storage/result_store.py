"""Keep what jobs have computed, under a key of everything that can change it, so that nothing is computed twice.

    results/<k>/<key>.json    one finished job: what the key was made of, sha256 of each file, seconds of computing
    objects/<s>/<sha256>      the files, by their content; hard links to the experiments' files where the file system can
    folders/<digest>          one line: a results folder that uses this store

An entry is written last and in one piece, so a job that is killed leaves none. A file is served only if its sha256 is right. All of
it may be deleted at any time: it is then computed again. Times of files play no part.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zfrepro.errors import UserError
from zfrepro.storage import artifacts
from zfrepro.storage.store_folder import VARIABLE, store_folder

RECORD = ".result.json"  # beside a job's files: how they came about


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
        """The entry, whether its files are there or not; None if there is none, or it cannot be read."""
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            stored = json.loads(self._entry_path(key).read_bytes())
            files = {str(name): str(digest) for name, digest in stored["files"].items()}
            if stored["key"] == key and files and all(map(_is_inside, files)):
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
        files = {}
        for name in names:
            files[name] = artifacts.sha256(out / name)
            target = self.object_path(files[name])
            if not self._is_whole(files[name]):
                _link(out / name, target, files[name])
        stored = {"key": key, "stage": stage, "files": files, "seconds": round(seconds, 1), "parts": parts}
        artifacts.save_json(self._entry_path(key), stored)

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
        paths = (self.root / "objects").glob("??/[!.]*")
        return {path.parent.name + path.name: path.stat().st_size for path in paths}

    def prune(self, used: set[str]) -> int:
        """Delete all entries but those with the keys `used`, and all files that none of these names; returns the bytes."""
        needed = {digest for entry in self.entries() if entry.key in used for digest in entry.files.values()}
        for path in (self.root / "results").glob("??/*"):
            if path.parent.name + path.stem not in used:
                path.unlink(missing_ok=True)
        freed = 0
        for digest, size in self.objects().items():
            if digest not in needed:
                self.object_path(digest).unlink(missing_ok=True)
                freed += size
        for leftover in (self.root / "objects").glob("??/.*.tmp"):
            leftover.unlink(missing_ok=True)
        return freed


def record_path(out: Path) -> Path:
    """Of a job that writes the folder or the file `out`."""
    return out.with_name(f".{out.name}{RECORD}") if out.suffix else out / RECORD


def read_record(out: Path) -> dict[str, Any]:
    """How the files of a job came about: key, whether they were `taken` from the store, seconds; empty if unknown."""
    with suppress(OSError, ValueError):
        record = json.loads(record_path(out).read_bytes())
        if isinstance(record, dict):
            return record
    return {}


def used_keys(results: Path) -> dict[str, str]:
    """Key -> experiment, of every job whose files lie in a results folder."""
    paths = sorted(results.glob(f"*/*/**/*{RECORD}")) + sorted(results.glob(f"*/*/**/{RECORD}"))
    keys = {}
    for path in paths:
        with suppress(OSError, ValueError, KeyError, TypeError):
            keys[str(json.loads(path.read_bytes())["key"])] = path.relative_to(results).parts[0]
    return keys


def explain(error: OSError) -> str:
    """Why a result could not be stored."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
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
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return
        raise UserError(
            f"{root}: cannot be used as the result store ({error.strerror}); set {VARIABLE} to another folder, or to none"
        ) from error


def _is_inside(name: str) -> bool:
    """Whether a name from an entry stays inside the job's folder."""
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


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
