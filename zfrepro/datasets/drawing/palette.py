"""Colours: one palette for all classes, so that a colour does not indicate the class."""

from __future__ import annotations

import colorsys

import numpy as np

from zfrepro.datasets.drawing.rng import Rng

Colour = np.ndarray  # 3 values, 0 to 255

# Tones as (saturation, value).
TONES = [(0.72, 0.85), (0.5, 0.95), (0.8, 0.6), (0.35, 0.9), (0.6, 0.4), (0.3, 0.62), (0.12, 0.88), (0.15, 0.45)]
# Hues as fractions of a turn: those of everyday objects, so fewer violets and neon greens than a uniform choice.
HUES = [0.0, 0.03, 0.06, 0.09, 0.12, 0.15, 0.2, 0.26, 0.33, 0.42, 0.5, 0.55, 0.59, 0.64, 0.75, 0.92]
SLOTS = ("main", "second", "accent", "trim")


def hue(rng: Rng) -> float:
    return rng.pick(HUES) + rng.between(-0.02, 0.02)


def colour(rng: Rng, mute: float = 1.0, near: float | None = None) -> Colour:
    """A colour of the palette; mute < 1 reduces saturation, `near` is a hue to stay close to."""
    saturation, value = rng.pick(TONES)
    turn = hue(rng) if near is None else near + rng.between(-0.08, 0.08)
    rgb = colorsys.hsv_to_rgb(turn % 1, rng.near(saturation * mute), min(1.0, rng.near(value)))
    return np.array(rgb, np.float32) * 255


def scheme(rng: Rng) -> dict[str, Colour]:
    """The colours of one object: four distinguishable random ones, and near-black, near-white and glass."""
    chosen = [colour(rng)]
    while len(chosen) < len(SLOTS):
        new = min((_clash(c, chosen), i, c) for i, c in enumerate(colour(rng) for _ in range(3)))[2]
        chosen.append(new)
    tint = colour(rng)
    fixed = {"dark": 14 + 0.16 * tint, "light": 190 + 0.24 * tint, "glass": 95 + 0.42 * colour(rng)}
    return {**dict(zip(SLOTS, chosen, strict=True)), **{k: v.astype(np.float32) for k, v in fixed.items()}}


def _clash(new: Colour, others: list[Colour]) -> float:
    return -min(float(np.abs(new - old).sum()) for old in others)
