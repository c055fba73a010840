"""`scenes`, the built-in data set: pictures drawn by this project, with object and part boxes. No download.

A picture depends only on seed, set, split, class and index, so counts can change without changing any picture.
The set voc2012 stands in for PASCAL VOC 2012: one to four objects of the source set's classes per image. The first is
the largest and gives the label; one in ten of the others is very small, and marked difficult.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field

from zfrepro.datasets.base import DecodedImage, Item, Listing
from zfrepro.datasets.drawing.catalogue import SETS, Recipe
from zfrepro.datasets.drawing.composition import draw, draw_several
from zfrepro.datasets.drawing.rng import Rng
from zfrepro.errors import UserError
from zfrepro.spec import Base


class Spec(Base):
    set: Literal["source", "caltech101", "caltech256", "voc2012"] = Field(
        "source",
        description="the source set, the stand-ins for Caltech-101 and Caltech-256, which have other classes, or the "
        "stand-in for VOC 2012, with several objects of the source set's classes per image",
    )
    seed: int = Field(0, ge=0, description="another seed draws other images of the same classes")
    size: int = Field(112, ge=32, le=1024, description="pixels; side of the square images")
    train_per_class: int = Field(250, ge=1, description="images; source set and voc2012, split train")
    val_per_class: int = Field(50, ge=1, description="images; source set and voc2012, split val")
    per_class: int = Field(60, ge=1, description="images; the other sets, which have the one split all")


def listing(spec: Spec) -> Listing:
    """Class names, and a key `split/class/index` for each picture."""
    classes = list(_recipes(spec))
    counts = (
        {"train": spec.train_per_class, "val": spec.val_per_class}
        if spec.set in ("source", "voc2012")
        else {"all": spec.per_class}
    )
    return Listing(classes, {split: _items(spec, split, classes, count) for split, count in counts.items()})


def _recipes(spec: Spec) -> dict[str, Recipe]:
    return SETS["source" if spec.set == "voc2012" else spec.set]


def _items(spec: Spec, split: str, classes: list[str], count: int) -> list[Item]:
    items = [Item(f"{split}/{name}/{i:05d}", label) for label, name in enumerate(classes) for i in range(count)]
    return [_add_objects(spec, item, classes) for item in items] if spec.set == "voc2012" else items


def _add_objects(spec: Spec, item: Item, classes: list[str]) -> Item:
    objects = _objects(spec, item.key)
    present = {classes.index(name) for name, small in objects if not small}
    difficult = {classes.index(name) for name, small in objects} - present
    return replace(item, present=tuple(sorted(present)), difficult=tuple(sorted(difficult)))


def _objects(spec: Spec, key: str) -> list[tuple[str, bool]]:
    """(class, is small) of each object in a picture of voc2012, the largest first."""
    split, name, index = key.split("/")
    rng, classes = Rng(spec.seed, "objects", split, name, int(index)), list(_recipes(spec))
    return [(name, False)] + [(rng.pick(classes), rng.chance(0.1)) for _ in range(rng.count(0, 3))]


def load(spec: Spec, item: Item) -> DecodedImage:
    """Draw the picture of this key."""
    split, name, index = item.key.split("/")
    recipes = _recipes(spec)
    if name not in recipes:
        raise UserError(f"scenes: the set {spec.set} has no class {name!r}; choose from {', '.join(recipes)}")
    rng = Rng(spec.seed, spec.set, split, name, int(index))
    if spec.set != "voc2012":
        return draw(recipes[name](rng), rng, spec.size)
    names, small = zip(*_objects(spec, item.key), strict=True)
    image, boxes = draw_several([recipes[name](rng) for name in names], list(small), rng, spec.size)
    return DecodedImage(image, boxes[0])
