"""Caltech-101 in torchvision's layout, caltech101/101_ObjectCategories/<category>/image_NNNN.jpg; one split, "all".

The archive holds 9,144 images in 102 folders. The paper gives this number, so it counts BACKGROUND_Google. Without that
folder, the default here and in torchvision, 8,677 images in 101 categories remain.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from zfrepro.datasets import folders
from zfrepro.datasets.base import DecodedImage, Item, Listing
from zfrepro.datasets.decoding import decode
from zfrepro.datasets.walk import Walk
from zfrepro.errors import UserError
from zfrepro.storage import paths

LAYOUT = "caltech101/101_ObjectCategories/<category>/image_0001.jpg in `root`"
FOLDER = "caltech101/101_ObjectCategories"
BACKGROUND = "BACKGROUND_Google"


class Spec(folders.FolderSpec):
    inner = (FOLDER, "")

    per_class: folders.Limit = Field(None, description="images; take only the first so many, in sorted order")
    background: bool = Field(
        False, description="use BACKGROUND_Google as the 102nd class; default, as in torchvision: 101"
    )
    download: bool = Field(False, description="download it into root through torchvision if root does not contain it")


def listing(spec: Spec) -> Listing:
    if spec.download:
        _download(spec)
    root = _require_root(spec)
    walk = Walk()
    names = folders.list_class_folders(walk, root, LAYOUT)
    if spec.background and BACKGROUND not in names:
        raise UserError(f"{root}: no folder {BACKGROUND}; add it or set the option `background` to false")
    categories = [name for name in names if spec.background or name != BACKGROUND]
    classes = folders.choose_classes(categories, spec.classes, root)
    items = folders.list_images(walk, root, root, classes, spec.per_class)
    return Listing(classes, {"all": items}, dict(+walk.left_out))


def load(spec: Spec, item: Item) -> DecodedImage:
    return decode(_require_root(spec) / item.key)


def _require_root(spec: Spec) -> Path:
    return folders.require_folder_in(spec.root, FOLDER, LAYOUT)


def _download(spec: Spec) -> None:
    target = paths.resolve(spec.root) / "caltech101"
    if target.is_dir():
        return
    from zfrepro.models import torchvision_import

    torchvision_import.ensure()
    from torchvision.datasets import Caltech101

    folders.download(target, lambda temporary: Caltech101(temporary, download=True))
