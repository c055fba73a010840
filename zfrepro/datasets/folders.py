"""What the readers of picture folders share: checked paths, class folders, subsets, downloads."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from zfrepro.datasets.base import Item
from zfrepro.errors import UserError
from zfrepro.models import torchvision_import
from zfrepro.spec import Base

Limit = Annotated[int, Field(gt=0)] | None
Choice = Annotated[int, Field(gt=0)] | Annotated[list[str], Field(min_length=1)] | None


class FolderSpec(Base):
    root: Path = Field(description="folder in which the data set lies")
    classes: Choice = Field(None, description="take only the first so many, in sorted order, or those named here")


class SplitFolderSpec(FolderSpec):
    train_per_class: Limit = Field(None, description="pictures; take only the first so many, in sorted order")
    val_per_class: Limit = Field(None, description="pictures; take only the first so many, in sorted order")

    def limit(self, split: str) -> int | None:
        return self.train_per_class if split == "train" else self.val_per_class


def require_folder(path: Path, expected: str) -> Path:
    """`path` if it is a folder, else UserError; `expected` says what should lie there."""
    path = path.expanduser()
    if path.is_file():
        raise UserError(f"{path}: is a file, not a folder; unpack it and name the folder ({expected})")
    if not path.is_dir():
        raise UserError(f"{path}: no such folder (expected: {expected})")
    return path


def require_file(path: Path, expected: str) -> Path:
    """`path` if it is a file, else UserError; `expected` says what it should be."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder, expected {expected}")
    if not path.is_file():
        raise UserError(f"{path}: missing, expected {expected}")
    return path


def list_class_folders(path: Path, expected: str) -> list[str]:
    """Names of the class folders in `path`, sorted; hidden ones are no classes."""
    torchvision_import.ensure()
    from torchvision.datasets.folder import find_classes

    try:
        found = [name for name in find_classes(require_folder(path, expected))[0] if not name.startswith(".")]
    except FileNotFoundError:
        found = []
    if not found:
        raise UserError(f"{path}: holds no class folders (expected: {expected})")
    return found


def choose_classes(
    names: list[str], wanted: int | list[str] | None, path: Path, titles: Mapping[str, str] = {}
) -> list[str]:
    """The class folders to take, sorted. `wanted` may name them by folder or by title."""
    if isinstance(wanted, list):
        by_title = {title: name for name, title in titles.items()}
        picked = {by_title.get(name, name) for name in wanted}
        if unknown := sorted(picked - set(names)):
            raise UserError(f"{path}: no class {_join(unknown)}; there are {_join(names)}. Mend the option `classes`")
        return sorted(picked)
    if wanted is not None and wanted > len(names):
        raise UserError(f"{path}: option `classes` asks for {wanted} classes, there are {len(names)}")
    return sorted(names)[:wanted]


def list_images(root: Path, path: Path, classes: list[str], limit: int | None = None) -> list[Item]:
    """The pictures of each class folder in `path`, keyed relative to `root`; an empty class is a UserError."""
    torchvision_import.ensure()
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

    def is_picture(name: str) -> bool:
        return name.lower().endswith(IMG_EXTENSIONS) and not os.path.basename(name).startswith(".")

    for name in classes:
        require_folder(path / name, f"the pictures of class {name}")
    positions = {name: label for label, name in enumerate(classes)}
    found = make_dataset(path, positions, is_valid_file=is_picture, allow_empty=True)
    present = {label for _, label in found}
    if empty := [name for name in classes if positions[name] not in present]:
        raise UserError(
            f"{path}: no picture ({', '.join(IMG_EXTENSIONS)}) in class {_join(empty)}; add some or remove it"
        )
    return take_per_class((Item(os.path.relpath(file, root), label) for file, label in found), limit)


def take_per_class(items: Iterable[Item], limit: int | None) -> list[Item]:
    """The first `limit` items of each class, in their order."""
    taken: Counter[int] = Counter()
    kept = []
    for item in items:
        if limit is None or taken[item.label] < limit:
            taken[item.label] += 1
            kept.append(item)
    return kept


def unique_titles(synonyms: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Folder name -> its first synonym; where two share it ("crane"), the folder's name is added."""
    first = {name: next(iter(words), name) for name, words in synonyms.items()}
    count = Counter(first.values())
    return {name: title if count[title] == 1 else f"{title} ({name})" for name, title in first.items()}


def _join(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def download(target: Path, fetch: Callable[[str], object]) -> None:
    """`fetch` into a folder beside `target`, renamed at the end: a stopped download is never taken for the whole set."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as unfinished:
        try:
            fetch(unfinished)
        except (OSError, RuntimeError) as error:
            raise UserError(f"{target}: cannot be downloaded ({error}); place it there yourself") from error
        os.replace(Path(unfinished) / target.name, target)
