"""95 % intervals of means, shares, correlations and differences: Student, Welch, Wilson, Newcombe, Fisher.

What is counted (images, maps, filters, folds) is the caller's to say; values that are missing (NaN) do not count. Fewer than
three, or values that do not vary, give no interval; a share has Wilson's also where all are alike, which is never without width.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence

import numpy as np

from zfrepro.core import student as student_t
from zfrepro.core.student import MIN_UNITS as MIN_UNITS
from zfrepro.core.student import Component as Component
from zfrepro.core.student import vary as vary
from zfrepro.measurements.estimate import Estimate, NotMeasured

LEVEL = 1 - student_t.MISS
Z = statistics.NormalDist().inv_cdf(LEVEL)
RESAMPLES = 2000
PERFECT = 1e-9  # a rank correlation so near to 1 is 1
Limits = tuple[float, float]


def drop_missing(values: np.ndarray) -> np.ndarray:
    """float64: what is not missing (NaN). Raises ValueError for infinite values, which no stage writes for missing ones."""
    values = np.asarray(values, dtype=float)
    if np.isinf(values).any():
        raise ValueError(f"{np.isinf(values).sum()} of {values.size} values are infinite")
    finite: np.ndarray = values[~np.isnan(values)]
    return finite


def mean_of_images(
    values: np.ndarray, counted: str = "images", digits: int = 1, unit: str = "", within: Limits = (-math.inf, math.inf)
) -> Estimate:
    """Mean, Student's t, the interval inside `within`. Raises ValueError for infinite values, and where all are missing."""
    finite = drop_missing(values)
    if not len(finite):
        raise ValueError("no finite value")
    return clip(_mean(finite, counted, digits, unit), within)


def mean(values: np.ndarray, counted: str, digits: int = 2, unit: str = "") -> Estimate:
    """Mean, Student's t. Raises NotMeasured where all are missing."""
    return _mean(_require_present(values, counted), counted, digits, unit)


def _mean(finite: np.ndarray, counted: str, digits: int, unit: str) -> Estimate:
    components = [_variance_of_mean(finite)] if len(finite) >= MIN_UNITS else []
    return student(float(finite.mean()), components, len(finite), counted, unit, digits)


def difference_of_means(
    first: np.ndarray, second: np.ndarray, counted: str, digits: int = 2, unit: str = ""
) -> Estimate:
    """Mean of first minus that of second, unpaired; Welch's t. Raises NotMeasured where all of one are missing."""
    first_values, second_values = _require_present(first, counted), _require_present(second, counted)
    value, n = float(first_values.mean() - second_values.mean()), len(first_values) + len(second_values)
    fewer = min(len(first_values), len(second_values))
    if fewer < MIN_UNITS:
        return _without_interval(value, fewer, n, counted, digits, unit)
    component = _welch(_variance_of_mean(first_values), _variance_of_mean(second_values))
    return student(value, [component], n, counted, unit, digits)


def _without_interval(value: float, fewer: int, n: int, counted: str, digits: int, unit: str) -> Estimate:
    """A difference of two samples, of which one is too small."""
    reason = f"one side has only {fewer} of the {counted}, and {MIN_UNITS} are needed"
    return Estimate(value, None, None, n, counted, digits, unit, reason)


def _welch(first: Component, second: Component) -> Component:
    """Both variances as one, with Welch's degrees of freedom."""
    total = first[0] + second[0]
    return total, total**2 / sum(variance**2 / freedom for variance, freedom in (first, second)) if total else 1.0


def clip(estimate: Estimate, within: Limits) -> Estimate:
    """Of a quantity that cannot lie outside: a share of images, a probability."""
    if not estimate.has_interval:
        return estimate
    low, high = (float(np.clip(end, *within)) for end in estimate.ends)
    return dataclasses.replace(estimate, low=low, high=high)


def resampled(value: float, resamples: np.ndarray, n: int, counted: str, digits: int = 1, unit: str = "") -> Estimate:
    """An estimate from n units with what a bootstrap drew of it, (R,), NaN where a draw gives none; Student's t."""
    component = student_t.of_resamples(resamples, n)
    return student(value, [component] if component else [], n, counted, unit, digits)


def from_ends(
    value: float, low: float | None, high: float | None, n: int, counted: str, digits: int = 1, unit: str = "",
    freedom: float | None = None,
) -> Estimate:  # fmt: skip
    """An interval that a stage has computed; none from fewer than MIN_UNITS units, nor one without width.

    `freedom`: of Student's t, where its ends were made by it.
    """
    if low is None or high is None or n < MIN_UNITS or not vary(np.array([low, high])):
        return Estimate(value, None, None, n, counted, digits, unit, _no_interval(n, counted))
    t = student_t.half_width([(1.0, freedom)]) if freedom else math.nan
    components = (((high - low) ** 2 / 4 / t**2, freedom),) if freedom else ()
    return Estimate(value, low, high, n, counted, digits, unit, components=components)


def simultaneous(estimate: Estimate, count: int) -> Estimate:
    """The interval as one of `count` that miss by 2.5 % a side together: each by that over `count` (Bonferroni).

    Where it is not made of variances (shares, rank correlations), both its sides are stretched as a normal one's would be.
    """
    if count < 2 or not estimate.has_interval:
        return estimate
    (low, high), miss = estimate.ends, student_t.MISS / count
    if estimate.components:
        more = student_t.half_width(estimate.components, miss) - student_t.half_width(estimate.components)
        return dataclasses.replace(estimate, low=low - more, high=high + more)
    stretch = statistics.NormalDist().inv_cdf(1 - miss) / Z
    down, up = stretch * (estimate.value - low), stretch * (high - estimate.value)
    return dataclasses.replace(estimate, low=estimate.value - down, high=estimate.value + up)


