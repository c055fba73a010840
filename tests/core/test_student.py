"""Student's t of sums of parts, against scipy and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from zfrepro.core import student


def test_one_part_is_students_own() -> None:
    assert student.half_width([(4.0, 7)]) == pytest.approx(2 * stats.t.ppf(0.975, 7))
    assert student.half_width([(4.0, math.inf)], 0.01) == pytest.approx(2 * stats.norm.ppf(0.99))


def test_parts_add_in_quadrature_each_with_its_own_t() -> None:
    parts = [(4.0, 2), (9.0, 100)]
    assert student.half_width(parts) == pytest.approx(
        math.hypot(2 * stats.t.ppf(0.975, 2), 3 * stats.t.ppf(0.975, 100))
    )


@pytest.mark.parametrize("freedom", [2, 4])
@pytest.mark.parametrize("images", [0.5, 4.0])
def test_a_spread_of_few_seeds_misses_no_more_than_it_says(freedom: int, images: float) -> None:
    """Equal networks, one training each, 2.9 points apart as a standard deviation; `images`: variance over images. 1.6 to 2.5 %
    a side of 20,000; Welch's interval misses 2.5 to 3.9 %."""
    rng, seeds = np.random.default_rng(0), 2 * 2.9**2
    differences = rng.normal(0, math.sqrt(seeds + images), 20_000)
    measured = seeds * rng.chisquare(freedom, 20_000) / freedom
    halves = np.sqrt(stats.t.ppf(0.975, freedom) ** 2 * measured + stats.norm.ppf(0.975) ** 2 * images)
    assert halves[0] == pytest.approx(student.half_width([(measured[0], freedom), (images, math.inf)]))
    assert 100 * np.mean(differences > halves) < 2.9


def test_what_a_bootstrap_draws() -> None:
    drawn = np.array([1.0, 3.0, np.nan, 2.0])  # variance 2/3
    assert student.of_resamples(drawn, 5) == (pytest.approx(2 / 3 * 5 / 4), 4)
    assert student.of_resamples(drawn, 2) is None
    assert student.of_resamples(np.full(9, 0.1), 5) is None
    assert student.of_resamples(np.full(9, np.nan), 5) is None


def test_rounding_is_no_variance() -> None:
    assert not student.vary(np.array([0.1 + 0.2, 0.3, 0.3]))
    assert not student.vary(np.zeros(3))
    assert not student.vary(np.array([]))
    assert student.vary(np.array([0.3, 0.3001]))
