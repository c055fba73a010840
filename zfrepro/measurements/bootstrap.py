"""Means and shares of images with 95 % intervals: scipy's bootstrap, seeded, so that the same images give the same interval;
Wilson's for shares."""

from __future__ import annotations

import numpy as np

from zfrepro.measurements import runs
from zfrepro.measurements.estimate import Number

RESAMPLES = 2000


def present(values: np.ndarray) -> np.ndarray:
    """float64: what is not missing (NaN). Raises ValueError for infinite values, which no stage writes for missing ones."""
    known = np.asarray(values, dtype=float)
    if np.isinf(known).any():
        raise ValueError(f"{np.isinf(known).sum()} of {known.size} values are infinite")
    return known[~np.isnan(known)]


def mean(values: np.ndarray, digits: int = 1, signed: bool = False) -> Number | None:
    """The mean of what is `present`, percentile bootstrap over images; None where nothing is, no interval for one value."""
    known = present(values)
    if not len(known):
        return None
    low, high = _interval(known)
    return Number(float(known.mean()), digits, signed=signed, low=low, high=high)


def share(hits: np.ndarray, digits: int = 1) -> Number | None:
    """Percent of bool (N,) that are true, Wilson's interval; None where there are none."""
    if not len(hits):
        return None
    percent = 100 * float(np.mean(hits))
    low, high = runs.interval(percent, len(hits))
    return Number(percent, digits, low=low, high=high)


def _interval(values: np.ndarray) -> tuple[float | None, float | None]:
    if len(values) < 2:
        return None, None
    if np.ptp(values) < 1e-12 * np.abs(values).max():  # all alike: the bootstrap would warn, and has nothing to say
        return float(values.mean()), float(values.mean())
    from scipy import stats  # here, since it takes a second to import

    generator = np.random.default_rng(0)
    found = stats.bootstrap((values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=generator)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
