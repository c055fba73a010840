"""Save and load the files that stages exchange; a file appears complete or not at all."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from zfrepro.errors import UserError

FORMAT = (
    1  # raise it when a function here writes other bytes for the same values: results stored before are then made anew
)

_recorders: list[list[Path]] = []


@contextmanager
def record_written() -> Iterator[list[Path]]:
    """The list of files that are written in the block, by this process, in their order."""
    paths: list[Path] = []
    _recorders.append(paths)
    try:
        yield paths
    finally:
        _recorders.remove(paths)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which no other process on any machine has; on success sync it to disk and rename it, on
    failure remove it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        for paths in _recorders:
            paths.append(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes; computed once per process for a file that stays as it is."""
    status = os.stat(path)
    return _sha256(str(path), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@functools.lru_cache(maxsize=4096)
def _sha256(path: str, *_: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def save_json(path: Path, value: Any) -> None:
    """Raises UserError for a value that JSON cannot hold: NaN, infinity, an object."""
    try:
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: not written, since JSON cannot hold one of its values ({error})") from error
    save_text(path, text + "\n")


def load_json(path: Path) -> Any:
    """Raises UserError for a file that is missing, is no JSON, or holds NaN or infinity."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); delete it and run again") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it contains {name}, which is not a finite number")


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays as one .npz (text as fixed-width unicode, never pickled)."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """The arrays of these names; without names all. Raises UserError for a file that is damaged or lacks one."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in names or stored.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f"{path}: damaged or not an array file ({error}); delete it and run again") from error


def save_weights(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
    """Write torch tensors as safetensors, and the file's sha256 beside it as `<name>.sha256`."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with atomic(path) as temporary:
        try:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, dict(metadata))
        except SafetensorError as error:
            if "os error 28" not in str(error):
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        temporary.chmod(0o666 & ~_umask())
        digest = sha256(temporary)
    save_text(path.with_name(path.name + ".sha256"), f"{digest}  {path.name}\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load_weights(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Read tensors and metadata of a safetensors file with its sha256 in the file beside it. Raises UserError naming the file."""
    from safetensors import SafetensorError, safe_open

    check_sha256(path)
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError, TypeError) as error:  # a type torch lacks
        raise UserError(f"{path}: not a safetensors weights file ({error})") from error


def check_sha256(path: Path) -> None:
    """Compare a file with the digest in `<name>.sha256` beside it; a missing or differing one is a UserError."""
    path = Path(path)
    beside = path.with_name(path.name + ".sha256")
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    if not beside.is_file():
        raise UserError(f"{path}: its digest {beside.name} is missing; write it with `sha256sum {path.name}`")
    expected = beside.read_bytes().decode("ascii", "replace").lower().split()[:1]
    if expected != [sha256(path)]:
        raise UserError(f"{path}: damaged, its sha256 is not the one in {beside.name}; delete it and train again")
