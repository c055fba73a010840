"""95 % intervals of differences: over pictures and seeds for networks, over folds for transfer, over pictures for the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from zfrepro.measurements import bootstrap
from zfrepro.measurements.estimate import Estimate

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
    Without `spread` the noise of training is not in the interval; with it, what seeds differ in by chance of the pictures
    counts in both variances, so that the interval is rather too wide than too narrow.
    """
    return of_sums([(1.0, first), (-1.0, second)], spread)


def of_sums(terms: Sequence[tuple[float, np.ndarray]], spread: tuple[float, int] | None) -> Estimate:
    """The same for any weighted sum of errors, in points: (weight, wrong), each network in one term alone."""
    parts = [_over_pictures(terms), *_over_seeds([(weight, len(wrong)) for weight, wrong in terms], spread)]
    return student(_sum(terms), parts, terms[0][1].shape[1], _over("validation", spread), "points")


def of_ensembles(
    first: np.ndarray, second: np.ndarray, spread: tuple[float, int] | None, joining: tuple[float, int]
) -> Estimate:
    """Error of one ensemble, bool (networks, N), less that of another, in points.

    `joining`: the share that networks which are only in the second have in it, and how many they are: another training of them
    moves its error by that share of `spread`. Networks in both cancel.
    """
    terms, (share, count) = [(1.0, first), (-1.0, second)], joining
    parts = [_over_pictures(terms), *_over_seeds([(share, count)], spread)]
    return student(_sum(terms), parts, first.shape[1], _over("validation", spread), "points")


def of_training(
    terms: Sequence[tuple[float, Sequence[float]]], pictures: int, spread: tuple[float, int] | None
) -> Estimate:
    """A weighted sum of training errors, in points: (weight, percent of each seed's network), on the same `pictures`.

    Which pictures were wrong is not kept, so the networks count as independent: no narrower than the paired interval where
    networks find the same pictures hard.
    """
    value = sum(weight * float(np.mean(percents)) for weight, percents in terms)
    parts = [_of_shares(terms, pictures), *_over_seeds([(w, len(percents)) for w, percents in terms], spread)]
    return student(value, parts, pictures, _over("training", spread), "points")


def of_gaps(
    terms: Sequence[tuple[float, np.ndarray, Sequence[float]]], pictures: int, spread: tuple[float, int] | None
) -> Estimate:
    """A weighted sum of validation less training error, in points: (weight, wrong, training errors of its seeds)."""
    wrong, trained = [(w, one) for w, one, _ in terms], [(w, percents) for w, _, percents in terms]
    value = _sum(wrong) - sum(weight * float(np.mean(percents)) for weight, percents in trained)
    seeds = _over_seeds([(weight, len(one)) for weight, one in wrong], spread)
    parts = [_over_pictures(wrong), _of_shares(trained, pictures), *seeds]
    return student(value, parts, terms[0][1].shape[1], _over("validation and training", spread), "points")


def of_error(wrong: np.ndarray, spread: tuple[float, int] | None, members: int = 1) -> Estimate:
    """Mean error of bool (seeds, N) in percent, by the same rule as differences, the interval within 0 and 100.

    `members`: of an ensemble whose averaged answer is `wrong` (1, N); its spread is taken for that of a mean of so many networks,
    which is rather too wide.
    """
    if spread is not None:
        spread = spread[0] / members**0.5, spread[1]
    return _within_range(of_sums([(1.0, wrong)], spread))


def of_training_error(percents: Sequence[float], pictures: int, spread: tuple[float, int] | None) -> Estimate:
    """Mean training error of a network's seeds in percent, the interval within 0 and 100."""
    return _within_range(of_training([(1.0, percents)], pictures, spread))


def _within_range(one: Estimate) -> Estimate:
    if one.low is None or one.high is None:
        return dataclasses.replace(one, unit="%")
    return dataclasses.replace(one, low=max(0.0, one.low), high=min(100.0, one.high), unit="%")


