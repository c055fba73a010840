"""Unpack a .tar (plain, gz, bz2 or xz) or .zip that came from elsewhere: nothing lands outside, and it appears whole.

Every member is checked before the first byte is written. Links and devices are refused, as no image set needs them.
Our own checks and not tarfile's filter="data": that lets links lead outside before Python 3.11.13 (CVE-2025-4517), is
missing before 3.11.4, and overwrites a file whose name occurs twice.
"""

from __future__ import annotations

import json
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from zfrepro.datasets import folders
from zfrepro.errors import UserError
from zfrepro.storage import artifacts, guards

# What the two libraries raise on archives that are cut short, damaged, locked or packed in a way they do not know.
BAD_ARCHIVE = (
    OSError, EOFError, ValueError, RuntimeError, NotImplementedError,
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip


@dataclass(frozen=True)
class _Member:
    """One entry: `kind` is "file", "folder", or what it is instead; `open` gives a file's bytes."""

    name: str
    kind: str
    size: int
    open: Callable[[], BinaryIO]


def unpack(archive: Path, target: Path, sha256: str | None = None, inside: str = "") -> None:
    """Make `target` from what the archive holds in its folder `inside`, or from all of it.

    Unpacked into a folder beside `target` and renamed at the end. Raises UserError, and writes nothing, if the file's
    sha256 is not the given one, if any member is a link, a device or has a path that leaves the target, or on damage.
    """
    archive, target = Path(archive).expanduser(), Path(target).expanduser()
    if target.exists():
        raise UserError(f"{target}: is there already; remove it before {archive} is unpacked to that place")
    digest = _checked(archive, sha256)
    print(json.dumps({"unpacking": str(archive), "sha256": digest}), flush=True)
    with _faults_named(archive), guards.stopped_by_sigterm(), guards.full_disk_said(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as unfinished:
            whole = Path(unfinished) / "whole"
            with _opened(archive) as members:
                _check(archive, members, target)
                _write(archive, members, whole)
            if not (whole / inside).is_dir():
                raise UserError(f"{archive}: holds no folder {inside}; it is not the archive of {target}")
            os.replace(whole / inside, target)


def download(url: str, md5: str, target: Path, sha256: str | None = None, inside: str = "") -> None:
    """Fetch an archive through torchvision, which checks the md5 of its publisher, and `unpack` it as `target`."""
    from zfrepro.models import torchvision_import

    torchvision_import.ensure()
    from torchvision.datasets.utils import download_url

    def fetch(unfinished: str) -> None:
        download_url(url, unfinished, "archive", md5)
        unpack(Path(unfinished) / "archive", Path(unfinished) / target.name, sha256, inside)

    folders.download(target, fetch)


def _checked(archive: Path, expected: str | None) -> str:
    """The file's sha256, which is the expected one if one is given."""
    if not archive.is_file():
        raise UserError(f"{archive}: no such archive; name a .tar, .tar.gz, .tar.bz2, .tar.xz or .zip file")
    found = artifacts.sha256(archive)
    if expected is not None and found != expected.strip().lower():
        raise UserError(f"{archive}: its sha256 is {found}, not {expected}; it is damaged or another edition")
    return found


@contextmanager
def _faults_named(archive: Path) -> Iterator[None]:
    try:
        yield
    except BAD_ARCHIVE as error:
        raise UserError(f"{archive}: cannot be unpacked ({type(error).__name__}: {error}); get it anew") from error


@contextmanager
def _opened(archive: Path) -> Iterator[list[_Member]]:
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened:
            yield [_of_tar(opened, entry) for entry in opened.getmembers()]
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield [_of_zip(opened, entry) for entry in opened.infolist()]
    else:
        raise UserError(f"{archive}: is neither a tar nor a zip archive, or cut short; get it anew")


def _of_tar(opened: tarfile.TarFile, entry: tarfile.TarInfo) -> _Member:
    kind = "file" if entry.isreg() else "folder" if entry.isdir() else "link" if _links(entry) else "device"
    return _Member(entry.name, kind, entry.size, lambda: opened.extractfile(entry))


def _links(entry: tarfile.TarInfo) -> bool:
    return entry.issym() or entry.islnk()


def _of_zip(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Member:
    mode = stat.S_IFMT(entry.external_attr >> 16)  # 0 where a system without such modes packed it
    plain = "folder" if entry.is_dir() else "file"
    kind = {0: plain, stat.S_IFREG: plain, stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}.get(mode, "device")
    return _Member(entry.filename, kind, entry.file_size, lambda: opened.open(entry))


def _check(archive: Path, members: list[_Member], target: Path) -> None:
    for member in members:
        path = PureWindowsPath(member.name)  # knows both kinds of slash, and drives
        if path.anchor or ".." in path.parts:
            raise UserError(f"{archive}: refused, its member {member.name!r} would land outside {target}")
        if member.kind not in ("file", "folder"):
            raise UserError(f"{archive}: refused, its member {member.name!r} is a {member.kind}; pack plain files only")
    guards.check_space(target.parent, sum(member.size for member in members), f"the files of {archive.name}")


def _write(archive: Path, members: list[_Member], whole: Path) -> None:
    whole.mkdir()
    for member in members:
        path = whole / PurePosixPath(member.name)
        try:
            if member.kind == "folder":
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as source, open(path, "xb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise UserError(f"{archive}: refused, it holds {member.name!r} twice") from error
