"""The interface of a data set's module: `Spec` (its options), `listing(spec)` and `load(spec, item)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image

# Data sets whose reader gives boxes of parts, and those that can have several classes in an image
WITH_PARTS, WITH_SEVERAL_CLASSES = frozenset({"scenes"}), frozenset({"scenes", "voc2012"})

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the image: edges, not pixel numbers


@dataclass(frozen=True)
class Item:
    """One image of a set, before it is read. `key` identifies it: a path relative to the root, or a number.

    Where images have several classes, `present` are those that count, `difficult` those with difficult objects only, and
    `label` is one of them. Where both are empty, as in most sets, `label` is the only class.
    """

    key: str
    label: int
    box: Box | None = None  # in pixels as the file stores them
    present: tuple[int, ...] = ()
    difficult: tuple[int, ...] = ()

    @property
    def positive(self) -> tuple[int, ...]:
        """Every class for which the image is a positive example."""
        return self.present if self.present or self.difficult else (self.label,)


@dataclass(frozen=True)
class Listing:
    """The content of a data set: class names, and the images of each split in a fixed order."""

    classes: list[str]
    splits: dict[str, list[Item]]
    left_out: Mapping[str, int] = field(default_factory=dict)  # reason -> files that are there and not taken


@dataclass(frozen=True)
class DecodedImage:
    """An image in RGB at its own size, with its boxes in pixels."""

    image: Image.Image
    box: Box | None = None
    parts: dict[str, Box] = field(default_factory=dict)
