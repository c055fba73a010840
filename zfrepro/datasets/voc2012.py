"""PASCAL VOC 2012, classification: VOCdevkit/VOC2012/{JPEGImages,Annotations,ImageSets/Main}; splits "train" and "val".

An image has the class of each of its objects, of 20. Objects marked difficult do not count, as in VOC's own evaluation:
a class with difficult objects only is neither present nor absent in the image. The labels of VOC's test images are not
public, so only these two splits can be scored without its server.
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
from zfrepro.storage import paths

LAYOUT = "VOCdevkit/VOC2012/ with JPEGImages/, Annotations/ and ImageSets/Main/ in `root`"
FOLDER, MARKER = "VOCdevkit/VOC2012", "Annotations"
CLASSES = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
]  # fmt: skip
SPLITS = ("train", "val")


class Spec(folders.SplitFolderSpec):
    inner = (FOLDER, MARKER)

    classes: folders.Choice = Field(
        None, description="number of classes to take of the 20, or their names; images with none of them are left out"
    )
    archive: Path | None = Field(
        None, description="VOCtrainval_11-May-2012.tar, unpacked into root if root does not contain the set"
    )
    sha256: str | None = Field(None, description="digest that the archive must have; None: print it, check nothing")
    pictures: folders.Limit = Field(
        None, description="images that train and val must list together, before any limit; the full set: 11540"
    )
    download: bool = Field(
        False, description="download it into root from torchvision's address if root does not contain it"
    )


@dataclass(frozen=True)
class _Object:
    name: str
    difficult: bool
    box: Box

    @property
    def area(self) -> float:
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


def listing(spec: Spec) -> Listing:
    """Raises UserError, naming the file, if one is missing, listed twice, or not annotated as VOC does."""
    if (spec.archive or spec.download) and not folders.find_folder(spec.root, FOLDER, MARKER):
        _obtain(spec)
    root = _require_root(spec)
    classes = folders.choose_classes(CLASSES, spec.classes, root)
    names = {split: _read_names(root, split) for split in SPLITS}
    _check(spec, root, names)
    return Listing(classes, {split: _list_items(spec, root, split, names[split], classes) for split in SPLITS})


def load(spec: Spec, item: Item) -> DecodedImage:
    return decode(_require_root(spec) / item.key, item.box)


def _list_items(spec: Spec, root: Path, split: str, names: list[str], classes: list[str]) -> list[Item]:
    items = (_item(root, name, classes) for name in names)
    return folders.take_per_class((item for item in items if item), spec.limit(split))


def _item(root: Path, name: str, classes: list[str]) -> Item | None:
    """Label and box of the largest object that is not difficult, or of the largest if all are; None without objects."""
    objects = [obj for obj in _read_objects(root / "Annotations" / f"{name}.xml") if obj.name in classes]
    if not objects:
        return None
    largest = max(objects, key=lambda obj: (not obj.difficult, obj.area))
    present = {classes.index(obj.name) for obj in objects if not obj.difficult}
    difficult = {classes.index(obj.name) for obj in objects} - present
    key, label = f"JPEGImages/{name}.jpg", classes.index(largest.name)
    return Item(key, label, largest.box, tuple(sorted(present)), tuple(sorted(difficult)))


def _read_names(root: Path, split: str) -> list[str]:
    """The images of a split, in the order of its file."""
    path = root / "ImageSets" / "Main" / f"{split}.txt"
    text = paths.read_text(folders.require_file(path, f"the names of the {split} images, one per line"))
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise UserError(f"{path}: lists no image; download the set again")
    for name in names:
        if not re.fullmatch(r"\w[\w-]*", name):
            raise UserError(f"{path}: {name!r} is not the name of an image; a line must be a name such as 2008_000008")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UserError(f"{path}: lists {name} {count} times; remove all but one")
    return names


def _check(spec: Spec, root: Path, names: dict[str, list[str]]) -> None:
    """Every image is in one split and exists, and their number is that of the option `pictures`."""
    if shared := sorted(set(names["train"]) & set(names["val"])):
        raise UserError(
            f"{root / 'ImageSets' / 'Main'}: {shared[0]} is in train.txt and in val.txt ({len(shared)} such images); "
            "remove it from one"
        )
    images = folders.require_folder(root / "JPEGImages", LAYOUT)
    files = {path.name for path in images.iterdir()}
    for split in SPLITS:
        if missing := [name for name in names[split] if f"{name}.jpg" not in files]:
            raise UserError(
                f"{images / missing[0]}.jpg: no such file, but {split}.txt lists it ({len(missing)} such images); "
                "unpack the set again"
            )
    if spec.pictures and spec.pictures != (count := sum(map(len, names.values()))):
        raise UserError(
            f"{root}: lists {count} images, but the option `pictures` is {spec.pictures}; complete the set or fix the "
            "option"
        )


def _read_objects(path: Path) -> list[_Object]:
    content = folders.require_file(path, "the annotation of a listed image").read_bytes()
    try:
        text = content.decode("utf-8-sig")
        if "\0" in text:
            raise ValueError("not text in UTF-8")
        if "<!DOCTYPE" in text:  # its entities may expand without bound
            raise ValueError("declares a document type, unlike VOC's files")
        objects = list(_parse_objects(ElementTree.fromstring(text)))
    except (ElementTree.ParseError, ValueError) as error:
        raise UserError(f"{path}: not an annotation of VOC ({error}); download the set again") from error
    if not objects:
        raise UserError(f"{path}: contains no object; remove its image from ImageSets/Main")
    return objects


def _parse_objects(annotation: ElementTree.Element) -> Iterator[_Object]:
    """Objects of one file, without their parts, such as hands. Raises ValueError."""
    for element in annotation.findall("object"):
        name, difficult = (element.findtext(tag, "").strip() for tag in ("name", "difficult"))
        if name not in CLASSES:
            raise ValueError(f"object of unknown class {name!r}; the classes are {', '.join(CLASSES)}")
        if difficult not in ("", "0", "1"):
            raise ValueError(f"`difficult` of a {name} is {difficult!r} instead of 0 or 1")
        yield _Object(name, difficult == "1", _parse_box(element, name))


def _parse_box(element: ElementTree.Element, name: str) -> Box:
    """The file gives the first and the last pixel inside, from 1; our boxes have edges, from 0."""
    texts = [element.findtext(f"bndbox/{edge}", "").strip() for edge in ("xmin", "ymin", "xmax", "ymax")]
    try:
        x0, y0, x1, y1 = map(float, texts)
    except ValueError:
        raise ValueError(f"the box {texts} of a {name} is not four numbers") from None
    if not all(map(math.isfinite, (x0, y0, x1, y1))) or x1 < x0 or y1 < y0:
        raise ValueError(f"the box {texts} of a {name} is empty")
    return x0 - 1, y0 - 1, x1, y1


def _require_root(spec: Spec) -> Path:
    return folders.require_folder_in(spec.root, FOLDER, LAYOUT, MARKER)


def _obtain(spec: Spec) -> None:
    from zfrepro.datasets import archives
    from zfrepro.models import torchvision_import

    target = paths.resolve(spec.root) / "VOCdevkit"
    if spec.archive:
        return archives.unpack(spec.archive, target, spec.sha256, "VOCdevkit")
    torchvision_import.ensure()
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    source = DATASET_YEAR_DICT["2012"]
    archives.download(source["url"], source["md5"], target, spec.sha256, "VOCdevkit")
