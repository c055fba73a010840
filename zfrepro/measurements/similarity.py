"""How similar the nine projections of a map are, and the nine patches (claim 20); the one Pearson correlation."""

from __future__ import annotations

import numpy as np


def standardise(tiles: np.ndarray) -> np.ndarray:
    """Mean-subtracted, at unit length: the dot product of two is their correlation. (M, T, ...) -> (M, T, P); NaN for a uniform one."""
    values = tiles.reshape(*tiles.shape[:2], -1).astype(np.float64)
    values -= values.mean(axis=2, keepdims=True)
    size = np.linalg.norm(values, axis=2, keepdims=True)
    unit: np.ndarray = np.divide(values, size, out=np.full_like(values, np.nan), where=size > 0)
    return unit


def within_maps(tiles: np.ndarray) -> np.ndarray:
    """(M,): mean correlation between two tiles of a map, pixel by pixel; tiles (M, T, h, w, C). NaN where one is uniform."""
    pairs = _correlations(tiles)
    rows, columns = np.triu_indices(tiles.shape[1], 1)
    return np.array([pairs[i, rows, i, columns].mean() for i in range(len(pairs))])


def beyond_chance(tiles: np.ndarray) -> np.ndarray:
    """(M,): `within_maps` minus the mean correlation with the tiles of the layer's other maps; NaN where that is none.

    A uniform tile, say a black patch, has no correlation; it is left out of the means of the other maps.
    """
    pairs = _correlations(tiles)
    usable = np.isfinite(pairs) & ~np.eye(len(pairs), dtype=bool)[:, None, :, None]
    counts, sums = usable.sum(axis=(1, 2, 3)), np.where(usable, pairs, 0).sum(axis=(1, 2, 3))
    beyond: np.ndarray = within_maps(tiles) - sums / np.maximum(1, counts)
    return beyond


def match_spectrum(patches: np.ndarray, projections: np.ndarray) -> np.ndarray:
    """The patches (M, T, h, w, C) filtered so that their mean energy at each frequency is that of the projections.

    Smooth images correlate by being smooth, and projections are all edges; so neither has that advantage.
    """
    spectra = np.fft.fft2(_subtract_mean(patches), axes=(2, 3))
    target, current = _energy(np.fft.fft2(_subtract_mean(projections), axes=(2, 3))), _energy(spectra)
    gain = np.sqrt(np.divide(target, current, out=np.zeros_like(target), where=current > 1e-12 * current.max()))
    return np.fft.ifft2(spectra * gain[..., None], axes=(2, 3)).real


def _subtract_mean(tiles: np.ndarray) -> np.ndarray:
    values = tiles.astype(np.float64)
    values -= values.mean(axis=(2, 3, 4), keepdims=True)
    return values


def _energy(spectra: np.ndarray) -> np.ndarray:
    """(h, w): mean over tiles of the shares of each one's energy."""
    energy = (np.abs(spectra) ** 2).sum(axis=4)
    total = energy.sum(axis=(2, 3), keepdims=True)
    mean: np.ndarray = np.divide(energy, total, out=np.zeros_like(energy), where=total > 0).mean(axis=(0, 1))
    return mean


def _correlations(tiles: np.ndarray) -> np.ndarray:
    """(M, T, M, T): of every tile with every tile; NaN where one is uniform."""
    flat = np.concatenate(standardise(tiles))
    pairs: np.ndarray = (flat @ flat.T).reshape(*tiles.shape[:2], *tiles.shape[:2])
    return pairs
