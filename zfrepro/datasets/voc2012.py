"""PASCAL VOC 2012, classification: VOCdevkit/VOC2012/{JPEGImages,Annotations,ImageSets/Main}; splits "train" and "val".

A picture has the class of each of its objects, of 20. Objects marked difficult do not count, as in VOC's own evaluation:
a class of which a picture shows difficult ones only is neither present nor absent there. The labels of VOC's test
pictures are not public, so these two splits are all that can be scored without its server.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from pydantic import Field

from zfrepro.datasets import folders
from zfrepro.datasets.base import Box, DecodedImage, Item, Listing
from zfrepro.datasets.decoding import decode
from zfrepro.errors import UserError

LAYOUT = "the folder that holds VOCdevkit/VOC2012/ with JPEGImages, Annotations and ImageSets/Main, or one of these two"
CLASSES = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
]  # fmt: skip
SPLITS = ("train", "val")


class Spec(folders.SplitFolderSpec):
    classes: folders.Choice = Field(
        None, description="of the 20, the first so many or those named; pictures with none of them are left out"
    )
    archive: Path | None = Field(
        None, description="VOCtrainval_11-May-2012.tar, unpacked into root if root lacks the set"
    )
    sha256: str | None = Field(None, description="digest that the archive must have; none: it is printed, not checked")
    pictures: folders.Limit = Field(
        None, description="stop unless train and val list so many together, before any limit; the whole set: 11540"
    )
    download: bool = Field(False, description="fetch it into root from torchvision's address if it is not there")


@dataclass(frozen=True)
class _Object:
    name: str
    difficult: bool
    box: Box

    @property
    def area(self) -> float:
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


def listing(spec: Spec) -> Listing:
    """Raises UserError, naming the file, for what is missing, listed twice, or annotated in a way that VOC does not."""
    if (spec.archive or spec.download) and not _found(spec):
        _bring(spec)
    root = _home(spec)
    classes = folders.choose_classes(CLASSES, spec.classes, root)
    names = {split: _names(root, split) for split in SPLITS}
    _check(spec, root, names)
    items = {split: [_item(root, name, classes) for name in found] for split, found in names.items()}
    kept = {split: [item for item in found if item] for split, found in items.items()}
    return Listing(classes, {split: folders.take_per_class(found, spec.limit(split)) for split, found in kept.items()})


def load(spec: Spec, item: Item) -> DecodedImage:
    return decode(_home(spec) / item.key, item.box)


def _item(root: Path, name: str, classes: list[str]) -> Item | None:
    """Its label and box are those of the largest object that counts, or of the largest where none does."""
    objects = [found for found in _objects(root / "Annotations" / f"{name}.xml") if found.name in classes]
    if not objects:
        return None
    largest = max(objects, key=lambda found: (not found.difficult, found.area))
    present = {classes.index(found.name) for found in objects if not found.difficult}
    difficult = {classes.index(found.name) for found in objects} - present
    key, label = f"JPEGImages/{name}.jpg", classes.index(largest.name)
    return Item(key, label, largest.box, tuple(sorted(present)), tuple(sorted(difficult)))


def _names(root: Path, split: str) -> list[str]:
    """The pictures of a split, in the order of its file."""
    path = root / "ImageSets" / "Main" / f"{split}.txt"
    lines = folders.require_file(path, f"the names of the {split} pictures, one a line").read_text("utf-8", "replace")
    names = [line.strip() for line in lines.splitlines() if line.strip()]
    if not names:
        raise UserError(f"{path}: lists no picture")
    for name in names:
        if not re.fullmatch(r"\w[\w-]*", name):
            raise UserError(f"{path}: {name!r} is no name of a picture, such as 2008_000008, alone on its line")
    if (twice := Counter(names).most_common(1)[0])[1] > 1:
        raise UserError(f"{path}: lists {twice[0]} {twice[1]} times; remove all but one")
    return names


def _check(spec: Spec, root: Path, names: dict[str, list[str]]) -> None:
    """Every picture is in one split and is there, and they are as many as the option says."""
    if both := sorted(set(names["train"]) & set(names["val"])):
        raise UserError(
            f"{root / 'ImageSets' / 'Main'}: {both[0]} is in train.txt and in val.txt ({len(both)} such pictures); "
            "remove it from one"
        )
    pictures = folders.require_folder(root / "JPEGImages", LAYOUT)
    there = {path.name for path in pictures.iterdir()}
    for split, found in names.items():
        if missing := [name for name in found if f"{name}.jpg" not in there]:
            raise UserError(
                f"{pictures / missing[0]}.jpg: missing, but {split}.txt lists it ({len(missing)} such pictures)"
            )
    if spec.pictures and spec.pictures != (count := sum(map(len, names.values()))):
        raise UserError(
            f"{root}: lists {count} pictures, and the option `pictures` says {spec.pictures}; complete the set or "
            "mend the option"
        )


def _objects(path: Path) -> list[_Object]:
    content = folders.require_file(path, "the annotation of a listed picture").read_bytes()
    try:
        text = content.decode("utf-8")
        if "\0" in text:
            raise ValueError("it is not text in UTF-8")
        if "<!DOCTYPE" in text:  # where entities are declared that grow without bound when they are read
            raise ValueError("it declares a document type, which VOC's files do not")
        found = list(_read(ElementTree.fromstring(text)))
    except (ElementTree.ParseError, ValueError) as error:
        raise UserError(f"{path}: not an annotation of VOC ({error}); get it anew") from error
    if not found:
        raise UserError(f"{path}: has no object; remove its picture from ImageSets/Main")
    return found


def _read(annotation: ElementTree.Element) -> Iterator[_Object]:
    """Objects of one file; what is wrong with it is a ValueError. Their parts, such as hands, are no objects."""
    for found in annotation.findall("object"):
        name, difficult = (found.findtext(tag, "").strip() for tag in ("name", "difficult"))
        if name not in CLASSES:
            raise ValueError(f"an object of unknown class {name!r}; known are {', '.join(CLASSES)}")
        if difficult not in ("", "0", "1"):
            raise ValueError(f"`difficult` of a {name} is {difficult!r} instead of 0 or 1")
        yield _Object(name, difficult == "1", _box(found, name))


def _box(found: ElementTree.Element, name: str) -> Box:
    """The file names the first and the last pixel inside, counted from 1; ours are edges, counted from 0."""
    texts = [found.findtext(f"bndbox/{edge}", "").strip() for edge in ("xmin", "ymin", "xmax", "ymax")]
    try:
        x0, y0, x1, y1 = map(float, texts)
    except ValueError:
        raise ValueError(f"the box {texts} of a {name} is not four numbers") from None
    if not all(map(math.isfinite, (x0, y0, x1, y1))) or x1 < x0 or y1 < y0:
        raise ValueError(f"the box {texts} of a {name} is empty")
    return x0 - 1, y0 - 1, x1, y1


def _found(spec: Spec) -> Path | None:
    """VOC2012, wherever `root` points along the way to it."""
    root = spec.root.expanduser()
    inside = (root / "VOCdevkit" / "VOC2012", root / "VOC2012", root)
    return next((path for path in inside if (path / "Annotations").is_dir()), None)


def _home(spec: Spec) -> Path:
    found = _found(spec)
    if found is None:
        root = folders.require_folder(spec.root, LAYOUT)
        raise UserError(f"{root}: no VOCdevkit/VOC2012 with Annotations in it (expected: {LAYOUT})")
    return found


def _bring(spec: Spec) -> None:
    from zfrepro.datasets import archives
    from zfrepro.models import torchvision_import

    target = spec.root.expanduser() / "VOCdevkit"
    if spec.archive:
        return archives.unpack(spec.archive, target, spec.sha256, "VOCdevkit")
    torchvision_import.ensure()
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    source = DATASET_YEAR_DICT["2012"]
    archives.download(source["url"], source["md5"], target, spec.sha256, "VOCdevkit")
