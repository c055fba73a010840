"""How the energy of small colour images spreads over spatial frequencies: first-layer filters, projections (Fig 6).

Images of different sizes become comparable by zeros added around them to one side: a frequency then has the same index in
every spectrum. Their mean is kept and counts as the lowest frequency. Frequencies are in cycles per pixel: 0.5 along a row or
a column is the highest there is, 0.71 along a diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SIDE = 64  # samples of a spectrum each way; 1/4 and 1/2 cycles per pixel are among them
BANDS = (1 / 8, 1 / 4)  # low: periods over 8 pixels; middle: 8 to 4; high: up to 4
HIGH = 1 / 4  # what counts as high in a projection
REACH = 1 / 64  # cycles per pixel that count as one frequency, each way

TINY = 1e-30  # share of the energy that stands for none


def power(images: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Images (N, h, w, C), no larger than `side` -> energy (N, side, side) at every frequency, summed over colours.

    All of an image's energies add up to the sum of its squared pixels.
    """
    spectrum = np.fft.fft2(images.astype(np.float64), (side, side), axes=(1, 2))
    energy: np.ndarray = (np.abs(spectrum) ** 2).sum(axis=3) / side**2
    return energy


def frequencies(side: int = SIDE) -> np.ndarray:
    """(side,): of the rows, or columns, of a spectrum; negative ones in its second half."""
    return np.fft.fftfreq(side)


def radii(side: int = SIDE) -> np.ndarray:
    """(side, side): distance from frequency 0."""
    distances: np.ndarray = np.hypot(*np.meshgrid(frequencies(side), frequencies(side)))
    return distances


def peaks(power: np.ndarray) -> np.ndarray:
    """(N,): the frequency with the most energy, whatever its direction."""
    strongest: np.ndarray = radii(power.shape[1]).ravel()[power.reshape(len(power), -1).argmax(axis=1)]
    return strongest


def shares(power: np.ndarray, edges: Sequence[float] | np.ndarray = BANDS) -> np.ndarray:
    """(N, len(edges) + 1): share of the energy in every band; an edge belongs to the band above it. 0 without energy."""
    bands = np.digitize(radii(power.shape[1]), edges)
    return np.stack([share_in(power, bands == band) for band in range(len(edges) + 1)], axis=1)


def share_in(power: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(N,): share of the energy at the frequencies of a mask (side, side); 0 without energy."""
    selected, total = power[:, mask].sum(axis=1), power.sum(axis=(1, 2))
    share: np.ndarray = np.divide(selected, total, out=np.zeros_like(total), where=total > 0)
    return share


def lattice(period: int, side: int = SIDE, inner: float = -1.0, outer: float = REACH) -> np.ndarray:
    """bool (side, side): frequencies further than `inner` and no further than `outer`, in rows or in columns, from the
    multiples of 1 / period along rows or along columns, but for 0. Lines that return every `period` pixels lie there."""
    scaled = frequencies(side) * period
    multiple = np.round(scaled)
    away = np.abs(scaled - multiple) / period
    distance = np.maximum.outer(away, away)
    on_axis = np.not_equal.outer(multiple == 0, multiple == 0)
    mask: np.ndarray = (distance > inner) & (distance <= outer) & on_axis
    return mask


def changes(images: np.ndarray) -> np.ndarray:
    """(N, h, w, C) -> (N, h - 1, w - 1, 1): squared differences from the pixels to the right and below, all colours together.

    Squares of one value show here, which leave nothing at their side's frequency in an image's own spectrum. Faded out
    towards the border (Hann's window): the border's own spectrum would hide them.
    """
    corners, images = images[:, :-1, :-1].astype(np.float64), images.astype(np.float64)
    squared = (images[:, :-1, 1:] - corners) ** 2 + (images[:, 1:, :-1] - corners) ** 2
    rows, columns = (np.hanning(side + 2)[1:-1] for side in squared.shape[1:3])
    faded: np.ndarray = squared.sum(axis=3, keepdims=True) * (rows[:, None] * columns)[None, :, :, None]
    return faded


def contrast(power: np.ndarray, period: int) -> float:
    """How far the energy at the multiples of 1 / period stands out: its density over that of a frame around each of them.

    About 1: not at all. Both densities are geometric means, so that a steady fall towards high frequencies cancels. Every image
    with energy counts alike; NaN where there is none.
    """
    mean, side = _mean_spectrum(power), power.shape[1]
    density = np.log(mean, where=mean > 0, out=np.full_like(mean, np.log(TINY)))
    at, around = lattice(period, side), lattice(period, side, 4 * REACH, 7 * REACH)
    return float(np.exp(density[at].mean() - density[around].mean())) if mean.any() else float("nan")


def grids(tiles: np.ndarray, period: int) -> tuple[np.ndarray, np.ndarray]:
    """Tiles (M, T, h, w, C) -> float64 (M,) twice: `contrast` of each map's tiles (lines), and of their changes (squares)."""
    side = side_for(tiles)
    lines = [contrast(power(of_map, side), period) for of_map in tiles]
    return np.array(lines), np.array([contrast(power(changes(of_map), side), period) for of_map in tiles])


def along_axes(power: np.ndarray) -> np.ndarray:
    """(side / 2 + 1,): mean share of the energy at each frequency along rows and along columns, from 0 to 1/2."""
    mean, side = _mean_spectrum(power), power.shape[1]
    low = np.abs(frequencies(side)) <= REACH
    shares: np.ndarray = (mean[:, low].sum(axis=1) + mean[low].sum(axis=0)) / 2
    return shares[: side // 2 + 1]


def _mean_spectrum(power: np.ndarray) -> np.ndarray:
    """(side, side), adding up to 1: the mean over images of each one's shares."""
    total = power.sum(axis=(1, 2))
    nonzero = total > 0
    mean: np.ndarray = (power[nonzero] / total[nonzero, None, None]).sum(axis=0) / max(1, nonzero.sum())
    return mean


def side_for(images: np.ndarray) -> int:
    """Samples each way that hold images of this size, a multiple of SIDE."""
    height, width = (int(side) for side in images.shape[-3:-1])
    return SIDE * -(-max(height, width) // SIDE)
