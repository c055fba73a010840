"""Intervals against hand-worked numbers and against scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from zfrepro.measurements import intervals, network_errors
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.transfers import sum_over_folds

RNG = np.random.default_rng(3)
FIRST, SECOND, THIRD = (RNG.random((seeds, 500)) < share for seeds, share in ((1, 0.4), (3, 0.3), (1, 0.2)))


def difference(first: np.ndarray, second: np.ndarray, spread: tuple[float, int] | None) -> Estimate:
    return network_errors.sum_of_errors([(1.0, first), (-1.0, second)], spread)


def half(estimate: Estimate) -> float:
    return (estimate.high - estimate.low) / 2


def test_seed_spread_is_pooled_over_repeated_networks() -> None:
    deviation, freedom = network_errors.seed_spread([[1, 3], [5, 5, 5], [9]])
    assert freedom == 3
    assert deviation == pytest.approx(math.sqrt(2 / 3))  # squares: 2 with 1 degree of freedom, 0 with 2
    assert network_errors.seed_spread([[1], [2], []]) is None


def test_errors_of_single_networks_are_a_paired_t_test() -> None:
    estimate = difference(FIRST, THIRD, None)
    low, high = stats.ttest_rel(100.0 * FIRST[0], 100.0 * THIRD[0]).confidence_interval()
    assert (estimate.low, estimate.high) == (pytest.approx(low), pytest.approx(high))
    assert (estimate.n, estimate.counted, estimate.unit) == (500, "validation images", "points")


def test_the_spread_of_seeds_adds_to_the_variance() -> None:
    plain, wide = (difference(FIRST, SECOND, spread) for spread in (None, (6.0, 2)))
    pictures = (half(plain) / stats.t.ppf(0.975, 499)) ** 2
    seeds = 36 * (1 / 1 + 1 / 3)
    freedom = (pictures + seeds) ** 2 / (pictures**2 / 499 + seeds**2 / 2)
    assert half(wide) == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(pictures + seeds))
    assert plain.value == wide.value == pytest.approx(100 * (FIRST.mean() - SECOND.mean()))
    assert wide.counted == "validation images, with the spread of seeds"


def test_a_weighted_sum_is_over_the_same_pictures() -> None:
    wrong = np.array([[1, 1, 0, 0]], bool), np.array([[1, 0, 0, 0]], bool), np.array([[0, 1, 0, 0]], bool)
    estimate = network_errors.sum_of_errors([(1.0, wrong[0]), (-1.0, wrong[1]), (-1.0, wrong[2])], None)
    assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)  # each picture cancels, not only the mean
    doubled = network_errors.sum_of_errors([(2.0, FIRST), (-2.0, THIRD)], (1.0, 4))
    once = difference(FIRST, THIRD, (1.0, 4))
    assert (doubled.low, doubled.high) == (pytest.approx(2 * once.low), pytest.approx(2 * once.high))


def test_training_errors_are_independent_binomials() -> None:
    estimate = network_errors.sum_of_training_errors([(1.0, [20.0]), (-1.0, [49.0, 51.0])], 400, None)
    assert estimate.value == pytest.approx(-30)
    variance = (20 * 80 + 50 * 50) / 400  # 4 + 6.25 square points
    assert half(estimate) == pytest.approx(stats.t.ppf(0.975, 399) * math.sqrt(variance))
    assert (estimate.n, estimate.counted) == (400, "training images")
    with_seeds = network_errors.sum_of_training_errors([(1.0, [20.0]), (-1.0, [49.0, 51.0])], 400, (2.0, 1000))
    assert half(with_seeds) == pytest.approx(1.96 * math.sqrt(variance + 4 * 1.5), rel=0.01)


def test_an_ensembles_spread_is_that_of_a_mean() -> None:
    """Of four members, with a spread of 2 points: 4 / 4 = 1 square point beside that over images."""
    wrong = np.arange(1000)[None] < 100  # 10 %
    one, four = (network_errors.mean_error(wrong, (2.0, 100_000), members) for members in (1, 4))
    images = 1e4 * 0.1 * 0.9 / 999
    assert (four.value, four.unit) == (pytest.approx(10), "%")
    assert half(four) == pytest.approx(1.96 * math.sqrt(images + 1), rel=0.002)
    assert half(one) == pytest.approx(1.96 * math.sqrt(images + 4), rel=0.002)


def test_errors_stay_within_0_and_100() -> None:
    wide = network_errors.mean_error(np.arange(100)[None] < 1, (30.0, 1000))
    assert wide.low == 0
    assert network_errors.mean_error(np.arange(100)[None] < 99, (30.0, 1000)).high == 100
    assert network_errors.mean_training_error([1.0, 3.0], 100, (30.0, 1000)).low == 0
    assert network_errors.mean_training_error([1.0, 3.0], 100, None).value == 2


def test_a_gap_has_the_variance_of_both_its_errors() -> None:
    gap = network_errors.sum_of_gaps([(1.0, FIRST, [10.0]), (-1.0, THIRD, [12.0])], 1000, None)
    validation, training = difference(FIRST, THIRD, None), (10 * 90 + 12 * 88) / 1000
    assert gap.value == pytest.approx(validation.value + 2)
    pictures = (half(validation) / stats.t.ppf(0.975, 499)) ** 2
    assert half(gap) == pytest.approx(1.96 * math.sqrt(pictures + training), rel=0.01)


def test_folds_are_paired_and_corrected_for_shared_pictures() -> None:
    estimate = sum_over_folds([(1, [50.0, 54.0, 52.0, 99.0]), (-1, [40.0, 42.0, 44.0])], 0.5)  # 10, 12, 8
    assert (estimate.value, estimate.n, estimate.counted) == (10, 3, "folds")
    assert half(estimate) == pytest.approx(4.302653 * math.sqrt(4 * (1 / 3 + 1 / 2)))  # t with 2 degrees of freedom
    alone = sum_over_folds([(1, [50.0]), (-1, [40.0, 42.0])], 0.5)
    assert (alone.value, alone.low, alone.high, alone.n) == (10, None, None, 1)


@pytest.mark.parametrize(("pictures", "variance"), [(480, 10.275), (2400, 4.0)])
def test_folds_that_agree_by_luck_vary_as_much_as_their_test_pictures(pictures: int, variance: float) -> None:
    """Of 480, 52 and 42 % have a binomial variance of (52 * 48 + 42 * 58) / 480 = 10.275; of 2400 2.055, below the folds' 4."""
    terms = [(1, [50.0, 54.0, 52.0]), (-1, [40.0, 42.0, 44.0])]
    found = sum_over_folds(terms, 0.5, pictures)
    assert half(found) == pytest.approx(4.302653 * math.sqrt(variance * (1 / 3 + 1 / 2)))


