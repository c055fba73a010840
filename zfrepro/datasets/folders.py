"""Shared by the readers of image folders: checked paths, class folders, subsets, downloads."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from zfrepro.datasets.base import Item
from zfrepro.datasets.walk import Walk, describe
from zfrepro.errors import UserError
from zfrepro.spec import Base
from zfrepro.storage import paths

Limit = Annotated[int, Field(gt=0)] | None
Choice = Annotated[int, Field(gt=0)] | Annotated[list[str], Field(min_length=1)] | None
MAX_LISTED = 10  # names listed in a message


class FolderSpec(Base):
    inner: ClassVar[tuple[str, str]] = ("", "")  # path and marker of find_folder, where the set is a part of root

    root: Path = Field(
        description="folder of the data set; ~ and $NAME are replaced, a relative path starts at the current folder"
    )
    classes: Choice = Field(None, description="number of classes to take, in sorted order, or their names")

    @property
    def own_folder(self) -> Path:
        """`inner`, if it is there, else `root`."""
        path, marker = self.inner
        return (find_folder(self.root, path, marker) if path else None) or paths.resolve(self.root)


class SplitFolderSpec(FolderSpec):
    train_per_class: Limit = Field(None, description="images; take only the first so many, in sorted order")
    val_per_class: Limit = Field(None, description="images; take only the first so many, in sorted order")

    def limit(self, split: str) -> int | None:
        return self.train_per_class if split == "train" else self.val_per_class


def require_folder(path: Path, expected: str) -> Path:
    """`path` if it is a folder, else UserError; `expected` describes what should be there."""
    given_path, path = path, paths.resolve(path)
    if path.is_file():
        raise UserError(
            f"{path}: is a file, not a folder; unpack it if it is an archive, and name the folder (expected: {expected})"
        )
    if not path.is_dir():
        hint = paths.explain_missing(given_path)
        raise UserError(
            f"{path}: no such folder{f' ({hint})' if hint else ''}; check the path, or place the data there (expected: {expected})"
        )
    if not os.access(path, os.R_OK | os.X_OK):
        raise UserError(f"{path}: cannot be read; change the permissions of the folder")
    return path


def find_folder(root: Path, path: str, marker: str = "") -> Path | None:
    """The folder `path`, such as VOCdevkit/VOC2012: below `root`, or `root` is itself an inner folder of `path`.

    It contains the folder `marker`; without a marker, it must have the name that `path` ends with.
    """
    parts = Path(path).parts
    candidates = [paths.resolve(root).joinpath(*parts[start:]) for start in range(len(parts) + 1)]
    matching = (folder for folder in candidates if marker or folder.name == parts[-1])
    return next((folder for folder in matching if (folder / marker).is_dir()), None)


def require_folder_in(root: Path, path: str, expected: str, marker: str = "") -> Path:
    """What `find_folder` finds, else UserError."""
    folder = find_folder(root, path, marker)
    if folder is None:
        content = f"folder {path}" + (f" with {marker}/" if marker else "")
        raise UserError(
            f"{require_folder(root, expected)}: contains no {content}; set the option `root` to the folder that contains it "
            f"(expected: {expected})"
        )
    return folder


def create_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be created ({error.strerror}); set the option `root` to a folder") from error


def require_file(path: Path, expected: str) -> Path:
    """`path` if it is a file, else UserError; `expected` describes what it should be."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; replace it by the file (expected: {expected})")
    if not path.is_file():
        raise UserError(f"{path}: no such file; check the path, or place the file there (expected: {expected})")
    return path


def list_class_folders(walk: Walk, path: Path, expected: str) -> list[str]:
    """Names of the class folders in `path`, sorted, claimed for the walk; UserError if there are none."""
    names = walk.folders(require_folder(path, expected))
    if not names:
        raise UserError(f"{path}: contains no class folders; name the folder of the data set (expected: {expected})")
    walk.loose_files(path, "outside the class folders")
    walk.claim(*(path / name for name in names))
    return names


def choose_classes(
    names: list[str], classes: int | list[str] | None, path: Path, titles: Mapping[str, str] = {}
) -> list[str]:
    """The class folders to use, sorted. `wanted` may name them by folder or by title."""
    if isinstance(classes, list):
        by_title = {title: name for name, title in titles.items()}
        selected = {by_title.get(name, name) for name in classes}
        if unknown := sorted(selected - set(names)):
            raise UserError(f"{path}: no class {_join(unknown)}; choose in the option `classes` from {_join(names)}")
        return sorted(selected)
    if classes is not None and classes > len(names):
        raise UserError(f"{path}: contains {len(names)} classes, but the option `classes` is {classes}; lower it")
    return sorted(names)[:classes]


def list_images(
    walk: Walk,
    root: Path,
    path: Path,
    classes: list[str],
    limit: int | None = None,
    other_endings: tuple[str, ...] = (),
) -> list[Item]:
    """The images of each class folder in `path`, with keys relative to `root`; UserError if a class is empty.

    other_endings: of the set's other files, which are not counted as left out.
    """
    items, empty = [], []
    for label, name in enumerate(classes):
        folder = require_folder(path / name, f"the images of class {name}")
        walk.claim(folder)
        images = walk.images(folder, other_endings)
        items += [Item(os.path.relpath(image, root), label) for image in images]
        empty += [] if images else [name]
    if empty:
        reasons = f" ({describe(left_out)})" if (left_out := +walk.left_out) else ""
        raise UserError(
            f"{path}: no image in class {_join(empty)}{reasons}; add images, such as .jpg files, or remove it"
        )
    return take_per_class(items, limit)


def take_per_class(items: Iterable[Item], limit: int | None) -> list[Item]:
    """The first `limit` items of each class, in their order."""
    counts: Counter[int] = Counter()
    selected = []
    for item in items:
        if limit is None or counts[item.label] < limit:
            counts[item.label] += 1
            selected.append(item)
    return selected


def unique_titles(synonyms: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Folder name -> its first synonym; where two share it ("crane"), the folder's name is added."""
    first = {name: next(iter(words), name) for name, words in synonyms.items()}
    count = Counter(first.values())
    return {name: title if count[title] == 1 else f"{title} ({name})" for name, title in first.items()}


def download(target: Path, fetch: Callable[[str], object]) -> None:
    """`fetch` into a temporary folder next to `target`, then rename: `target` is never an incomplete download."""
    if target.exists():
        raise UserError(f"{target}: already exists, but is not the data set; remove it to download the set there")
    create_folder(target.parent)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        try:
            fetch(temporary)
        except (OSError, RuntimeError) as error:
            raise UserError(f"{target}: cannot be downloaded ({error}); place the data there yourself") from error
        os.replace(Path(temporary) / target.name, target)


def _join(names: list[str]) -> str:
    return ", ".join(names[:MAX_LISTED]) + (f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else "")
