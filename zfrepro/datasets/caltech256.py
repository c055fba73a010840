"""Caltech-256 in torchvision's layout, caltech256/256_ObjectCategories/NNN.name/NNN_MMMM.jpg; one split, "all".

The whole archive holds 30,607 pictures in 257 folders, and this is the number that the paper gives: it counts
257.clutter. That folder is no category, and is left out by default; torchvision takes it as a 257th.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from zfrepro.datasets import folders
from zfrepro.datasets.base import DecodedImage, Item, Listing
from zfrepro.datasets.decoding import decode
from zfrepro.errors import UserError

LAYOUT = "the folder that holds caltech256/256_ObjectCategories/<NNN.name>/<NNN>_0001.jpg, or one of these two"
CLUTTER = "257.clutter"
URL = "https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar"  # torchvision's, with its md5
MD5 = "67b4f42ca05d46448c6bb8ecd2220f6d"


class Spec(folders.FolderSpec):
    per_class: folders.Limit = Field(None, description="pictures; take only the first so many, in sorted order")
    clutter: bool = Field(False, description="take 257.clutter as one more class; by default the 256 categories alone")
    archive: Path | None = Field(None, description="256_ObjectCategories.tar, unpacked into root if root lacks the set")
    sha256: str | None = Field(None, description="digest that the archive must have; none: it is printed, not checked")
    pictures: folders.Limit = Field(
        None, description="stop unless so many are there before any limit; all categories: 29780, with clutter 30607"
    )
    download: bool = Field(False, description="fetch it into root from torchvision's address if it is not there")


def listing(spec: Spec) -> Listing:
    if (spec.archive or spec.download) and not _found(spec):
        _bring(spec)
    root = _home(spec)
    names = folders.list_class_folders(root, LAYOUT)
    if spec.clutter and CLUTTER not in names:
        raise UserError(f"{root}: no folder {CLUTTER}; add it or set `clutter` to false")
    categories = [name for name in names if spec.clutter or name != CLUTTER]
    if spec.pictures:
        _check_count(spec, root, categories)
    titles = folders.unique_titles({name: [re.sub(r"^\d{3}\.", "", name)] for name in categories})
    classes = folders.choose_classes(categories, spec.classes, root, titles)
    found = folders.take_per_class(_pictures(root, classes), spec.per_class)
    return Listing([titles[name] for name in classes], {"all": found})


def load(spec: Spec, item: Item) -> DecodedImage:
    return decode(_home(spec) / item.key)


def _pictures(root: Path, classes: list[str]) -> list[Item]:
    """Those right in a category's folder: some copies of the archive have leftovers in folders below."""
    return [item for item in folders.list_images(root, root, classes) if len(Path(item.key).parts) == 2]


def _check_count(spec: Spec, root: Path, categories: list[str]) -> None:
    if (count := len(_pictures(root, categories))) != spec.pictures:
        raise UserError(
            f"{root}: holds {count} pictures in {len(categories)} categories, and the option `pictures` says "
            f"{spec.pictures}; complete the set or mend the option"
        )


def _found(spec: Spec) -> Path | None:
    """256_ObjectCategories, wherever `root` points along the way to it."""
    root = spec.root.expanduser()
    for inside in (root / "caltech256" / "256_ObjectCategories", root / "256_ObjectCategories"):
        if inside.is_dir():
            return inside
    return root if root.name == "256_ObjectCategories" and root.is_dir() else None


def _home(spec: Spec) -> Path:
    found = _found(spec)
    if found is None:
        root = folders.require_folder(spec.root, LAYOUT)
        raise UserError(f"{root}: no caltech256/256_ObjectCategories in it (expected: {LAYOUT})")
    return found


def _bring(spec: Spec) -> None:
    from zfrepro.datasets import archives

    target = spec.root.expanduser() / "caltech256"
    if spec.archive:
        archives.unpack(spec.archive, target, spec.sha256)
    else:
        archives.download(URL, MD5, target, spec.sha256)
