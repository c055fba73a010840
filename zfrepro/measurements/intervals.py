"""95 % intervals of means, shares, correlations and differences: bootstrap, Student, Welch, Wilson, Newcombe, Fisher.

What is counted (images, maps, filters, folds) is the caller's to say; values that are missing (NaN) do not count.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from zfrepro.measurements.estimate import Estimate, NotMeasured

LEVEL = 0.975  # both sides together leave 5 %
Z = statistics.NormalDist().inv_cdf(LEVEL)
RESAMPLES = 2000


def present(values: np.ndarray) -> np.ndarray:
    """float64: what is not missing (NaN). Raises ValueError for infinite values, which no stage writes for missing ones."""
    values = np.asarray(values, dtype=float)
    if np.isinf(values).any():
        raise ValueError(f"{np.isinf(values).sum()} of {values.size} values are infinite")
    finite: np.ndarray = values[~np.isnan(values)]
    return finite


def mean_of_images(values: np.ndarray, counted: str = "images", digits: int = 1, unit: str = "") -> Estimate:
    """Mean, percentile bootstrap, seeded. Raises ValueError for infinite values, and where all are missing."""
    finite = present(values)
    if not len(finite):
        raise ValueError("no finite value")
    low, high = _bootstrap(finite)
    return Estimate(float(finite.mean()), low, high, len(finite), counted, digits, unit)


def mean(values: np.ndarray, counted: str, digits: int = 2, unit: str = "") -> Estimate:
    """Mean of a few, maps or filters; Student's t. Raises NotMeasured where all are missing."""
    finite = _require_present(values, counted)
    value, n = float(finite.mean()), len(finite)
    if n < 2:
        return Estimate(value, None, None, n, counted, digits, unit)
    return student(value, [_variance_of_mean(finite)], n, counted, unit, digits)


def difference_of_means(
    first: np.ndarray, second: np.ndarray, counted: str, digits: int = 2, unit: str = ""
) -> Estimate:
    """Mean of first minus that of second, unpaired; Welch's t. Raises NotMeasured where all of one are missing."""
    first_values, second_values = _require_present(first, counted), _require_present(second, counted)
    value, n = float(first_values.mean() - second_values.mean()), len(first_values) + len(second_values)
    if min(len(first_values), len(second_values)) < 2:
        return Estimate(value, None, None, n, counted, digits, unit)
    return student(value, [_variance_of_mean(first_values), _variance_of_mean(second_values)], n, counted, unit, digits)


def share(hits: np.ndarray, counted: str) -> Estimate:
    """Percent of bool (N,) that are true; Wilson. Raises NotMeasured where there are none."""
    if not len(hits):
        raise NotMeasured(f"There are no {counted}.")
    from scipy import stats  # here, since it takes two seconds to import

    interval = stats.binomtest(int(np.sum(hits)), len(hits)).proportion_ci(2 * LEVEL - 1, "wilson")
    return Estimate(
        100 * float(np.mean(hits)), 100 * float(interval.low), 100 * float(interval.high), len(hits), counted, unit="%"
    )


def difference_of_shares(first: np.ndarray, second: np.ndarray, counted: str) -> Estimate:
    """Percent of first that are true minus that of second, in points; Newcombe's hybrid of two Wilson intervals."""
    first_share, second_share = share(first, counted), share(second, counted)
    (low, high), (second_low, second_high) = first_share.ends, second_share.ends
    value = first_share.value - second_share.value
    down = float(np.hypot(first_share.value - low, second_high - second_share.value))
    up = float(np.hypot(high - first_share.value, second_share.value - second_low))
    return Estimate(value, value - down, value + up, first_share.n + second_share.n, counted, unit="points")


def rank_correlation(first: np.ndarray, second: np.ndarray, counted: str) -> Estimate:
    """Spearman's; Fisher's transformation with the variance of Bonett and Wright (2000). Raises NotMeasured for too few."""
    from scipy import stats

    defined = np.isfinite(first) & np.isfinite(second)
    first_values, second_values = np.asarray(first)[defined], np.asarray(second)[defined]
    n = len(first_values)
    if n < 5 or np.ptp(first_values) == 0 or np.ptp(second_values) == 0:
        raise NotMeasured(f"Too few different {counted} to rank.")
    value = float(np.clip(stats.spearmanr(first_values, second_values).statistic, -1, 1))
    half = Z * np.sqrt((1 + value**2 / 2) / (n - 3))
    middle = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12))
    return Estimate(value, float(np.tanh(middle - half)), float(np.tanh(middle + half)), n, counted, digits=2)


def resampled_counts(n: int) -> np.ndarray:
    """int64 (RESAMPLES, n): how often a bootstrap, seeded, draws each of n images; for what is no mean of single images."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)


def percentile_ends(resamples: np.ndarray) -> tuple[float, float]:
    """The ends of the 95 % interval of what a bootstrap has drawn."""
    low, high = np.percentile(resamples, (100 * (1 - LEVEL), 100 * LEVEL)).tolist()
    return low, high


def independent_difference(first: Estimate, second: Estimate, counted: str) -> Estimate:
    """first minus second, measured independently: their intervals' halves add in quadrature; n is that of the fewer."""
    value, n = first.value - second.value, min(first.n, second.n)
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return Estimate(value, None, None, n, counted, unit=first.unit)
    half = float(np.hypot(first.high - first.low, second.high - second.low)) / 2
    return Estimate(value, value - half, value + half, n, counted, unit=first.unit)


def student(
    value: float, parts: Sequence[tuple[float, int]], n: int, counted: str, unit: str, digits: int = 1
) -> Estimate:
    """A sum of independent means; parts: (variance of the mean, its degrees of freedom). Student's t, Welch's degrees of freedom."""
    from scipy.special import stdtrit  # Student's quantile; scipy.stats, which has it too, takes longer to import

    total = sum(variance for variance, _ in parts)
    if total == 0:
        return Estimate(value, value, value, n, counted, digits, unit)
    freedom = total**2 / sum(variance**2 / degrees for variance, degrees in parts if variance)
    half = float(stdtrit(freedom, LEVEL) * np.sqrt(total))
    return Estimate(value, value - half, value + half, n, counted, digits, unit)


def _bootstrap(values: np.ndarray) -> tuple[float, float] | tuple[None, None]:
    if len(values) < 2:
        return None, None
    if np.ptp(values) < 1e-12 * np.abs(values).max():  # all equal: scipy's bootstrap would warn
        return float(values.mean()), float(values.mean())
    from scipy import stats

    rng = np.random.default_rng(0)
    result = stats.bootstrap((values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=rng)
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _require_present(values: np.ndarray, counted: str) -> np.ndarray:
    """Raises ValueError for infinite values, NotMeasured where all are missing."""
    finite = present(values)
    if not len(finite):
        raise NotMeasured(f"No value could be computed for any of the {counted}.")
    return finite


def _variance_of_mean(values: np.ndarray) -> tuple[float, int]:
    """And its degrees of freedom."""
    return float(values.var(ddof=1)) / len(values), len(values) - 1
