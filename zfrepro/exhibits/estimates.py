"""Means over pictures with 95 % intervals: scipy's bootstrap, seeded, so that the same pictures give the same interval."""

from __future__ import annotations

import numpy as np

from zfrepro.exhibits.base import Number

RESAMPLES = 2000


def mean(values: np.ndarray, digits: int = 1, signed: bool = False) -> Number | None:
    """The mean of what is finite, percentile bootstrap over pictures; None where nothing is, no interval for one value."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    low, high = _interval(known)
    return Number(float(known.mean()), digits, signed=signed, low=low, high=high)


def _interval(values: np.ndarray) -> tuple[float | None, float | None]:
    if len(values) < 2:
        return None, None
    if np.ptp(values) < 1e-12 * np.abs(values).max():  # all alike: the bootstrap would warn, and has nothing to say
        return float(values.mean()), float(values.mean())
    from scipy import stats  # here, since it takes a second to import

    generator = np.random.default_rng(0)
    found = stats.bootstrap((values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=generator)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
