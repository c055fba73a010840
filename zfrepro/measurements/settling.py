"""When the maps of a network settle in training, from what the stage `evolution` leaves (claim 21)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zfrepro.measurements.similarity import standardise


def likeness(arrays: Mapping[str, np.ndarray], layer: str) -> np.ndarray:
    """(E, M): each map's likeness to its final state at every snapshot.

    That of its responses where the stage kept it, else of its projection to that of the last snapshot.
    """
    if f"likeness_{layer}" in arrays:
        return arrays[f"likeness_{layer}"]
    tiles = standardise(arrays[f"projections_{layer}"])
    correlations: np.ndarray = np.nan_to_num((tiles * tiles[-1]).sum(axis=2))
    return correlations


def epochs(similar: np.ndarray, about: Mapping[str, Any]) -> np.ndarray:
    """(M,): the epoch from which on each map's likeness `similar` (E, M) stays at `settled` or above, linear between snapshots."""
    times = np.array([*about["epochs"], about["training"]], dtype=float)
    likenesses = np.vstack([similar, np.ones(similar.shape[1])])
    settled = []
    for curve in likenesses.T:
        below = np.flatnonzero(curve < about["settled"])
        last = below[-1] if len(below) else None
        settled.append(times[0] if last is None else np.interp(about["settled"], curve[last:][:2], times[last:][:2]))
    return np.array(settled)


def layer_by_layer(about: Mapping[str, Any], layers: Sequence[str]) -> str:
    epochs = [about["layers"][layer]["settled"]["responses"] for layer in layers]
    if None in epochs:
        return ""
    shares = [f"{100 * epoch / about['training']:.0f}" for epoch in epochs]
    return f"Layer by layer, mean responses settle after {', '.join(shares[:-1])} and {shares[-1]} % of training."
