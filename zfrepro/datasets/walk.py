"""Walk the folders of an image set: each real folder once, no hidden or helper folders; what is left out is counted.

Every reader that walks folders uses one `Walk` for its whole listing, so that a link cannot bring the images of one class, or of
one split, into another.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from zfrepro.datasets import formats
from zfrepro.errors import UserError
from zfrepro.storage.paths import escape, is_utf8

# Made by file managers, network storage, notebooks and archivers beside the user's files; compared in lower case
HELPER_FOLDERS = {
    "@eadir", "@tmp", "@recycle", "@__thumb", "#recycle", "#snapshot", "__macosx", "__pycache__", "$recycle.bin", "recycler",
    "lost+found", "system volume information", "thumbnails_cache", "network trash folder", "temporary items",
}  # fmt: skip
HELPER_FILES = {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "thumbs.db:encryptable"}
HIDDEN_FILE, HIDDEN_FOLDER = "hidden file", "in a hidden folder"
READ_ALREADY, BROKEN_LINK = "link to a folder that is read already", "broken link"


class Walk:
    """The folders read so far, and the number of files left out by reason."""

    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        self._claimed: dict[str, Path] = {}  # real path -> the class folder, or the link, that leads there

    def folders(self, path: Path) -> list[str]:
        """Names of the folders in `path`, sorted, without hidden and helper folders."""
        names = []
        for entry in _scan(path):
            if _is_folder(entry):
                if reason := _helper_folder(entry.name):
                    self.left_out[reason] += _count_files(entry)
                else:
                    names.append(entry.name)
        _require_utf8(path, names, "folders")
        return sorted(names)

    def loose_files(self, path: Path, reason: str) -> None:
        """Count the images directly in `path`, where only folders are read."""
        self.left_out[reason] += sum(not _is_folder(entry) and is_image(entry.name) for entry in _scan(path))

    def claim(self, *class_folders: Path) -> None:
        """Reserve whole folders for the classes they belong to. Raises UserError if two are the same or one contains another."""
        for folder in class_folders:
            real = os.path.realpath(folder)
            if self._claimed.get(real) == folder:
                continue
            if (other := self._related(real)) is not None:
                raise UserError(
                    f"{folder}: leads to the same folder as {other}, or one contains the other, so its images would count twice; "
                    "remove one of them"
                )
            self._claimed[real] = folder

    def images(self, folder: Path, other_endings: tuple[str, ...] = ()) -> list[str]:
        """Paths of the images in a claimed folder, at any depth, folder by folder in sorted order.

        other_endings: of files that belong to the data set; they are not counted as left out.
        """
        visited = [(where, sorted(names)) for where, names in self._visit(os.fspath(folder), other_endings)]
        images = [os.path.join(where, name) for where, names in sorted(visited) for name in names]
        _require_utf8(folder, [os.path.relpath(image, folder) for image in images if not is_utf8(image)], "images")
        return images

    def _visit(self, folder: str, other_endings: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
        """(folder, names of its images) of a folder and all below it."""
        waiting = [folder]
        while waiting:
            where, images = waiting.pop(), []
            for entry in _scan(where):
                if _is_folder(entry):
                    waiting += [entry.path] if self._enters(entry) else []
                elif reason := _unused_file(entry):
                    self.left_out[reason] += not entry.name.endswith(other_endings or "\0")
                else:
                    images.append(entry.name)
            yield where, images

    def _enters(self, entry: os.DirEntry[str]) -> bool:
        """Whether a folder below a class folder is read; if not, count what is left out."""
        if reason := _helper_folder(entry.name):
            self.left_out[reason] += _count_files(entry)
            return False
        if not entry.is_symlink():
            return True
        real = os.path.realpath(entry.path)
        if self._related(real) is not None:
            self.left_out[READ_ALREADY] += 1
            return False
        self._claimed[real] = Path(entry.path)
        return True

    def _related(self, real: str) -> Path | None:
        """The claimed folder that is `real`, contains it, or lies in it."""
        if real in self._claimed:
            return self._claimed[real]
        parents = (os.fspath(parent) for parent in Path(real).parents)
        inside = next((self._claimed[parent] for parent in parents if parent in self._claimed), None)
        below = real.rstrip(os.sep) + os.sep
        return inside or next((folder for claimed, folder in self._claimed.items() if claimed.startswith(below)), None)


def is_image(name: str) -> bool:
    """Whether a file of this name is read."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in formats.endings()


def is_helper_folder(name: str) -> bool:
    """Whether a folder of this name is hidden or holds the files of a program, not the user's."""
    return bool(_helper_folder(name))


def holds_images(path: Path) -> bool:
    """Whether images lie directly in a folder."""
    return any(is_image(entry.name) and not _is_folder(entry) for entry in _scan(path))


def describe(left_out: Mapping[str, int]) -> str:
    """`5 files left out: 3 in a hidden folder, 2 not an image (.txt)`"""
    reasons = ", ".join(
        f"{count} {reason}" for reason, count in sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    )
    total = sum(left_out.values())
    return f"{total} {'file' if total == 1 else 'files'} left out: {reasons}"


def _scan(path: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); change the permissions, or remove it") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _helper_folder(name: str) -> str:
    """Why a folder is not read; empty if it is."""
    if name.startswith("."):
        return HIDDEN_FOLDER
    return f"in a helper folder ({name})" if name.lower() in HELPER_FOLDERS else ""


def _unused_file(entry: os.DirEntry[str]) -> str:
    """Why a file is not an image to be read; empty if it is."""
    name = entry.name
    if name.startswith("."):
        return HIDDEN_FILE
    ending = os.path.splitext(name)[1].lower()
    if ending in formats.endings():
        return ""
    if name.lower() in HELPER_FILES:
        return "helper file of the system"
    if entry.is_symlink() and not os.path.exists(entry.path):
        return BROKEN_LINK
    return formats.explain_ending(ending if is_utf8(ending) else escape(ending))


def _count_files(folder: os.DirEntry[str]) -> int:
    """Files in a folder that is not read, at any depth; 1 for a link or an empty folder, so that it is counted at all."""
    if folder.is_symlink():
        return 1
    return max(1, sum(len(files) for _, _, files in os.walk(folder.path)))


def _require_utf8(path: Path, names: list[str], kind: str) -> None:
    if bad := sorted(name for name in names if not is_utf8(name)):
        raise UserError(
            f"{path}: the names of {len(bad)} {kind} are not UTF-8, the first is {escape(bad[0])}; rename them, for example with convmv"
        )
