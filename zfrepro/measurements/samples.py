"""95 % intervals where the units are few, maps or filters, or where they are counted: Student, Welch, Wilson, Newcombe."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zfrepro.measurements import bootstrap, intervals, runs
from zfrepro.measurements.estimate import Estimate, NotMeasured


def mean(values: np.ndarray, of: str, digits: int = 2, unit: str = "") -> Estimate:
    """Mean of what is not missing (NaN); Student's t."""
    known = _present(values, of)
    value, n = float(known.mean()), len(known)
    if n < 2:
        return Estimate(value, None, None, n, of, digits, unit)
    return _around(value, [known], n, of, digits, unit)


def difference(first: np.ndarray, second: np.ndarray, of: str, digits: int = 2, unit: str = "") -> Estimate:
    """Mean of first less that of second, unpaired, of what is not missing (NaN); Welch's t."""
    one, other = _present(first, of), _present(second, of)
    value, n = float(one.mean() - other.mean()), len(one) + len(other)
    if min(len(one), len(other)) < 2:
        return Estimate(value, None, None, n, of, digits, unit)
    return _around(value, [one, other], n, of, digits, unit)


def share(hits: np.ndarray, of: str) -> Estimate:
    """Percent of bool (N,) that are true; Wilson."""
    if not len(hits):
        raise NotMeasured(f"There are no {of}.")
    percent = 100 * float(np.mean(hits))
    return Estimate(percent, *runs.interval(percent, len(hits)), len(hits), of, unit="%")


def difference_of_shares(first: np.ndarray, second: np.ndarray, of: str) -> Estimate:
    """Percent of first that are true less that of second, in points; Newcombe's hybrid of two Wilson intervals."""
    one, other = share(first, of), share(second, of)
    value = one.value - other.value
    down = np.hypot(one.value - one.low, other.high - other.value)
    up = np.hypot(one.high - one.value, other.value - other.low)
    return Estimate(value, float(value - down), float(value + up), one.n + other.n, of, unit="points")


def rank_correlation(first: np.ndarray, second: np.ndarray, of: str) -> Estimate:
    """Spearman's; Fisher's transformation with the variance of Bonett and Wright (2000)."""
    from scipy import stats

    known = np.isfinite(first) & np.isfinite(second)
    one, other = np.asarray(first)[known], np.asarray(second)[known]
    n = len(one)
    if n < 5 or np.ptp(one) == 0 or np.ptp(other) == 0:
        raise NotMeasured(f"Too few different {of} to rank.")
    value = float(np.clip(stats.spearmanr(one, other).statistic, -1, 1))
    half = stats.norm.ppf(intervals.LEVEL) * np.sqrt((1 + value**2 / 2) / (n - 3))
    middle = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12))
    return Estimate(value, float(np.tanh(middle - half)), float(np.tanh(middle + half)), n, of, digits=2)


def _present(values: np.ndarray, of: str) -> np.ndarray:
    """Raises ValueError for infinite values, NotMeasured where all are missing."""
    known = bootstrap.present(values)
    if not len(known):
        raise NotMeasured(f"None of the {of} gives a number.")
    return known


def _around(value: float, groups: Sequence[np.ndarray], n: int, of: str, digits: int, unit: str) -> Estimate:
    variances = [(float(group.var(ddof=1)) / len(group), len(group) - 1) for group in groups]
    return intervals.student(value, variances, n, of, unit, digits)
