"""The background of an object: a ground from a pool shared by all classes, and scattered odd shapes."""

from __future__ import annotations

import math

import numpy as np

from zfrepro.datasets.drawing import palette
from zfrepro.datasets.drawing.painter import TEXELS, Setting, paint, sample
from zfrepro.datasets.drawing.parts import Paint
from zfrepro.datasets.drawing.rng import Rng
from zfrepro.datasets.drawing.shapes import Outline, box, ellipse, petal, poly, ring, rounded, smooth, star, stroke

# (texture above the horizon, texture below it, or None where one surface fills the picture)
GROUNDS = [
    ("noise", "grass"), ("noise", "noise"), ("noise", "water"), ("leaves", "grass"), ("plain", "checks"),
    ("brick", "planks"), ("ribs", "planks"), ("noise", "stone"), ("windows", "noise"), ("leaves", None), ("noise", None),
    ("water", None), ("brick", None), ("stone", None), ("planks", None), ("knit", None), ("grass", None), ("patches", None),
]  # fmt: skip
CLUTTER_TEXTURES = (
    "plain", "noise", "leaves", "stripes", "spots", "checks", "brick", "metal", "fur", "ribs", "wool", "scales",
)  # fmt: skip


def ground(rng: Rng, size: int) -> np.ndarray:
    """3 x size x size: one or two textured surfaces, each with a gradient from top to bottom."""
    above, below = rng.pick(GROUNDS)
    horizon = round(size * rng.between(0.35, 0.75)) if below else size
    picture = np.empty((3, size, size), np.float32)
    picture[:, :horizon] = _surface(rng, above, 0, horizon, size)
    if below:
        picture[:, horizon:] = _surface(rng, below, horizon, size, size)
    return picture


def _surface(rng: Rng, texture: str, top: int, foot: int, size: int) -> np.ndarray:
    near = palette.hue(rng)
    first, last, other = (palette.colour(rng, 0.5, near) for _ in range(3))
    fade = np.linspace(0, 1, foot - top, dtype=np.float32)[:, None]
    turn, zoom = rng.between(-0.15, 0.15), TEXELS * rng.between(2.0, 3.6) / size
    c, s = math.cos(turn) * zoom, math.sin(turn) * zoom
    origin = (rng.between(0, 256), rng.between(0, 256))
    mix = sample(texture, np.array([[c, -s], [s, c]]), origin, 0, top, size, foot) * rng.between(0.15, 0.5)
    base = first[:, None, None] + (last - first)[:, None, None] * fade
    return base + (other[:, None, None] - base) * mix


def odd_shape(rng: Rng) -> Outline:
    """A shape about one unit in radius, like the shapes that objects consist of."""
    a, b = rng.between(0.3, 1), rng.between(0, 6.3)
    makers = (
        lambda: ellipse(0, 0, 1, a, b),
        lambda: box(0, 0, 1.7, 1.7 * a, b),
        lambda: rounded(0, 0, 1.8, 1.8 * a, b),
        lambda: star(0, 0, 1, 0.3 + 0.5 * a, rng.count(3, 8), b),
        lambda: petal(-0.8, 0, 1.8, a, b),
        lambda: ring(0, 0, 1, 0.15 + 0.3 * a, b, b + rng.between(2, 6.28)),
        lambda: stroke([(-1, -0.4), (0, a - 0.5), (1, 0.4)], 0.3),
        lambda: poly((0, -1), (0.9, 0.8), (-0.9, 0.8 * a)),
        lambda: smooth(
            *((rng.near(1, 0.4) * math.cos(t), rng.near(1, 0.4) * math.sin(t)) for t in (0, 1.2, 2.5, 3.7, 5))
        ),
    )
    return rng.pick(makers)()


def paint_odd_shape(
    rng: Rng, picture: np.ndarray, middle: tuple[float, float], radius: float, setting: Setting
) -> None:
    """Paint one odd shape, some with a smaller one on it, as wheels, eyes and windows are."""
    outline = odd_shape(rng) * radius + middle
    slots = [rng.pick(("main", "second", "accent", "trim", "dark", "light")) for _ in range(2)]
    paint(picture, outline, Paint(slots[0], rng.pick(CLUTTER_TEXTURES), slots[1]), setting)
    if rng.chance(0.4):
        paint(picture, ellipse(*middle, 0.45 * radius), Paint(slots[1]), setting)
