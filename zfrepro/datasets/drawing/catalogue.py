"""Which class is in which set, and the function that draws its parts from random numbers."""

from __future__ import annotations

from collections.abc import Callable

from zfrepro.datasets.drawing import artefacts, buildings, creatures, faces, plants, vehicles
from zfrepro.datasets.drawing.parts import Part
from zfrepro.datasets.drawing.rng import Rng

Recipe = Callable[[Rng], list[Part]]

FACES = {
    "source": ("cat", "dog", "fox", "bear", "rabbit", "pig", "cow", "owl"),
    "caltech101": ("panda", "mouse", "lion", "monkey", "sheep", "raccoon"),
    "caltech256": ("tiger", "deer", "elephant", "koala", "frog"),
}
KINDS = (vehicles, buildings, plants, creatures, artefacts)


def _members(name: str) -> dict[str, Recipe]:
    others = {recipe.__name__: recipe for kind in KINDS for recipe in getattr(kind, name.upper())}
    return {animal: faces.RECIPES[animal] for animal in FACES[name]} | others


SETS: dict[str, dict[str, Recipe]] = {name: _members(name) for name in FACES}
