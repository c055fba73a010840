"""95 % intervals of differences: over pictures and seeds for networks, over folds for transfer, over pictures for the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from zfrepro.claims.base import Estimate
from zfrepro.exhibits import estimates

LEVEL = 0.975  # both sides together leave 5 %


def seed_spread(groups: Sequence[Sequence[float]]) -> tuple[float, int] | None:
    """Standard deviation between seeds, pooled over networks trained several times, and its degrees of freedom.

    None where no network was trained twice.
    """
    repeated = [np.asarray(group, dtype=float) for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in repeated)
    if not freedom:
        return None
    return float(np.sqrt(sum((len(group) - 1) * group.var(ddof=1) for group in repeated) / freedom)), freedom


def of_errors(first: np.ndarray, second: np.ndarray, spread: tuple[float, int] | None) -> Estimate:
    """Mean error of `first` less that of `second`, in points.

    Bool (seeds, N) each: which of the same N pictures each seed's network gets wrong. The variance is the paired one over
    pictures, plus, with `spread` of `seed_spread`, that of the means over seeds; Student's t with Welch's degrees of freedom.
    Without `spread` the noise of training is not in the interval.
    """
    each = 100 * (first.mean(axis=0) - second.mean(axis=0))
    parts = [(each.var(ddof=1) / len(each), len(each) - 1)]
    if spread is not None:
        parts.append((spread[0] ** 2 * (1 / len(first) + 1 / len(second)), spread[1]))
    of = "validation pictures" if spread is None else "validation pictures, with the spread of seeds"
    return _student(float(each.mean()), parts, len(each), of, "points")


def of_folds(first: Sequence[float], second: Sequence[float], test_share: float) -> Estimate:
    """Mean over folds of first less second, in points, fold by fold: accuracies in percent on the same folds.

    Folds drawn anew from the same pictures share training pictures, so the variance is that of Nadeau and Bengio (2003):
    (1/folds + test_share) times the variance between folds, test_share = test pictures / training pictures.
    """
    shared = min(len(first), len(second))
    each = np.asarray(first[:shared], dtype=float) - np.asarray(second[:shared], dtype=float)
    if shared < 2:
        return Estimate(float(each.mean()), None, None, shared, "fold", unit="points")
    variance = float(each.var(ddof=1)) * (1 / shared + test_share)
    return _student(float(each.mean()), [(variance, shared - 1)], shared, "folds", "points")


def of_pictures(values: np.ndarray, of: str = "pictures", digits: int = 1, unit: str = "") -> Estimate:
    """Mean of what is finite, percentile bootstrap. Raises ValueError where nothing is finite."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    number = estimates.mean(known)
    if number is None:
        raise ValueError("no finite value")
    return Estimate(number.value, number.low, number.high, len(known), of, digits, unit)


def _student(value: float, parts: Sequence[tuple[float, int]], n: int, of: str, unit: str) -> Estimate:
    """parts: (variance of the mean, its degrees of freedom)."""
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return Estimate(value, value, value, n, of, unit=unit)
    freedom = total**2 / sum(variance**2 / free for variance, free in parts if variance)
    half = float(stats.t.ppf(LEVEL, freedom) * np.sqrt(total))
    return Estimate(value, value - half, value + half, n, of, unit=unit)
