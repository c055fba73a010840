"""Caltech-256 in torchvision's layout, caltech256/256_ObjectCategories/NNN.name/NNN_MMMM.jpg; one split, "all".

The archive holds 30,607 images in 257 folders. The paper gives this number, so it counts 257.clutter. That folder is not a
category and is left out by default; torchvision uses it as a 257th.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from zfrepro.datasets import folders
from zfrepro.datasets.base import DecodedImage, Item, Listing
from zfrepro.datasets.decoding import decode
from zfrepro.datasets.walk import Walk
from zfrepro.errors import UserError
from zfrepro.storage import paths

LAYOUT = "caltech256/256_ObjectCategories/<NNN.name>/<NNN>_0001.jpg in `root`"
FOLDER = "caltech256/256_ObjectCategories"
CLUTTER = "257.clutter"
URL = "https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar"  # torchvision's, with its md5
MD5 = "67b4f42ca05d46448c6bb8ecd2220f6d"


class Spec(folders.FolderSpec):
    inner = (FOLDER, "")

    per_class: folders.Limit = Field(None, description="images; take only the first so many, in sorted order")
    clutter: bool = Field(False, description="use 257.clutter as a 257th class; default: the 256 categories")
    archive: Path | None = Field(
        None, description="256_ObjectCategories.tar, unpacked into root if root does not contain the set"
    )
    sha256: str | None = Field(None, description="digest that the archive must have; None: print it, check nothing")
    pictures: folders.Limit = Field(
        None, description="images the set must contain, before any limit; all categories: 29780, with clutter 30607"
    )
    download: bool = Field(
        False, description="download it into root from torchvision's address if root does not contain it"
    )


def listing(spec: Spec) -> Listing:
    if (spec.archive or spec.download) and not folders.find_folder(spec.root, FOLDER):
        _obtain(spec)
    root = _require_root(spec)
    walk = Walk()
    names = folders.list_class_folders(walk, root, LAYOUT)
    if spec.clutter and CLUTTER not in names:
        raise UserError(f"{root}: no folder {CLUTTER}; add it or set the option `clutter` to false")
    categories = [name for name in names if spec.clutter or name != CLUTTER]
    if spec.pictures:
        _check_count(spec, root, categories)
    titles = folders.unique_titles({name: [re.sub(r"^\d{3}\.", "", name)] for name in categories})
    classes = folders.choose_classes(categories, spec.classes, root, titles)
    items = folders.take_per_class(_list_images(walk, root, classes), spec.per_class)
    return Listing([titles[name] for name in classes], {"all": items}, dict(+walk.left_out))


def load(spec: Spec, item: Item) -> DecodedImage:
    return decode(_require_root(spec) / item.key)


def _list_images(walk: Walk, root: Path, classes: list[str]) -> list[Item]:
    """Images directly in a category's folder: some copies of the archive contain other files in folders below."""
    every = folders.list_images(walk, root, root, classes)
    items = [item for item in every if len(Path(item.key).parts) == 2]
    walk.left_out["in a folder below a category's"] += len(every) - len(items)
    return items


def _check_count(spec: Spec, root: Path, categories: list[str]) -> None:
    if (count := len(_list_images(Walk(), root, categories))) != spec.pictures:
        raise UserError(
            f"{root}: contains {count} images in {len(categories)} categories, but the option `pictures` is "
            f"{spec.pictures}; complete the set or fix the option"
        )


def _require_root(spec: Spec) -> Path:
    return folders.require_folder_in(spec.root, FOLDER, LAYOUT)


def _obtain(spec: Spec) -> None:
    from zfrepro.datasets import archives

    target = paths.resolve(spec.root) / "caltech256"
    if spec.archive:
        archives.unpack(spec.archive, target, spec.sha256)
    else:
        archives.download(URL, MD5, target, spec.sha256)
