"""Tiny-ImageNet, 200 classes at 64 x 64 with an object box for every image, in the layout of its archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zfrepro.datasets import folders
from zfrepro.datasets.base import Box, DecodedImage, Item, Listing
from zfrepro.datasets.decoding import decode
from zfrepro.datasets.walk import Walk
from zfrepro.errors import UserError
from zfrepro.storage import paths

LAYOUT = "tiny-imagenet-200/ with wnids.txt, words.txt, train/<wnid>/images/ and val/images/ in `root`"


class Spec(folders.SplitFolderSpec):
    pass


def listing(spec: Spec) -> Listing:
    root = _require_root(spec)
    names = [fields[0] for _, fields in _rows(root / "wnids.txt", 1, "the list of classes")]
    titles = _titles(root, names)
    classes = folders.choose_classes(names, spec.classes, root / "wnids.txt", titles)
    walk = Walk()
    splits = {"train": _train(walk, spec, root, classes), "val": _val(spec, root, names, classes)}
    return Listing([titles[name] for name in classes], splits, dict(+walk.left_out))


def load(spec: Spec, item: Item) -> DecodedImage:
    return decode(_require_root(spec) / item.key, item.box)


def _require_root(spec: Spec) -> Path:
    return folders.require_folder_in(spec.root, "tiny-imagenet-200", LAYOUT, "train")


def _titles(root: Path, names: list[str]) -> dict[str, str]:
    rows = _rows(root / "words.txt", 2, "the names of the classes", separator="\t")
    words = {fields[0]: fields[1].split(", ") for _, fields in rows}
    return folders.unique_titles({name: words.get(name, [name]) for name in names})


def _train(walk: Walk, spec: Spec, root: Path, classes: list[str]) -> list[Item]:
    """Images in class folders, each with its line in <wnid>_boxes.txt."""
    boxes: dict[str, Box] = {}
    for name in classes:
        path = root / "train" / name / f"{name}_boxes.txt"
        for line, (image, *edges) in _rows(path, 5, f"the boxes of train/{name}"):
            boxes[image] = _box(edges, line)
    items = folders.list_images(
        walk, root, root / "train", classes, spec.train_per_class, other_endings=("_boxes.txt",)
    )
    return [Item(item.key, item.label, boxes.get(Path(item.key).name)) for item in items]


def _val(spec: Spec, root: Path, names: list[str], classes: list[str]) -> list[Item]:
    """Images in one folder, each with its class and box in val_annotations.txt."""
    path = root / "val" / "val_annotations.txt"
    folders.require_folder(root / "val" / "images", LAYOUT)
    labels = {name: label for label, name in enumerate(classes)}
    items = []
    for line, (image, name, *edges) in _rows(path, 6, "class and box of each validation image"):
        if name not in names:
            raise UserError(f"{line}: class {name} is not in wnids.txt; download the set again")
        if name in labels:
            items.append(Item(f"val/images/{image}", labels[name], _box(edges, line)))
    return folders.take_per_class(sorted(items, key=lambda item: (item.label, item.key)), spec.val_per_class)


def _box(edges: list[str], line: str) -> Box:
    """The files give the first and the last pixel inside; our boxes have edges, so the end is one more."""
    try:
        x0, y0, x1, y1 = map(float, edges)
    except ValueError as error:
        raise UserError(f"{line}: the box {' '.join(edges)} is not four numbers; download the set again") from error
    return x0, y0, x1 + 1, y1 + 1


def _rows(path: Path, columns: int, expected: str, separator: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """Position ("file, line 3") and fields of each line."""
    for number, line in enumerate(paths.read_text(folders.require_file(path, expected)).splitlines(), 1):
        fields = line.strip().split(separator)
        if len(fields) != columns and line.strip():
            raise UserError(
                f"{path}, line {number}: {len(fields)} columns instead of {columns}; download the set again"
            )
        if line.strip():
            yield f"{path}, line {number}", fields
