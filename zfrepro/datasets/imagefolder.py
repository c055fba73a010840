"""Your own images: root/{train,val}/<class>/*, or root/<class>/* as one split "all" or divided by `val_fraction`.

Images are found at any depth in their class's folder. Which formats are read, and which files are not, see formats.py and walk.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from pydantic import Field

from zfrepro.datasets import folders
from zfrepro.datasets.base import DecodedImage, Item, Listing
from zfrepro.datasets.decoding import decode
from zfrepro.datasets.layout import LAYOUT, has_splits
from zfrepro.datasets.walk import Walk
from zfrepro.errors import UserError
from zfrepro.storage import paths


class Spec(folders.SplitFolderSpec):
    train: str = Field("train", min_length=1, description="folder of the training images, in root")
    val: str = Field("val", min_length=1, description="folder of the validation images, in root")
    per_class: folders.Limit = Field(None, description="without train/ and val/: take only the first so many images")
    val_fraction: float = Field(
        0.0, ge=0, lt=1, description="without train/ and val/: fraction of each class for validation; 0: no split"
    )


def listing(spec: Spec) -> Listing:
    root = folders.require_folder(spec.root, LAYOUT)
    return _list_splits(spec, root) if has_splits(root, spec.train, spec.val) else _list_classes(spec, root)


def load(spec: Spec, item: Item) -> DecodedImage:
    return decode(paths.resolve(spec.root) / item.key)


def _list_splits(spec: Spec, root: Path) -> Listing:
    walk, parts = Walk(), {"train": spec.train, "val": spec.val}
    _refuse(spec, ["val_fraction", "per_class"], f"{root} contains {spec.train}/ and {spec.val}/")
    names, others = (folders.list_class_folders(walk, root / folder, LAYOUT) for folder in parts.values())
    if unpaired := sorted(set(names) ^ set(others)):
        raise UserError(
            f"{root}: class {unpaired[0]} is in only one of {spec.train}/ and {spec.val}/ ({len(unpaired)} such classes); add it to the "
            "other or remove it"
        )
    classes = folders.choose_classes(names, spec.classes, root)
    splits = {
        split: folders.list_images(walk, root, root / folder, classes, spec.limit(split))
        for split, folder in parts.items()
    }
    _count_others(walk, root, parts.values())
    return Listing(classes, splits, dict(+walk.left_out))


def _count_others(walk: Walk, root: Path, splits: Iterable[str]) -> None:
    """Count the images of further folders, such as test/."""
    used = {Path(split).parts[0] for split in splits}
    for name in walk.folders(root):
        if name not in used and not (root / name).is_symlink():
            other = Walk()
            other.claim(root / name)
            walk.left_out[f"in {name}/, which is neither split"] += len(other.images(root / name))
    walk.loose_files(root, "outside the class folders")


def _list_classes(spec: Spec, root: Path) -> Listing:
    walk = Walk()
    classes = folders.choose_classes(folders.list_class_folders(walk, root, LAYOUT), spec.classes, root)
    items = folders.list_images(walk, root, root, classes, spec.per_class)
    left_out = dict(+walk.left_out)
    if not spec.val_fraction:
        _refuse(
            spec, ["train_per_class", "val_per_class"], f"{root} contains no train/ and val/, and val_fraction is 0"
        )
        return Listing(classes, {"all": items}, left_out)
    splits: dict[str, list[Item]] = {"train": [], "val": []}
    for label, group in groupby(items, key=lambda item: item.label):
        train, val = _divide(list(group), spec.val_fraction, root / classes[label])
        splits["train"] += train
        splits["val"] += val
    limited = {split: folders.take_per_class(part, spec.limit(split)) for split, part in splits.items()}
    return Listing(classes, limited, left_out)


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
