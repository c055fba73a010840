"""Outlines: closed polygons as N x 2 arrays in object units (x right, y down, an object spans about -1 to 1)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

Outline = np.ndarray
Points = Sequence[tuple[float, float]]


@functools.cache
def _circle(n: int) -> Outline:
    angle = np.linspace(0, 2 * math.pi, n, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def _place(unit: Outline, cx: float, cy: float, turn: float) -> Outline:
    if turn:
        c, s = math.cos(turn), math.sin(turn)
        unit = unit @ np.array([[c, s], [-s, c]])
    return unit + (cx, cy)


def ellipse(cx: float, cy: float, rx: float, ry: float | None = None, turn: float = 0, n: int = 28) -> Outline:
    """Turn in radians, clockwise as seen."""
    return _place(_circle(n) * (rx, rx if ry is None else ry), cx, cy, turn)


def box(cx: float, cy: float, w: float, h: float, turn: float = 0) -> Outline:
    return _place(np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) / 2, cx, cy, turn)


def rounded(cx: float, cy: float, w: float, h: float, turn: float = 0, power: float = 4) -> Outline:
    """A superellipse of full width w and height h; power 2 is an ellipse, 8 nearly a box."""
    circle = _circle(32)
    return _place(np.sign(circle) * np.abs(circle) ** (2 / power) * (w / 2, h / 2), cx, cy, turn)


def poly(*points: tuple[float, float]) -> Outline:
    return np.array(points, float)


def mirror(outline: Outline) -> Outline:
    return outline * (-1, 1)


def moved(outline: Outline, dx: float = 0, dy: float = 0, scale: float = 1) -> Outline:
    """Scaled about its own middle, then shifted."""
    middle = (outline.min(0) + outline.max(0)) / 2
    return (outline - middle) * scale + middle + (dx, dy)


@functools.cache
def _spline_weights(steps: int) -> np.ndarray:
    t = np.arange(steps)[:, None] / steps
    return 0.5 * np.hstack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3])


def smooth(*points: tuple[float, float], steps: int = 5) -> Outline:
    """A closed Catmull-Rom curve through the points."""
    p = np.array(points, float)
    neighbours = np.stack([np.roll(p, 1, 0), p, np.roll(p, -1, 0), np.roll(p, -2, 0)], 1)
    return np.einsum("sk,nkc->nsc", _spline_weights(steps), neighbours).reshape(-1, 2)


def symmetric(*half: tuple[float, float]) -> Outline:
    """A smooth shape from its right half, given from top to bottom; points on the axis (x = 0) are not doubled."""
    return smooth(*half, *[(-x, y) for x, y in reversed(half) if x])


def stroke(points: Points, width: float, tip: float | None = None) -> Outline:
    """A band along a line, `width` wide at its start and `tip` at its end."""
    p = np.array(points, float)
    along = np.gradient(p, axis=0)
    normal = along[:, ::-1] * (-1, 1) / (np.hypot(*along.T)[:, None] + 1e-9)
    half = np.linspace(width, width if tip is None else tip, len(p))[:, None] / 2
    return np.concatenate([p + normal * half, (p - normal * half)[::-1]])


def curve(*points: tuple[float, float], steps: int = 5) -> list[tuple[float, float]]:
    """An open smooth line through the points, to be given to `stroke`."""
    line = smooth(*points, steps=steps)
    return [*map(tuple, line[: (len(points) - 1) * steps]), points[-1]]


def ring(cx: float, cy: float, r: float, width: float, start: float = 0, stop: float = 2 * math.pi) -> Outline:
    """An arc of a band with outer radius r; angles clockwise from the right. A full turn is a ring with a hole."""
    angle = np.linspace(start, stop, max(8, int(5 * (stop - start)) + 1))
    unit = np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.concatenate([unit * r, unit[::-1] * (r - width)]) + (cx, cy)


def star(cx: float, cy: float, r: float, inner: float, n: int, turn: float = -math.pi / 2) -> Outline:
    """n points at radius r with notches at radius inner; the first point is up."""
    radius = np.where(np.arange(2 * n) % 2, inner, r)[:, None]
    return _place(_circle(2 * n) * radius, cx, cy, turn)


def petal(cx: float, cy: float, length: float, width: float, turn: float, start: float = 0) -> Outline:
    """A leaf that begins `start` away from (cx, cy) and points along `turn`."""
    x = np.linspace(0, 1, 8)
    y = np.sin(np.pi * x**0.8) * width / 2
    unit = np.concatenate([np.stack([x * length, y], 1), np.stack([x * length, -y], 1)[-2:0:-1]])
    return _place(unit + (start, 0), cx, cy, turn)


def bounds(outlines: Sequence[Outline]) -> tuple[float, float, float, float]:
    low = np.min([o.min(0) for o in outlines], 0)
    high = np.max([o.max(0) for o in outlines], 0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