def of_folds(
    terms: Sequence[tuple[float, Sequence[float]]], test_share: float, independent: int | None = None
) -> Estimate:
    """Mean over folds of a weighted sum of accuracies in percent, in points: (weight, accuracy of each fold), on the same folds.

    Folds drawn anew from the same pictures share training pictures, so the variance is that of Nadeau and Bengio (2003):
    (1/folds + test_share) times the variance between folds, test_share = test pictures / all others, which are the training
    pictures where every picture is used.

    `independent`: test pictures of a fold, where the terms err independently, as different features or numbers of training
    pictures nearly do. A few folds may agree by luck: the variance between them then counts as no less than the binomial one.
    """
    shared = min(len(folds) for _, folds in terms)
    weights, values = np.array([weight for weight, _ in terms]), np.array([folds[:shared] for _, folds in terms])
    each = weights @ values
    value = float(each.mean())
    if shared < 2:
        return Estimate(value, None, None, shared, "fold", unit="points")
    between = float(each.var(ddof=1))
    if independent is not None:
        means = values.mean(axis=1)
        between = max(between, float((weights**2 * means * (100 - means)).sum()) / independent)
    return student(value, [(between * (1 / shared + test_share), shared - 1)], shared, "folds", "points")


def of_pictures(values: np.ndarray, of: str = "pictures", digits: int = 1, unit: str = "") -> Estimate:
    """Mean of what is not missing (NaN), percentile bootstrap. Raises ValueError for infinite values, and where all are missing."""
    known = bootstrap.present(values)
    number = bootstrap.mean(known)
    if number is None:
        raise ValueError("no finite value")
    return Estimate(number.value, number.low, number.high, len(known), of, digits, unit)


def apart(first: Estimate, second: Estimate, of: str) -> Estimate:
    """first less second, measured independently: their intervals' halves add in quadrature; n is that of the fewer."""
    value, n = first.value - second.value, min(first.n, second.n)
    if first.low is None or second.low is None:
        return Estimate(value, None, None, n, of, unit=first.unit)
    half = float(np.hypot(first.high - first.low, second.high - second.low)) / 2
    return Estimate(value, value - half, value + half, n, of, unit=first.unit)


def _sum(terms: Sequence[tuple[float, np.ndarray]]) -> float:
    return float(_each(terms).mean())


def _each(terms: Sequence[tuple[float, np.ndarray]]) -> np.ndarray:
    """(N,) in points: what every picture adds to the weighted sum of errors."""
    return 100 * sum(weight * wrong.mean(axis=0) for weight, wrong in terms)


def _over_pictures(terms: Sequence[tuple[float, np.ndarray]]) -> tuple[float, int]:
    each = _each(terms)
    return float(each.var(ddof=1)) / len(each), len(each) - 1


def _of_shares(terms: Sequence[tuple[float, Sequence[float]]], pictures: int) -> tuple[float, int]:
    """Binomial; seeds see the same pictures, so their number does not divide it."""
    means = [(weight, float(np.mean(percents))) for weight, percents in terms]
    return sum(weight**2 * mean * (100 - mean) for weight, mean in means) / pictures, pictures - 1


def _over_seeds(terms: Sequence[tuple[float, int]], spread: tuple[float, int] | None) -> list[tuple[float, int]]:
    """terms: (weight, number of seeds)."""
    if spread is None:
        return []
    deviation, freedom = spread
    return [(deviation**2 * sum(weight**2 / seeds for weight, seeds in terms), freedom)]


def _over(which: str, spread: tuple[float, int] | None) -> str:
    return f"{which} pictures" if spread is None else f"{which} pictures, with the spread of seeds"


def student(value: float, parts: Sequence[tuple[float, int]], n: int, of: str, unit: str, digits: int = 1) -> Estimate:
    """A sum of independent means; parts: (variance of the mean, its degrees of freedom). Student's t, Welch's degrees of freedom."""
    from scipy.special import stdtrit  # Student's quantile; scipy.stats, which has it too, takes a second to import

    total = sum(variance for variance, _ in parts)
    if total == 0:
        return Estimate(value, value, value, n, of, digits, unit)
    freedom = total**2 / sum(variance**2 / free for variance, free in parts if variance)
    half = float(stdtrit(freedom, LEVEL) * np.sqrt(total))
    return Estimate(value, value - half, value + half, n, of, digits, unit)
