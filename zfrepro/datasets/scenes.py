"""`scenes`, the embedded data set: a world drawn by the project itself, with object and part boxes. No download.

A picture depends on seed, set, split, class and index only, so counts can change without changing any picture.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from zfrepro.datasets.base import Item, Listing, Picture
from zfrepro.datasets.drawing.catalogue import SETS
from zfrepro.datasets.drawing.composition import draw
from zfrepro.datasets.drawing.dice import Dice
from zfrepro.errors import UserError
from zfrepro.spec import Base


class Spec(Base):
    set: Literal["source", "caltech101", "caltech256"] = Field(
        "source", description="which classes: the source set, or those that stand in for Caltech-101 or Caltech-256"
    )
    seed: int = Field(0, ge=0, description="of the whole world; another seed, other pictures of the same classes")
    size: int = Field(112, ge=32, le=1024, description="pixels; side of the square pictures")
    train_per_class: int = Field(250, ge=1, description="pictures; source set, split train")
    val_per_class: int = Field(50, ge=1, description="pictures; source set, split val")
    per_class: int = Field(60, ge=1, description="pictures; target sets, which have the one split all")


def listing(spec: Spec) -> Listing:
    """Class names, and a key `split/class/index` for each picture."""
    classes = list(SETS[spec.set])
    counts = (
        {"train": spec.train_per_class, "val": spec.val_per_class} if spec.set == "source" else {"all": spec.per_class}
    )
    return Listing(classes, {split: _items(split, classes, count) for split, count in counts.items()})


def _items(split: str, classes: list[str], count: int) -> list[Item]:
    return [Item(f"{split}/{name}/{i:05d}", label) for label, name in enumerate(classes) for i in range(count)]


def load(spec: Spec, item: Item) -> Picture:
    """Draw the picture that the key names."""
    split, name, index = item.key.split("/")
    if name not in SETS[spec.set]:
        raise UserError(f"scenes: the set {spec.set} has no class {name!r}; it has {', '.join(SETS[spec.set])}")
    dice = Dice(spec.seed, spec.set, split, name, int(index))
    return draw(SETS[spec.set][name](dice), dice, spec.size)
