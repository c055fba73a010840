"""Curves of distances and probabilities under translation, scale and rotation, in numbers (Fig 5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

UNTOUCHED = {"shift": 0.0, "scale": 1.0, "turn": 0.0}  # pixels, ratio, degrees
SMALL_STEPS = {"shift": 10 / 60, "scale": 0.2 / 0.8, "turn": None}  # of the paper's, as shares of the range
QUARTERS, EIGHTHS = (90, 180, 270), (45, 135, 225, 315)  # degrees at which a symmetric object fits itself, and between
PRINTED = {  # read by eye from the paper's curves of five pictures
    ("shift", "small"): "layer 1: 0.5 to 0.85, layer 7: 0.1 to 0.2",
    ("shift", "largest"): "layer 1: 5 to 9, layer 7: 0.25 to 0.7",
    ("scale", "small"): "layer 1: 0.7 and more, layer 7: 0.2 to 0.35",
    ("scale", "largest"): "layer 1: 5.6 to 11, layer 7: 0.55 to 0.65",
    ("turn", "largest"): "layer 1: 5 to 12, layer 7: 0.4 to 1.35",
    ("turn", "quarters"): "layer 7: 0.5 to 0.6 against 1.2 to 1.35, one picture",
    ("turn", "at quarters"): "0.75 to 0.85, one picture",
    ("turn", "at eighths"): "about 0, one picture",
}
SMALL_STEP = {  # the middles of these ranges, layers 1 and 7; of the scale's layer 1 the lower end is all that can be read
    "shift": ((0.5 + 0.85) / 2, (0.1 + 0.2) / 2),
    "scale": (0.7, (0.2 + 0.35) / 2),
}
TURNED = {  # of the one picture at quarter turns and halfway between them
    "P(true class)": ((0.75 + 0.85) / 2, 0.0),
    "layer 7": ((0.5 + 0.6) / 2, (1.2 + 1.35) / 2),
}


def amounts(arrays: Mapping[str, np.ndarray], kind: str) -> np.ndarray:
    """(T,): how far from the untouched view."""
    return np.abs(arrays[kind] - UNTOUCHED[kind])


def share_of_largest(curve: np.ndarray, amount: np.ndarray, small: float) -> np.ndarray:
    """(N,): distance at `small` of the range, over that at its end; curves (N, T), amounts (T,) from the untouched view.

    NaN where no step comes within half of the small one: the nearest would be the untouched view or a large step.
    """
    distance = np.abs(amount - small * amount.max())
    if distance.min() > small * amount.max() / 2:
        return np.full(len(curve), np.nan)
    nearest, ends = distance <= distance.min() + 1e-9, amount >= amount.max() - 1e-9
    return ratio(curve[:, nearest].mean(1), curve[:, ends].mean(1))


def ratio(part: np.ndarray, total: np.ndarray) -> np.ndarray:
    """float64 (N,): part / total; NaN where the total is 0."""
    shares: np.ndarray = np.divide(part, total, out=np.full(len(part), np.nan), where=total != 0)
    return shares


def linearity(curve: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """(N,): R^2 = 1 - residual / total sum of squares of the best line through the origin, for each curve (N, T).

    NaN for a curve that does not change.
    """
    slope = (curve @ amount) / (amount @ amount)
    residual = ((curve - slope[:, None] * amount) ** 2).sum(1)
    total = ((curve - curve.mean(1, keepdims=True)) ** 2).sum(1)
    return 1 - ratio(residual, total)


def at(curve: np.ndarray, degrees: np.ndarray, angles: tuple[int, ...]) -> np.ndarray:
    """(N,): mean over angles of curves (N, T), each at the nearest of `degrees` (T,); NaN where one is over 10 away."""
    away = np.abs(degrees - np.array(angles)[:, None])
    return curve[:, away.argmin(1)].mean(1) if away.min(1).max() <= 10 else np.full(len(curve), np.nan)