def test_independent_estimates_add_in_quadrature() -> None:
    first, second = Estimate(10, 7, 13, 5, "folds", unit="points"), Estimate(4, 0, 8, 360, "pictures")
    assert intervals.independent_difference(first, second, "both") == Estimate(
        6, 1, 11, 5, "both", unit="points"
    )  # 3, 4 and 5
    assert intervals.independent_difference(first, Estimate(4, None, None, 1, "fold"), "both").low is None


def test_pictures_that_are_missing_do_not_count() -> None:
    estimate = intervals.mean_of_images(np.array([1.0, np.nan, 3.0]), "photographs", 2)
    assert (estimate.value, estimate.n, estimate.counted, estimate.digits) == (2, 2, "photographs", 2)
    with pytest.raises(ValueError, match="no finite"):
        intervals.mean_of_images(np.array([np.nan]))


def test_intervals_of_few() -> None:
    newcombe = intervals.difference_of_shares(np.arange(70) < 56, np.arange(80) < 48, "people")
    assert (newcombe.low, newcombe.high) == pytest.approx(
        (5.24, 33.39), abs=0.01
    )  # Newcombe 1998, table II (a), method 10
    student = intervals.mean(np.array([1.0, 2, 3, 4, float("nan")]), "maps")
    assert (student.value, student.n) == (2.5, 4)
    assert student.high - 2.5 == pytest.approx(3.182 * np.sqrt(5 / 3) / 2, abs=1e-3)  # t of 3 degrees of freedom
    welch = intervals.difference_of_means(np.array([5.0, 6, 7]), np.array([1.0, 2, 3]), "maps")
    assert welch.high - 4 == pytest.approx(2.776 * np.sqrt(2 / 3), abs=1e-3)  # equal variances: 4 degrees of freedom
    assert intervals.mean(np.array([2.0]), "maps") == Estimate(2, None, None, 1, "maps", 2)
    assert intervals.mean(np.array([2.0, 2.0]), "maps").low == 2
    assert intervals.rank_correlation(np.arange(20), np.arange(20) ** 3, "maps").value == 1
    with pytest.raises(NotMeasured):
        intervals.mean(np.array([float("nan")]), "maps")


def test_shares_have_wilsons_interval() -> None:
    ten, none = (intervals.share(np.arange(n) < k, "images") for k, n in ((10, 100), (0, 50)))
    assert (ten.value, ten.low, ten.high) == pytest.approx((10, 5.52, 17.44), abs=0.01)
    assert none.low == 0
