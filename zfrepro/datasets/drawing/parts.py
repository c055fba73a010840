"""The parts of an object: an outline, a paint and, for parts with a box, a name."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zfrepro.datasets.drawing.shapes import Outline, box, ellipse, mirror, poly, ring, stroke


@dataclass(frozen=True)
class Paint:
    """`slot` names a colour of the scheme, `other` the one the texture mixes in (None: a darker tone of the first)."""

    slot: str = "main"
    texture: str = "plain"
    other: str | None = None
    grain: float = 1.0  # texture size; 2 is twice as coarse
    relief: float = 1.0  # strength of the bulge; 0 is flat


@dataclass(frozen=True)
class Part:
    outline: Outline
    paint: Paint
    name: str | None = None


def part(outline: Outline, slot: str = "main", texture: str = "plain", name: str | None = None, **paint) -> Part:
    return Part(outline, Paint(slot, texture, **paint), name)


def pair(outline: Outline, slot: str = "main", texture: str = "plain", name: str | None = None, **paint) -> list[Part]:
    """A shape drawn at x > 0 and its mirror image; x > 0 is the animal's own left."""
    left, right = (f"left {name}", f"right {name}") if name else (None, None)
    return [part(outline, slot, texture, left, **paint), part(mirror(outline), slot, texture, right, **paint)]


def line(points, width: float, slot: str = "dark", name: str | None = None, tip: float | None = None) -> Part:
    return part(stroke(points, width, tip), slot, name=name, relief=0.5)


def eye(x: float, y: float, r: float, name: str | None = None, iris: str = "light", pupil: tuple = (0.55, 0.55)):
    """An eye with a pupil (its width and height as fractions of r) and a glint."""
    return [
        part(ellipse(x, y, r, n=20), iris, name=name, relief=0.6),
        part(ellipse(x, y, r * pupil[0], r * pupil[1], n=14), "dark", relief=0.3),
        part(ellipse(x - 0.25 * r, y - 0.3 * r, 0.22 * r, n=8), "light", relief=0),
    ]


def wheel(x: float, y: float, r: float, name: str = "wheel", rim: str = "light") -> list[Part]:
    """A tyre, a rim and a hub."""
    return [
        part(ellipse(x, y, r), "dark", name=name),
        part(ellipse(x, y, 0.6 * r, n=20), rim, "metal"),
        part(ellipse(x, y, 0.2 * r, n=10), "dark", relief=0.4),
    ]


def spoked_wheel(x: float, y: float, r: float, name: str, width: float = 0.08, spokes: int = 5, turn: float = 0.0):
    """A wheel that can be seen through."""
    angles = [turn + math.pi * i / spokes for i in range(spokes)]
    ends = [(0.95 * r * math.cos(a), 0.95 * r * math.sin(a)) for a in angles]
    bars = [line([(x - dx, y - dy), (x + dx, y + dy)], 0.022, "light") for dx, dy in ends]
    return [*bars, part(ring(x, y, r, width), "dark", name=name), part(ellipse(x, y, 0.1 * r + 0.02, n=10), "trim")]


def window(x: float, y: float, w: float, h: float, name: str | None = "window", cross: bool = True) -> list[Part]:
    """A framed pane."""
    frame = [
        part(box(x, y, w, h), "light", name=name, relief=0.4),
        part(box(x, y, 0.76 * w, 0.8 * h), "glass", "metal"),
    ]
    bars = [box(x, y, 0.1 * w, 0.9 * h), box(x, y, 0.9 * w, 0.09 * h)]
    return frame + [part(bar, "light", relief=0) for bar in bars if cross]


def flag(x: float, y: float, size: float) -> list[Part]:
    cloth = poly((x, y - size), (x + 0.8 * size, y - 0.75 * size), (x, y - 0.5 * size))
    return [part(box(x, y - size / 2, 0.03, size), "dark"), part(cloth, "accent", name="flag")]


def smoke(x: float, y: float, size: float) -> list[Part]:
    puffs = ((0, 0, 0.5), (-0.6, -0.5, 0.65), (-1.5, -0.8, 0.8))
    return [part(ellipse(x + size * dx, y + size * dy, size * r, n=16), "light", "noise") for dx, dy, r in puffs]
