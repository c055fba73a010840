"""Unpack a .tar (plain, gz, bz2 or xz) or .zip that came from elsewhere: nothing lands outside, and it appears whole.

Every member is checked before the first byte is written. Links and devices are refused, as no image set needs them.
Our own checks and not tarfile's filter="data": that lets links lead outside before Python 3.11.13 (CVE-2025-4517), is
missing before 3.11.4, and overwrites a file whose name occurs twice.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, cast

from zfrepro.datasets import folders
from zfrepro.errors import UserError
from zfrepro.storage import artifacts, guards, paths


@dataclass(frozen=True)
class _Member:
    """One entry; `kind` is "file", "folder", "link" or "device", and `open` a file's bytes."""

    name: str
    kind: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, target: Path, sha256: str | None = None, inside: str = "") -> None:
    """Unpack the archive, or only its folder `inside`, as the folder `target`.

    Unpacks into a temporary folder next to `target`, then renames it. Raises UserError and leaves nothing if the sha256
    differs, a member is a link, a device or has a path outside the target, or the archive is damaged.
    """
    archive, target = paths.resolve(archive), paths.resolve(target)
    if target.exists():
        raise UserError(f"{target}: already exists; remove it to unpack {archive} there")
    digest = _check_sha256(archive, sha256)
    print(json.dumps({"unpacking": str(archive), "sha256": digest}), flush=True)
    with _name_archive(archive), guards.stopped_by_sigterm(), guards.report_disk_full(target.parent):
        folders.create_folder(target.parent)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
            unpacked = Path(temporary) / "unpacked"
            with _open_members(archive) as members:
                _check(archive, members, target)
                _write(archive, members, unpacked)
            if not (unpacked / inside).is_dir():
                raise UserError(
                    f"{archive}: contains no folder {inside}, so it is not the archive of {target}; name the right one"
                )
            os.replace(unpacked / inside, target)


def download(url: str, md5: str, target: Path, sha256: str | None = None, inside: str = "") -> None:
    """Download an archive through torchvision, which checks the publisher's md5, and `unpack` it as `target`."""
    from zfrepro.models import torchvision_import

    torchvision_import.ensure()
    from torchvision.datasets.utils import download_url

    def fetch(temporary: str) -> None:
        download_url(url, temporary, "archive", md5)
        unpack(Path(temporary) / "archive", Path(temporary) / target.name, sha256, inside)

    folders.download(target, fetch)


def _check_sha256(archive: Path, expected: str | None) -> str:
    """The file's sha256. Raises UserError if it is not the expected one."""
    if not archive.is_file():
        raise UserError(
            f"{archive}: {'is a folder' if archive.is_dir() else 'no such file'}; name a .tar, .tar.gz, .tar.bz2, .tar.xz or .zip file"
        )
    digest = artifacts.sha256(archive)
    if expected is not None and digest != expected.strip().lower():
        raise UserError(
            f"{archive}: its sha256 is {digest}, not {expected}, so it is damaged or another edition; download it again "
            "or fix the option `sha256`"
        )
    return digest


@contextmanager
def _name_archive(archive: Path) -> Iterator[None]:
    try:
        yield
    except (UserError, MemoryError):
        raise
    except (
        Exception
    ) as error:  # of the two libraries, on archives that are cut, damaged, encrypted or of another compression
        raise UserError(
            f"{archive}: cannot be unpacked ({type(error).__name__}: {error}); download it again"
        ) from error


@contextmanager
def _open_members(archive: Path) -> Iterator[list[_Member]]:
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            members = [_tar_member(tar, entry) for entry in tar.getmembers()]
            _require_end(archive, tar)
            yield members
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            yield [_zip_member(zipped, entry) for entry in zipped.infolist()]
    else:
        raise UserError(f"{archive}: neither a tar nor a zip archive, or truncated; download it again")


def _require_end(archive: Path, tar: tarfile.TarFile) -> None:
    """Raises UserError without a tar's end mark: tarfile takes a damaged header, and a cut between two members, for the end.

    Reads on to the end of the file, so that the checksum of a compressed one is compared.
    """
    file = cast(IO[bytes], tar.fileobj)
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise UserError(f"{archive}: damaged or cut after {len(tar.getmembers())} members; download it again")
    while file.read(1 << 20):
        pass


def _tar_member(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> _Member:
    kind = "file" if entry.isreg() else "folder" if entry.isdir() else "link" if _is_link(entry) else "device"
    return _Member(entry.name, kind, entry.size, lambda: cast(IO[bytes], tar.extractfile(entry)))


def _is_link(entry: tarfile.TarInfo) -> bool:
    return entry.issym() or entry.islnk()


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Member:
    mode = stat.S_IFMT(entry.external_attr >> 16)  # 0 if packed on a system without such modes
    plain = "folder" if entry.is_dir() else "file"
    kind = {0: plain, stat.S_IFREG: plain, stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}.get(mode, "device")
    return _Member(entry.filename, kind, entry.file_size, lambda: archive.open(entry))


def _check(archive: Path, members: list[_Member], target: Path) -> None:
    for member in members:
        if not paths.is_utf8(member.name):
            raise UserError(
                f"{archive}: refused, as the name of its member {paths.escape(member.name)} is not UTF-8; pack it with other names"
            )
        path = PureWindowsPath(member.name)  # understands both kinds of slash, and drives
        if path.anchor or ".." in path.parts:
            raise UserError(
                f"{archive}: refused, as its member {member.name!r} would be written outside {target}; use another archive"
            )
        if member.kind not in ("file", "folder"):
            raise UserError(
                f"{archive}: refused, as its member {member.name!r} is a {member.kind}; pack plain files only"
            )
    guards.check_space(target.parent, sum(member.size for member in members), f"the files of {archive.name}")


def _write(archive: Path, members: list[_Member], folder: Path) -> None:
    folder.mkdir()
    for member in members:
        path = folder / PurePosixPath(member.name)
        try:
            if member.kind == "folder":
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with member.open() as source, open(path, "xb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise UserError(f"{archive}: refused, as it contains {member.name!r} twice; remove one") from error
