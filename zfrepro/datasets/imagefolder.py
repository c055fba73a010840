"""Your own images: root/{train,val}/<class>/*, or root/<class>/* as one split "all" or divided by `val_fraction`."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from pydantic import Field

from zfrepro.datasets import folders
from zfrepro.datasets.base import DecodedImage, Item, Listing
from zfrepro.datasets.decoding import decode
from zfrepro.errors import UserError

LAYOUT = "train/<class>/<image> and val/<class>/<image>, or <class>/<image>"


class Spec(folders.SplitFolderSpec):
    per_class: folders.Limit = Field(None, description="without train/ and val/: take only the first so many images")
    val_fraction: float = Field(
        0.0, ge=0, lt=1, description="without train/ and val/: fraction of each class for validation; 0: no split"
    )


def listing(spec: Spec) -> Listing:
    root = folders.require_folder(spec.root, LAYOUT)
    splits = [name for name in ("train", "val") if (root / name).is_dir()]
    if len(splits) == 1:
        missing = "val" if splits == ["train"] else "train"
        raise UserError(
            f"{root}: contains {splits[0]}/ but no {missing}/; add it, or for a single split name {root / splits[0]} as "
            f"`root` (expected: {LAYOUT})"
        )
    return _list_splits(spec, root) if splits else _list_classes(spec, root)


def load(spec: Spec, item: Item) -> DecodedImage:
    return decode(spec.root.expanduser() / item.key)


def _list_splits(spec: Spec, root: Path) -> Listing:
    _refuse(spec, ["val_fraction", "per_class"], f"{root} contains train/ and val/")
    names = folders.list_class_folders(root / "train", LAYOUT)
    if unpaired := sorted(set(names) ^ set(folders.list_class_folders(root / "val", LAYOUT))):
        raise UserError(
            f"{root}: class {unpaired[0]} is in only one of train/ and val/ ({len(unpaired)} such classes); add it to the "
            "other or remove it"
        )
    classes = folders.choose_classes(names, spec.classes, root)
    splits = ("train", "val")
    return Listing(classes, {s: folders.list_images(root, root / s, classes, spec.limit(s)) for s in splits})


def _list_classes(spec: Spec, root: Path) -> Listing:
    classes = folders.choose_classes(folders.list_class_folders(root, LAYOUT), spec.classes, root)
    items = folders.list_images(root, root, classes, spec.per_class)
    if not spec.val_fraction:
        _refuse(
            spec, ["train_per_class", "val_per_class"], f"{root} contains no train/ and val/, and val_fraction is 0"
        )
        return Listing(classes, {"all": items})
    splits: dict[str, list[Item]] = {"train": [], "val": []}
    for label, group in groupby(items, key=lambda item: item.label):
        train, val = _divide(list(group), spec.val_fraction, root / classes[label])
        splits["train"] += train
        splits["val"] += val
    return Listing(classes, {split: folders.take_per_class(part, spec.limit(split)) for split, part in splits.items()})


def _divide(items: list[Item], fraction: float, path: Path) -> tuple[list[Item], list[Item]]:
    """A class's images for training and, the last ones, for validation: neighbours (bursts, video) are often similar."""
    if len(items) < 2:
        raise UserError(f"{path}: contains one image, which val_fraction cannot divide; add images or remove the class")
    count = min(max(round(len(items) * fraction), 1), len(items) - 1)
    return items[:-count], items[-count:]


def _refuse(spec: Spec, options: list[str], reason: str) -> None:
    for name in options:
        if getattr(spec, name):
            raise UserError(f"option `{name}` does not apply: {reason}; remove the option")
