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
    assert network_errors.seed_spread([[1, 3], [2]]) is None  # two seeds: one degree of freedom
    assert network_errors.seed_spread([[1, 3], [2, 2]]) == (1, 2)  # squares: 2 and 0, with one each
    assert network_errors.seed_spread([[1, 1, 1], [2, 2]]) is None  # equal bits, not a spread of 0


def test_errors_of_single_networks_are_a_paired_t_test() -> None:
    estimate = difference(FIRST, THIRD, None)
    low, high = stats.ttest_rel(100.0 * FIRST[0], 100.0 * THIRD[0]).confidence_interval()
    assert (estimate.low, estimate.high) == (pytest.approx(low), pytest.approx(high))
    assert (estimate.n, estimate.counted, estimate.unit) == (500, "validation images", "points")


def test_the_spread_of_seeds_adds_to_the_variance() -> None:
    plain, wide = (difference(FIRST, SECOND, spread) for spread in (None, (6.0, 2)))
    seeds = stats.t.ppf(0.975, 2) * 6 * math.sqrt(1 / 1 + 1 / 3)
    assert half(wide) == pytest.approx(math.hypot(half(plain), seeds))
    assert plain.value == wide.value == pytest.approx(100 * (FIRST.mean() - SECOND.mean()))
    assert wide.counted == "validation images, with the spread of seeds"


def test_a_weighted_sum_is_over_the_same_pictures() -> None:
    wrong = np.array([[1, 1, 0, 0]], bool), np.array([[1, 0, 0, 0]], bool), np.array([[0, 1, 0, 0]], bool)
    estimate = network_errors.sum_of_errors([(1.0, wrong[0]), (-1.0, wrong[1]), (-1.0, wrong[2])], None)
    assert (estimate.value, estimate.low, estimate.high) == (0, None, None)  # each picture cancels, not only the mean
    assert estimate.without == "nothing varies between the 4 validation images"
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
    single, four = (network_errors.mean_error(wrong, (2.0, 100_000), members) for members in (1, 4))
    images = 1e4 * 0.1 * 0.9 / 999
    assert (four.value, four.unit) == (pytest.approx(10), "%")
    assert half(four) == pytest.approx(1.96 * math.sqrt(images + 1), rel=0.002)
    assert half(single) == pytest.approx(1.96 * math.sqrt(images + 4), rel=0.002)


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
    single = sum_over_folds([(1, [50.0]), (-1, [40.0, 42.0])], 0.5)
    assert (single.value, single.low, single.high, single.n) == (10, None, None, 1)


@pytest.mark.parametrize(("pictures", "variance"), [(480, 10.275), (2400, 4.0)])
def test_folds_that_agree_by_luck_vary_as_much_as_their_test_pictures(pictures: int, variance: float) -> None:
    """Of 480, 52 and 42 % have a binomial variance of (52 * 48 + 42 * 58) / 480 = 10.275; of 2400 2.055, below the folds' 4."""
    terms = [(1, [50.0, 54.0, 52.0]), (-1, [40.0, 42.0, 44.0])]
    estimate = sum_over_folds(terms, 0.5, pictures)
    assert half(estimate) == pytest.approx(4.302653 * math.sqrt(variance * (1 / 3 + 1 / 2)))


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
    assert intervals.rank_correlation(np.arange(20), np.arange(20) ** 3, "maps").value == 1
    with pytest.raises(NotMeasured):
        intervals.mean(np.array([float("nan")]), "maps")


def test_shares_have_wilsons_interval() -> None:
    ten, none, all_ = (intervals.share(np.arange(n) < k, "images") for k, n in ((10, 100), (0, 50), (50, 50)))
    assert (ten.value, ten.low, ten.high) == pytest.approx((10, 5.52, 17.44), abs=0.01)
    assert (none.low, none.high) == (0, pytest.approx(7.13, abs=0.01))  # z^2 / (n + z^2)
    assert (all_.low, all_.high) == (pytest.approx(100 - 7.13, abs=0.01), 100)
    for k, n in ((10, 100), (0, 50), (50, 50), (1, 3)):
        reference = stats.binomtest(k, n).proportion_ci(0.95, "wilson")
        assert intervals.wilson(100 * k / n, n) == pytest.approx((100 * reference.low, 100 * reference.high))


VALUES = np.array([1.0, 2.0, 4.0])
SAME = np.full(7, 0.1) * 3  # 0.30000000000000004 each


