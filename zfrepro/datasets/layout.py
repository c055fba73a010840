"""Recognise how a folder of one's own images is laid out, and name the likely mistakes with what fixes them.

Only the two or three upper levels are looked at, so this takes no time in a large folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from zfrepro.datasets.walk import Walk, holds_images
from zfrepro.errors import UserError

LAYOUT = "train/<class>/<image> and val/<class>/<image>, or <class>/<image>"
TRAINING = {"train", "training", "trainset", "trainingset", "traindata", "trainingdata", "trn", "tr"}
VALIDATION = {
    "val", "valid", "validation", "valset", "validset", "validationset", "test", "testing", "testset", "testdata", "dev", "devset",
    "eval", "evaluation", "holdout", "tst",
}  # fmt: skip


@dataclass(frozen=True)
class Folder:
    """A folder seen from above."""

    path: Path

    @cached_property
    def folders(self) -> list[str]:
        return Walk().folders(self.path)

    @cached_property
    def images(self) -> bool:
        return holds_images(self.path)

    def below(self, name: str) -> Folder:
        return Folder(self.path / name)

    @property
    def splits(self) -> tuple[str | None, str | None]:
        """The folders that, by their names, are for training and for validation."""
        return self._first(TRAINING), self._first(VALIDATION)

    def _first(self, names: set[str]) -> str | None:
        """The one with the most usual name: val before validation, validation before test."""
        matching = [name for name in self.folders if _plain(name) in names]
        return min(
            matching,
            key=lambda name: (_plain(name)[:3] not in ("tra", "val"), name not in ("train", "val")),
            default=None,
        )

    @property
    def holds_classes(self) -> bool:
        """Whether there are folders with images directly in them, and no images beside them."""
        return not self.images and any(self.below(name).images for name in self.folders)


def has_splits(root: Path, train: str, val: str) -> bool:
    """Whether `root` contains the folders of two splits, else those of classes. Raises UserError for a likely mistake."""
    top, chosen = Folder(root), (train, val) != ("train", "val")
    if chosen:
        _require_chosen(root, train, val)
    elif not _are_splits(top):
        _check_classes(top)
        return False
    for option, name in (("train", train), ("val", val)):
        _check_split(top.below(name), option, name)
    return True


def _require_chosen(root: Path, train: str, val: str) -> None:
    for option, name in (("train", train), ("val", val)):
        if not (root / name).is_dir():
            raise UserError(
                f"{root}: contains no folder {name}; fix the option `{option}` (folders: {_list(Folder(root))})"
            )
    if (root / train).samefile(root / val):
        raise UserError(f"{root}: the options `train` and `val` name the same folder; name two")


def _are_splits(top: Folder) -> bool:
    """Whether train/ and val/ are there as splits; a folder train/ with images, beside other classes, is a class."""
    splits = [name for name in ("train", "val") if name in top.folders]
    if len(splits) == 2:
        return True
    if not splits or (top.below(splits[0]).images and _other_classes(top)):
        return False
    (present,) = splits
    missing, like = ("val", top.splits[1]) if present == "train" else ("train", top.splits[0])
    if like is not None and not top.below(like).images:
        raise UserError(
            f"{top.path}: contains {present}/ but no {missing}/; if {like}/ stands for it, set the option `{missing}: {like}`"
        )
    if top.below(present).images:
        raise _no_class_folders(top.below(present), present)
    raise UserError(
        f"{top.path}: contains {present}/ but no {missing}/; add it, or name {top.path / present} as `root` and divide it with the "
        f"option `val_fraction`, for example 0.2 (expected: {LAYOUT})"
    )


def _other_classes(top: Folder) -> bool:
    return any(not _is_split_name(name) and top.below(name).images for name in top.folders)


def _check_classes(top: Folder) -> None:
    """Raises UserError if the folders in `top` are probably not classes."""
    if not top.folders:
        if top.images:
            raise _no_class_folders(top, "root")
        return
    split_names = [name for name in top.folders if _is_split_name(name)]
    _check_renamed(top, [name for name in split_names if not top.below(name).images])
    if len(split_names) == len(top.folders):
        raise _no_class_folders(top.below(split_names[0]), split_names[0])
    _check_deeper(top)


def _check_renamed(top: Folder, splits: list[str]) -> None:
    """Splits under other names: training_set and test_set, Train and Val."""
    if not splits:
        return
    train, val = top.splits
    if train is None or val is None:
        raise UserError(
            f"{top.path}: {splits[0]}/ looks like a split, not a class; name the folders of both with the options `train` and `val`, or "
            "rename it if it is a class"
        )
    raise UserError(
        f"{top.path}: {train}/ and {val}/ look like splits, not classes; set the options `train: {train}` and `val: {val}`"
    )


def _check_deeper(top: Folder) -> None:
    """The splits, or the classes, are one level deeper, or the splits are inside the classes."""
    below = {name: top.below(name) for name in top.folders}
    inner = {name: [split for split in folder.splits if split] for name, folder in below.items() if not folder.images}
    if (
        len(below) > 1
        and len(inner) == len(below)
        and all(len(below[name].folders) == len(splits) for name, splits in inner.items())
    ):
        first, splits = next(iter(inner.items()))
        raise UserError(
            f"{top.path}: the splits are inside the classes ({first}/{splits[0]}/); move them outside, as {splits[0]}/{first}/"
            f" (expected: {LAYOUT})"
        )
    for name, splits in inner.items():
        if len(splits) == 2 and not any(below[name].below(split).images for split in splits):
            raise UserError(f"{top.path}: the splits are one level deeper; set the option `root` to {top.path / name}")
    (first, *others) = below
    if not others and below[first].holds_classes and len(below[first].folders) > 1:
        raise UserError(
            f"{top.path}: contains the one folder {first}/ with folders in it; if those are the classes, set the option `root` to "
            f"{top.path / first}"
        )


def _check_split(split: Folder, option: str, name: str) -> None:
    if split.images and not split.folders:
        raise _no_class_folders(split, name)
    if len(split.folders) == 1 and not split.images:
        inner = split.below(split.folders[0])
        if inner.holds_classes and len(inner.folders) > 1:
            raise UserError(
                f"{split.path}: contains the one folder {inner.path.name}/ with folders in it; if those are the classes, set the option "
                f"`{option}: {name}/{inner.path.name}`, and the other split's as well"
            )


def _no_class_folders(folder: Folder, name: str) -> UserError:
    place = "" if name == "root" else f"{name}/"
    return UserError(
        f"{folder.path}: contains images directly, without class folders; put those of each class into a folder, as {place}<class>/"
        f" (expected: {LAYOUT})"
    )


def _is_split_name(name: str) -> bool:
    return _plain(name) in TRAINING | VALIDATION


def _plain(name: str) -> str:
    """`Training_Set` -> trainingset"""
    return re.sub(r"[\W_]+", "", name).lower()


def _list(folder: Folder) -> str:
    return ", ".join(folder.folders[:10]) or "none"
