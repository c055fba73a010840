"""Which of a layer's maps a figure shows."""

from __future__ import annotations

import numpy as np


def choose_maps(active: np.ndarray, count: int, seed: int, layer: int) -> np.ndarray:
    """int64, in the order drawn: maps drawn at random among the live ones; dead ones only where those do not suffice.

    The first few of many drawn are therefore a random draw themselves.
    """
    order = np.random.default_rng([seed, layer]).permutation(len(active))
    return order[np.argsort(~active[order], kind="stable")][:count]