def share(hits: np.ndarray, counted: str) -> Estimate:
    """Percent of bool (N,) that are true; Wilson, also where all are alike. Raises NotMeasured where there are none."""
    if not len(hits):
        raise NotMeasured(f"There are no {counted}.")
    value, n = 100 * float(np.mean(hits)), len(hits)
    if n < MIN_UNITS:
        return Estimate(value, None, None, n, counted, unit="%", without=_no_interval(n, counted))
    low, high = wilson(value, n)
    return Estimate(value, low, high, n, counted, unit="%")


def wilson(percent: float, n: int) -> tuple[float, float]:
    """The ends of the interval of a share of n, in percent."""
    part, square = percent / 100, Z**2 / n
    middle, half = part + square / 2, math.sqrt(square * part * (1 - part) + square**2 / 4)
    low, high = (100 * (middle + sign * half) / (1 + square) for sign in (-1, 1))
    return (0.0 if percent == 0 else low), (100.0 if percent == 100 else high)


def difference_of_shares(first: np.ndarray, second: np.ndarray, counted: str) -> Estimate:
    """Percent of first that are true minus that of second, in points; Newcombe's hybrid of two Wilson intervals."""
    first_share, second_share = share(first, counted), share(second, counted)
    value, n = first_share.value - second_share.value, first_share.n + second_share.n
    if not (first_share.has_interval and second_share.has_interval):
        return _without_interval(value, min(first_share.n, second_share.n), n, counted, 1, "points")
    (low, high), (second_low, second_high) = first_share.ends, second_share.ends
    down = float(np.hypot(first_share.value - low, second_high - second_share.value))
    up = float(np.hypot(high - first_share.value, second_share.value - second_low))
    return Estimate(value, value - down, value + up, n, counted, unit="points")


def rank_correlation(first: np.ndarray, second: np.ndarray, counted: str) -> Estimate:
    """Spearman's; Fisher's transformation with the variance of Bonett and Wright (2000), which has no width at 1 and -1.

    Raises NotMeasured for too few, and where all of one are equal.
    """
    from scipy import stats

    defined = np.isfinite(first) & np.isfinite(second)
    first_values, second_values = np.asarray(first)[defined], np.asarray(second)[defined]
    n = len(first_values)
    if n < 5 or np.ptp(first_values) == 0 or np.ptp(second_values) == 0:
        raise NotMeasured(f"Too few different {counted} to rank.")
    value = float(np.clip(stats.spearmanr(first_values, second_values).statistic, -1, 1))
    if abs(value) > 1 - PERFECT:
        return Estimate(value, None, None, n, counted, digits=2, without="the order is perfect")
    half = Z * np.sqrt((1 + value**2 / 2) / (n - 3))
    middle = np.arctanh(value)
    return Estimate(value, float(np.tanh(middle - half)), float(np.tanh(middle + half)), n, counted, digits=2)


def resampled_counts(n: int) -> np.ndarray:
    """int64 (RESAMPLES, n): how often a bootstrap, seeded, draws each of n images; for what is no mean of single images."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)


def percentile_ends(resamples: np.ndarray) -> tuple[float, float]:
    """The ends of the 95 % interval of what a bootstrap has resamples; of a mean of few values use `mean`."""
    low, high = np.percentile(resamples, (100 * (1 - LEVEL), 100 * LEVEL)).tolist()
    return low, high


def independent_difference(first: Estimate, second: Estimate, counted: str) -> Estimate:
    """first minus second, measured independently: their intervals' halves add in quadrature; n is that of the fewer."""
    value, n = first.value - second.value, min(first.n, second.n)
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return Estimate(value, None, None, n, counted, unit=first.unit, without=first.without or second.without)
    half = float(np.hypot(first.high - first.low, second.high - second.low)) / 2
    components = (*_components(first), *_components(second))
    return Estimate(value, value - half, value + half, n, counted, unit=first.unit, components=components)


def _components(estimate: Estimate) -> tuple[Component, ...]:
    """Its own, or that of a normal interval of the same width."""
    low, high = estimate.ends
    return estimate.components or (((high - low) ** 2 / 4 / Z**2, math.inf),)


def student(
    value: float, components: Sequence[Component], n: int, counted: str, unit: str, digits: int = 1
) -> Estimate:
    """A sum of independent means, with the components of its variance; no interval from fewer than MIN_UNITS, nor without variance.

    n, and what it counts: the units of the first component (images, maps, folds).
    """
    positive = tuple((variance, freedom) for variance, freedom in components if variance > 0)
    if n < MIN_UNITS or not positive:
        return Estimate(value, None, None, n, counted, digits, unit, _no_interval(n, counted))
    half = student_t.half_width(positive)
    return Estimate(value, value - half, value + half, n, counted, digits, unit, components=positive)


def _no_interval(n: int, counted: str) -> str:
    """Why there is none, a clause: too few, or all the same; "" for a single one."""
    if n >= MIN_UNITS:
        return f"nothing varies between the {n} {counted}"
    return f"{n} {counted} are too few, {MIN_UNITS} are needed" if n > 1 else ""


def _require_present(values: np.ndarray, counted: str) -> np.ndarray:
    """Raises ValueError for infinite values, NotMeasured where all are missing."""
    finite = drop_missing(values)
    if not len(finite):
        raise NotMeasured(f"No value could be computed for any of the {counted}.")
    return finite


def _variance_of_mean(values: np.ndarray) -> Component:
    """And its degrees of freedom; 0 where they differ by rounding only."""
    variance = float(values.var(ddof=1)) if vary(values) else 0.0
    return variance / len(values), len(values) - 1
