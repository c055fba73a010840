"""The shape of a data set's module: `Spec` (its options), `listing(spec)` and `load(spec, item)`."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in the picture's own pixels


@dataclass(frozen=True)
class Item:
    """One picture that the set lists, before it is read. `key` names it: a path relative to the root, or a number.

    Where pictures have several classes: `present` are those in it, `difficult` those of which all that is there is too
    hard to count, and `label` is one of the two. Where both are empty, as in most sets, its label is all there is.
    """

    key: str
    label: int
    box: Box | None = None
    present: tuple[int, ...] = ()
    difficult: tuple[int, ...] = ()

    @property
    def shown(self) -> tuple[int, ...]:
        """Every class that it counts for."""
        return self.present if self.present or self.difficult else (self.label,)


@dataclass(frozen=True)
class Listing:
    """What a data set holds: class names, and for each split its pictures in a fixed order."""

    classes: list[str]
    splits: dict[str, list[Item]]


@dataclass(frozen=True)
class DecodedImage:
    """A decoded picture, RGB at its own size, with the boxes known for it in its own pixels."""

    image: Image.Image
    box: Box | None = None
    parts: dict[str, Box] = field(default_factory=dict)
