"""SHA256SUMS of a published report, in the form that `sha256sum --check` reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from zfrepro.storage import artifacts

NAME = "SHA256SUMS"


def write(folder: Path) -> None:
    """A line for every file of the folder but the list itself, by name."""
    lines = [f"{artifacts.sha256(folder / name)}  {name}\n" for name in files(folder)]
    artifacts.save_text(folder / NAME, "".join(lines))


def files(folder: Path) -> list[str]:
    """Names of all files below `folder` but the list, relative to it, with / between their parts."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [name for name in names if name != NAME]


def faults(folder: Path) -> Iterator[str]:
    """One line for every file that is missing, differs, or is not in the list."""
    digests = _read(folder / NAME)
    if digests is None:
        yield f"{folder / NAME}: missing or not a list of checksums; publish again"
        return
    present = set(files(folder))
    for name, digest in digests.items():
        if name not in present:
            yield f"{folder / name}: missing"
        elif artifacts.sha256(folder / name) != digest:
            yield f"{folder / name}: differs from its checksum"
    yield from (f"{folder / name}: is not in {NAME}" for name in sorted(present - set(digests)))


def _read(path: Path) -> dict[str, str] | None:
    """Name -> digest; None for a file that is missing, empty or of another form."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    matches = [re.fullmatch(r"([0-9a-f]{64})  (\S.*)", line) for line in lines]
    digests = {match[2]: match[1] for match in matches if match}
    return digests if digests and all(matches) else None
