"""How far a grid of the first layer's stride stands out in projections: the measures of Fig 6, map by map (claim 17)."""

from __future__ import annotations

import numpy as np

SIDE = 64  # samples of a spectrum each way, or a multiple of it
NEAR, FRAME = 1 / 64, (4 / 64, 7 / 64)  # cycles per pixel from a multiple of 1 / stride: on it, and around it
TINY = 1e-30  # share of the energy that stands for none


def lines(tiles: np.ndarray, period: int) -> float:
    """Decibels by which the energy at the multiples of 1 / period exceeds that around them; about 0 without a grid.

    tiles (T, h, w, C): one map's projections, each of which counts alike. NaN where all are 0.
    """
    return _contrast(_spectrum(tiles), period)


def squares(tiles: np.ndarray, period: int) -> float:
    """The same of the squared changes from pixel to pixel: squares of one value leave no line in the spectrum itself."""
    return _contrast(_spectrum(_changes(tiles)), period)


def _spectrum(tiles: np.ndarray) -> np.ndarray:
    """(side, side), adding up to 1: mean over tiles of the shares of each one's energy; all 0 where no tile has any."""
    side = SIDE * -(-max(tiles.shape[1:3]) // SIDE)
    power = (np.abs(np.fft.fft2(tiles.astype(np.float64), (side, side), axes=(1, 2))) ** 2).sum(axis=3)
    total = power.sum(axis=(1, 2))
    live = total > 0
    return (power[live] / total[live, None, None]).sum(axis=0) / max(1, live.sum())


def _changes(tiles: np.ndarray) -> np.ndarray:
    """(T, h, w, C) -> (T, h - 1, w - 1, 1), faded out towards the border (Hann's window)."""
    tiles = tiles.astype(np.float64)
    here = tiles[:, :-1, :-1]
    found = ((tiles[:, :-1, 1:] - here) ** 2 + (tiles[:, 1:, :-1] - here) ** 2).sum(axis=3, keepdims=True)
    rows, columns = (np.hanning(side + 2)[1:-1] for side in found.shape[1:3])
    return found * (rows[:, None] * columns)[None, :, :, None]


def _contrast(spectrum: np.ndarray, period: int) -> float:
    """Geometric means, so that a steady fall towards high frequencies cancels."""
    if not spectrum.any():
        return float("nan")
    density = 10 * np.log10(np.maximum(spectrum, TINY))
    distance = _distance(len(spectrum), period)
    on, around = distance <= NEAR, (distance > FRAME[0]) & (distance <= FRAME[1])
    return float(density[on].mean() - density[around].mean())


def _distance(side: int, period: int) -> np.ndarray:
    """(side, side), cycles per pixel: from the nearest multiple of 1 / period along rows or along columns, the larger of
    both directions; infinite near frequency 0 and near what is a multiple both ways, which lines do not reach."""
    near = np.fft.fftfreq(side) * period
    multiple = np.round(near)
    away = np.abs(near - multiple) / period
    along_one = np.not_equal.outer(multiple == 0, multiple == 0)
    return np.where(along_one, np.maximum.outer(away, away), np.inf)
