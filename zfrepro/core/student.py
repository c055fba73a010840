"""95 % intervals by Student's t, of means and of what a bootstrap draws.

A percentile bootstrap of a mean of 5 to 10 values misses 5 to 8 % a side where 2.5 are meant; Student's t misses 2.5 of normal
values. So a bootstrap gives only the standard error here, and Student's t the ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

MISS = 0.025  # a side: both together leave 5 %
MIN_UNITS = 3  # values of which an interval is made: two agree by luck too often
ROUNDING = 1e-12  # of the largest value: a difference below it is rounding

Component = tuple[float, float]  # variance of the estimate, its degrees of freedom


def half_width(components: Iterable[Component], miss: float = MISS) -> float:
    """Of the interval of a sum of independent parts, which misses by `miss` on either side.

    The parts' half-widths, each with its own Student's t, add in quadrature. Welch's degrees of freedom would be too many where
    few seeds agree by luck: with one or two of them the interval misses 4 to 6 % a side, this one never more than 2.5.
    """
    from scipy.special import stdtrit  # Student's quantile; scipy.stats, which has it too, takes longer to import

    squares = [stdtrit(freedom, 1 - miss) ** 2 * variance for variance, freedom in components]
    return math.sqrt(sum(squares))


def vary(values: np.ndarray) -> bool:
    """Whether they differ by more than rounding."""
    return bool(len(values) and np.ptp(values) > ROUNDING * np.abs(values).max())


def of_resamples(drawn: np.ndarray, count: int) -> Component | None:
    """The component of an estimate from `count` units that a bootstrap drew again: drawn (R,), NaN where a draw gives none.

    count / (count - 1) times the variance of the draws: for a mean, the usual variance over count. None for fewer than MIN_UNITS
    units, and where the draws do not vary.
    """
    finite = drawn[np.isfinite(drawn)]
    if count < MIN_UNITS or len(finite) < MIN_UNITS or not vary(finite):
        return None
    return float(finite.var()) * count / (count - 1), count - 1
