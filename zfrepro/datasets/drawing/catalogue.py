"""Which class is in which set, and the function that makes its parts from rng."""

from __future__ import annotations

from collections.abc import Callable

from zfrepro.datasets.drawing import buildings, creatures, faces, plants, things, vehicles
from zfrepro.datasets.drawing.parts import Part
from zfrepro.datasets.drawing.rng import Rng

Recipe = Callable[[Rng], list[Part]]

FACES = {
    "source": ("cat", "dog", "fox", "bear", "rabbit", "pig", "cow", "owl"),
    "caltech101": ("panda", "mouse", "lion", "monkey", "sheep", "raccoon"),
    "caltech256": ("tiger", "deer", "elephant", "koala", "frog"),
}
KINDS = (vehicles, buildings, plants, creatures, things)


def _members(name: str) -> dict[str, Recipe]:
    made = {f.__name__: f for kind in KINDS for f in getattr(kind, name.upper())}
    return {animal: faces.RECIPES[animal] for animal in FACES[name]} | made


SETS: dict[str, dict[str, Recipe]] = {name: _members(name) for name in FACES}
