"""Your own pictures: root/{train,val}/<class>/*, or root/<class>/* as one split "all" or divided by `val_fraction`."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from pydantic import Field

from zfrepro.datasets import folders
from zfrepro.datasets.base import DecodedImage, Item, Listing
from zfrepro.datasets.decoding import decode
from zfrepro.errors import UserError

LAYOUT = "train/<class>/<picture> and val/<class>/<picture>, or <class>/<picture>"


class Spec(folders.SplitFolderSpec):
    per_class: folders.Limit = Field(None, description="without train/ and val/: take only the first so many pictures")
    val_fraction: float = Field(
        0.0, ge=0, lt=1, description="without train/ and val/: share to validate on; 0: no split"
    )


def listing(spec: Spec) -> Listing:
    root = folders.require_folder(spec.root, LAYOUT)
    there = [name for name in ("train", "val") if (root / name).is_dir()]
    if len(there) == 1:
        raise UserError(
            f"{root}: has {there[0]}/ alone; expected {LAYOUT} (for one split, name {root / there[0]} as root)"
        )
    return _divided(spec, root) if there else _whole(spec, root)


def load(spec: Spec, item: Item) -> DecodedImage:
    return decode(spec.root.expanduser() / item.key)


def _divided(spec: Spec, root: Path) -> Listing:
    _refuse(spec, ["val_fraction", "per_class"], f"{root} has train/ and val/")
    names = folders.list_class_folders(root / "train", LAYOUT)
    if odd := set(names) ^ set(folders.list_class_folders(root / "val", LAYOUT)):
        raise UserError(f"{root}: class {sorted(odd)[0]} is in only one of train/ and val/ ({len(odd)} such classes)")
    classes = folders.choose_classes(names, spec.classes, root)
    splits = ("train", "val")
    return Listing(classes, {s: folders.list_images(root, root / s, classes, spec.limit(s)) for s in splits})


def _whole(spec: Spec, root: Path) -> Listing:
    classes = folders.choose_classes(folders.list_class_folders(root, LAYOUT), spec.classes, root)
    items = folders.list_images(root, root, classes, spec.per_class)
    if not spec.val_fraction:
        _refuse(spec, ["train_per_class", "val_per_class"], f"{root} has no train/ and val/, and val_fraction is 0")
        return Listing(classes, {"all": items})
    splits: dict[str, list[Item]] = {"train": [], "val": []}
    for label, found in groupby(items, key=lambda item: item.label):
        first, last = _cut(list(found), spec.val_fraction, root / classes[label])
        splits["train"] += first
        splits["val"] += last
    return Listing(
        classes, {split: folders.take_per_class(found, spec.limit(split)) for split, found in splits.items()}
    )


def _cut(items: list[Item], fraction: float, path: Path) -> tuple[list[Item], list[Item]]:
    """A class's pictures cut in two: the last ones in one piece, since neighbours (bursts, video) are often alike."""
    if len(items) < 2:
        raise UserError(f"{path}: one picture cannot be divided by val_fraction; add pictures or remove the class")
    count = min(max(round(len(items) * fraction), 1), len(items) - 1)
    return items[:-count], items[-count:]


def _refuse(spec: Spec, options: list[str], why: str) -> None:
    for name in options:
        if getattr(spec, name):
            raise UserError(f"option `{name}` has no meaning here: {why}; remove it")
