"""Means and shares of images as cells, with their 95 % intervals; nothing where no image has a value."""

from __future__ import annotations

import math

import numpy as np

from zfrepro.exhibits.kit.numbers import Number, measured_number, probability_digits
from zfrepro.measurements import intervals


def mean_number(
    values: np.ndarray, digits: int = 1, signed: bool = False, within: intervals.Limits = (-math.inf, math.inf)
) -> Number | None:
    """Mean of those of (N,) that are not missing (NaN), Student's t over images; no interval for fewer than three."""
    present = intervals.drop_missing(values)
    if not len(present):
        return None
    return measured_number(intervals.mean_of_images(present, digits=digits, within=within), signed)


def mean_probability(values: np.ndarray, digits: int = 3) -> Number | None:
    """`mean_number` of probabilities, with more digits where it would read as 0 or 1."""
    present = intervals.drop_missing(values)
    if not len(present):
        return None
    return mean_number(present, probability_digits(float(present.mean()), digits), within=(0.0, 1.0))


def share_number(hits: np.ndarray) -> Number | None:
    """Percent of bool (N,) that are true, Wilson's interval."""
    return measured_number(intervals.share(hits, "images")) if len(hits) else None
