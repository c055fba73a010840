"""95 % intervals of networks' errors and of weighted sums of them: over images, and over seeds where networks have several.

A `Spread` is the standard deviation between seeds, pooled over all networks that were trained several times, and its degrees
of freedom. The variance over images is that of the weighted sum, image by image (paired); with a spread, that of the means over
seeds is the second component: each has its own Student's t, and their half-widths add in quadrature. Without a spread the noise
of training is not in the interval; with it, what seeds differ in by chance of the images counts in both variances, so that the
interval is rather too wide than too narrow. n counts images; what the seeds give are degrees of freedom, and one is too few.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from zfrepro.measurements.estimate import Estimate
from zfrepro.measurements.intervals import MIN_UNITS, clip, student, vary

MIN_FREEDOM = MIN_UNITS - 1  # of a spread between seeds: one network from three seeds, or two from two each
Spread = tuple[float, int]
Wrong = tuple[float, np.ndarray]  # weight in the sum, bool (seeds, N): which of the same N images each seed gets wrong
Percents = tuple[float, Sequence[float]]  # weight in the sum, training error of each seed in percent


def seed_spread(groups: Sequence[Sequence[float]]) -> Spread | None:
    """Of the errors of networks, a group a network, a number a seed.

    None for fewer than MIN_FREEDOM degrees of freedom, and where the seeds of every network have the same error.
    """
    repeated = [np.asarray(group, dtype=float) for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in repeated)
    if freedom < MIN_FREEDOM or not any(vary(group) for group in repeated):
        return None
    return float(np.sqrt(sum((len(group) - 1) * group.var(ddof=1) for group in repeated) / freedom)), freedom


def sum_of_errors(terms: Sequence[Wrong], spread: Spread | None) -> Estimate:
    """In points; each network in one term alone."""
    parts = [_over_images(terms), *_over_seeds([(weight, len(wrong)) for weight, wrong in terms], spread)]
    return student(_sum(terms), parts, terms[0][1].shape[1], _describe_units("validation", spread), "points")


def ensemble_difference(
    first: np.ndarray, second: np.ndarray, spread: Spread | None, joining: tuple[float, int]
) -> Estimate:
    """Error of one ensemble minus that of another, in points; bool (networks, N) each.

    `joining`: the share that networks which are only in the second have in it, and how many they are: another training of them
    moves its error by that share of `spread`. Networks in both cancel.
    """
    terms, (share, count) = [(1.0, first), (-1.0, second)], joining
    parts = [_over_images(terms), *_over_seeds([(share, count)], spread)]
    return student(_sum(terms), parts, first.shape[1], _describe_units("validation", spread), "points")


def sum_of_training_errors(terms: Sequence[Percents], images: int, spread: Spread | None) -> Estimate:
    """In points, measured on the same `images`.

    Which images were wrong is not kept, so the networks count as independent: no narrower than the paired interval where
    networks find the same images hard.
    """
    value = sum(weight * float(np.mean(percents)) for weight, percents in terms)
    parts = [_of_shares(terms, images), *_over_seeds([(w, len(percents)) for w, percents in terms], spread)]
    return student(value, parts, images, _describe_units("training", spread), "points")


def sum_of_gaps(
    terms: Sequence[tuple[float, np.ndarray, Sequence[float]]], images: int, spread: Spread | None
) -> Estimate:
    """Of gaps between validation and training error, in points: (weight, wrong, training error of each seed).

    images: how many training images the training errors are measured on.
    """
    wrong, trained = [(w, seeds_wrong) for w, seeds_wrong, _ in terms], [(w, percents) for w, _, percents in terms]
    value = _sum(wrong) - sum(weight * float(np.mean(percents)) for weight, percents in trained)
    seeds = _over_seeds([(weight, len(seeds_wrong)) for weight, seeds_wrong in wrong], spread)
    parts = [_over_images(wrong), _of_shares(trained, images), *seeds]
    return student(value, parts, terms[0][1].shape[1], _describe_units("validation and training", spread), "points")


def mean_error(wrong: np.ndarray, spread: Spread | None, members: int = 1) -> Estimate:
    """Of bool (seeds, N), in percent, the interval within 0 and 100.

    `members`: of an ensemble whose averaged prediction is `wrong` (1, N); its spread is taken for that of a mean of so many
    networks, which is rather too wide.
    """
    if spread is not None:
        spread = spread[0] / members**0.5, spread[1]
    return _within_range(sum_of_errors([(1.0, wrong)], spread))


def mean_training_error(percents: Sequence[float], images: int, spread: Spread | None) -> Estimate:
    """Of a network's seeds, in percent, the interval within 0 and 100."""
    return _within_range(sum_of_training_errors([(1.0, percents)], images, spread))


def _within_range(error: Estimate) -> Estimate:
    return clip(dataclasses.replace(error, unit="%"), (0.0, 100.0))


def _sum(terms: Sequence[Wrong]) -> float:
    return float(_each(terms).mean())


def _each(terms: Sequence[Wrong]) -> np.ndarray:
    """(N,) in points: what every image adds to the weighted sum of errors."""
    return np.asarray(100 * sum(weight * wrong.mean(axis=0) for weight, wrong in terms))


def _over_images(terms: Sequence[Wrong]) -> tuple[float, int]:
    each = _each(terms)
    if len(each) < MIN_UNITS:
        return 0.0, 1
    return float(each.var(ddof=1)) / len(each), len(each) - 1


def _of_shares(terms: Sequence[Percents], images: int) -> tuple[float, int]:
    """Binomial; seeds see the same images, so their number does not divide it."""
    means = [(weight, float(np.mean(percents))) for weight, percents in terms]
    return sum(weight**2 * mean * (100 - mean) for weight, mean in means) / images, max(1, images - 1)


def _over_seeds(terms: Sequence[tuple[float, int]], spread: Spread | None) -> list[tuple[float, int]]:
    """terms: (weight, number of seeds)."""
    if spread is None:
        return []
    deviation, freedom = spread
    return [(deviation**2 * sum(weight**2 / seeds for weight, seeds in terms), freedom)]


def _describe_units(split: str, spread: Spread | None) -> str:
    return f"{split} images" if spread is None else f"{split} images, with the spread of seeds"