@pytest.mark.parametrize(
    ("estimate", "reason"),
    [
        (intervals.mean(VALUES[:2], "maps"), "2 maps are too few, 3 are needed"),
        (intervals.mean(SAME, "maps"), "nothing varies between the 7 maps"),
        (intervals.mean_of_images(np.array([1.0, np.nan, 3.0])), "2 images are too few, 3 are needed"),
        (intervals.mean_of_images(np.ones(50)), "nothing varies between the 50 images"),
        (intervals.mean_of_images(VALUES[:1]), ""),  # measured once
        (intervals.difference_of_means(VALUES, VALUES[:2], "maps"), "one side has only 2 of the maps, and 3 are needed"),
        (intervals.difference_of_means(SAME, SAME, "maps"), "nothing varies between the 14 maps"),
        (intervals.share(np.array([True, True]), "images"), "2 images are too few, 3 are needed"),
        (intervals.difference_of_shares(np.ones(2, bool), np.ones(9, bool), "filters"),
         "one side has only 2 of the filters, and 3 are needed"),
        (intervals.rank_correlation(np.arange(9), np.arange(9) ** 3, "maps"), "the order is perfect"),
        (intervals.resampled(0.5, np.full(2000, 0.5), 9, "images"), "nothing varies between the 9 images"),
        (intervals.resampled(0.5, np.array([0.4, 0.5, 0.6]), 2, "images"), "2 images are too few, 3 are needed"),
        (intervals.from_ends(5.0, 5.0, 5.0, 9, "images"), "nothing varies between the 9 images"),
        (intervals.from_ends(5.0, 4.0, 6.0, 2, "images"), "2 images are too few, 3 are needed"),
        (sum_over_folds([(1, [50.0, 54.0]), (-1, [40.0, 42.0])], 0.5, 480), "2 folds are too few, 3 are needed"),
        (sum_over_folds([(1, [50.1, 54.1, 57.1]), (-1, [40.0, 44.0, 47.0])], 0.5), "nothing varies between the 3 folds"),
        (difference(FIRST[:, :2], THIRD[:, :2], (1.0, 4)), "2 validation images, with the spread of seeds are too few, 3 are needed"),
        (difference(FIRST[:, :1], THIRD[:, :1], (1.0, 4)), ""),  # one image
        (difference(FIRST, FIRST, None), "nothing varies between the 500 validation images"),
        (network_errors.mean_training_error([0.0], 480, None), "nothing varies between the 480 training images"),
    ],
)  # fmt: skip
def test_too_few_and_what_does_not_vary_have_no_interval(estimate: Estimate, reason: str) -> None:
    assert (estimate.low, estimate.high, estimate.without) == (None, None, reason)
    assert math.isfinite(estimate.value)


def test_ties_that_leave_an_order_have_an_interval_and_constants_have_none() -> None:
    tied = intervals.rank_correlation(np.repeat([1, 2, 3], 3), np.arange(9), "maps")
    assert tied.low < tied.value < tied.high < 1
    with pytest.raises(NotMeasured, match="Too few different maps"):
        intervals.rank_correlation(np.arange(9), np.ones(9), "maps")


def test_agreeing_folds_keep_the_binomial_variance() -> None:
    """Different networks on 480 images: (52 * 48 + 42 * 58) / 480 = 10.275, whatever the folds say."""
    equal = sum_over_folds([(1, [52.0] * 3), (-1, [42.0] * 3)], 0.5, 480)
    assert half(equal) == pytest.approx(4.302653 * math.sqrt(10.275 * (1 / 3 + 1 / 2)))


def test_an_interval_stays_where_its_quantity_can_be() -> None:
    values = np.array([100.0, 100.0, 40.0])  # mean 80, its standard error 20
    assert intervals.mean_of_images(values).ends == pytest.approx((80 - 4.302653 * 20, 80 + 4.302653 * 20))
    assert intervals.mean_of_images(values, within=(0, 100)).ends == (0, 100)


def test_one_of_several_simultaneous_intervals_is_wider() -> None:
    """Of four, each misses by 0.625 % a side."""
    few = intervals.mean(VALUES, "maps")
    wide = intervals.simultaneous(few, 4)
    error = VALUES.std(ddof=1) / math.sqrt(3)
    assert wide.high - wide.value == pytest.approx(stats.t.ppf(1 - 0.025 / 4, 2) * error)
    assert intervals.simultaneous(few, 1) is few
    share = intervals.share(np.arange(100) < 30, "images")
    stretched = intervals.simultaneous(share, 4)
    assert (stretched.high - 30) / (share.high - 30) == pytest.approx(stats.norm.ppf(1 - 0.025 / 4) / 1.959964)
    both = intervals.independent_difference(few, share, "both")
    expected = math.hypot(
        wide.high - wide.value, stats.norm.ppf(1 - 0.025 / 4) / 1.959964 * (share.high - share.low) / 2
    )
    assert half(intervals.simultaneous(both, 4)) == pytest.approx(expected)
    stage = intervals.from_ends(5.0, 4.0, 6.0, 5, "images", freedom=4)
    assert half(intervals.simultaneous(stage, 3)) == pytest.approx(
        stats.t.ppf(1 - 0.025 / 3, 4) / stats.t.ppf(0.975, 4)
    )


def test_a_bootstrap_of_a_mean_gives_the_interval_of_the_mean() -> None:
    values = np.random.default_rng(1).normal(size=12)
    drawn = np.random.default_rng(0).choice(values, (20_000, 12)).mean(axis=1)
    plain = intervals.mean(values, "images")
    assert half(intervals.resampled(plain.value, drawn, 12, "images")) == pytest.approx(half(plain), rel=0.02)


@pytest.mark.parametrize("n", [5, 7, 10])
@pytest.mark.parametrize(
    ("shape", "below", "above"),
    [(None, 3.3, 3.3), (4.0, 3.3, 7.5)],
    ids=["normal", "skewed"],  # gamma of shape 4: a skewness of 1
)
def test_the_interval_of_a_mean_holds_for_few(n: int, shape: float | None, below: float, above: float) -> None:
    """Percent of 4000 samples that miss the true mean, meant are 2.5 a side: 2.0 to 2.7 of normal values; of skewed ones 0.8 to
    1.5 and 5.4 to 6.4. A percentile bootstrap misses 4.4 to 8.1, and 8.6 to 12.5 of the skewed ones on the side of the long tail;
    BCa hardly less (7.1 to 11.6)."""
    rng = np.random.default_rng(n)
    samples = rng.normal(size=(4000, n)) if shape is None else rng.gamma(shape, size=(4000, n)) - shape
    estimates = [intervals.mean(sample, "images") for sample in samples]
    assert 100 * np.mean([estimate.low > 0 for estimate in estimates]) < below
    assert 100 * np.mean([estimate.high < 0 for estimate in estimates]) < above
