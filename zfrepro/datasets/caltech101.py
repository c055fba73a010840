"""Caltech-101 in torchvision's layout, caltech101/101_ObjectCategories/<category>/image_NNNN.jpg; one split, "all".

The whole archive holds 9,144 pictures in 102 folders, and this is the number that the paper gives: it counts
BACKGROUND_Google. Without that folder, as by default here and in torchvision, they are 8,677 in 101 categories.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from zfrepro.datasets import folders
from zfrepro.datasets.base import DecodedImage, Item, Listing
from zfrepro.datasets.decoding import decode
from zfrepro.errors import UserError

LAYOUT = "the folder that holds caltech101/101_ObjectCategories/<category>/image_0001.jpg, or one of these two"
BACKGROUND = "BACKGROUND_Google"


class Spec(folders.FolderSpec):
    per_class: folders.Limit = Field(None, description="pictures; take only the first so many, in sorted order")
    background: bool = Field(
        False, description="take BACKGROUND_Google as the 102nd class; by default, as in torchvision, 101"
    )
    download: bool = Field(False, description="fetch it into root, through torchvision, if it is not there")


def listing(spec: Spec) -> Listing:
    if spec.download:
        _download(spec)
    root = _home(spec)
    names = folders.list_class_folders(root, LAYOUT)
    if spec.background and BACKGROUND not in names:
        raise UserError(f"{root}: no folder {BACKGROUND}; add it or set `background` to false")
    categories = [name for name in names if spec.background or name != BACKGROUND]
    classes = folders.choose_classes(categories, spec.classes, root)
    return Listing(classes, {"all": folders.list_images(root, root, classes, spec.per_class)})


def load(spec: Spec, item: Item) -> DecodedImage:
    return decode(_home(spec) / item.key)


def _home(spec: Spec) -> Path:
    """101_ObjectCategories, wherever `root` points along the way to it."""
    root = folders.require_folder(spec.root, LAYOUT)
    for inside in (root / "caltech101" / "101_ObjectCategories", root / "101_ObjectCategories"):
        if inside.is_dir():
            return inside
    if root.name != "101_ObjectCategories":
        raise UserError(f"{root}: no caltech101/101_ObjectCategories in it (expected: {LAYOUT})")
    return root


def _download(spec: Spec) -> None:
    target = spec.root.expanduser() / "caltech101"
    if target.is_dir():
        return
    from zfrepro.models import torchvision_import

    torchvision_import.ensure()
    from torchvision.datasets import Caltech101

    folders.download(target, lambda unfinished: Caltech101(unfinished, download=True))
