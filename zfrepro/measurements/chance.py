"""Whether networks are better than chance: the features of one that is not decide no claim.

Better than chance: the 95 % interval of the validation top-1 error (Wilson's, over the validation images, in as many views as
were taken) lies below the error of naming one class for every image. That error is 1 - 1/classes where all classes have as many
images, and less where one has more.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from zfrepro.measurements import intervals
from zfrepro.measurements.estimate import Estimate
from zfrepro.measurements.networks import Networks
from zfrepro.measurements.transfers import Target


def describe(networks: Networks, names: Iterable[str]) -> str:
    """The first of these runs that is not better than chance, with both errors, without a full stop; "" where all are.

    Runs that diverged have no error, and are skipped.
    """
    wanted = set(names)
    texts = (_describe_run(networks, run.name) for run in networks.runs if run.name in wanted and not run.diverged)
    return next(filter(None, texts), "")


def _describe_run(networks: Networks, name: str) -> str:
    ranks = networks.ranks(name)
    error = intervals.share(ranks.by_views[max(ranks.by_views)] >= 1, "validation images")
    chance = 100 * (1 - max(1 / ranks.classes, ranks.most_frequent))
    return "" if below(error, chance) else f"{name} is not better than chance: {_text(error)}, chance {chance:.1f} %"


def describe_accuracy(target: Target, folds: Sequence[float], per_class: int) -> str:
    """`4.1 % of 480 test images [2.7, 6.3], chance 4.2 %`, of a classifier on a target set that is no better; "" of a better one.

    Wilson's interval of the mean over folds, for as many test images as one fold has: folds share images.
    """
    accuracy, tested = statistics.fmean(folds), target.record["test_pictures"][str(per_class)]
    chance = 100 * max(1 / len(target.record["classes"]), target.record["test_per_class"] / tested)
    low, high = intervals.wilson(accuracy, tested)
    if tested >= intervals.MIN_UNITS and low > chance:
        return ""
    return f"{accuracy:.1f} % of {tested:,} test images [{low:.1f}, {high:.1f}], chance {chance:.1f} %"


def below(error: Estimate, chance: float) -> bool:
    """With the whole interval; without one nothing shows it."""
    return error.has_interval and error.ends[1] < chance


def _text(error: Estimate) -> str:
    return f"top-1 error {error.text()} of {error.n:,} {error.counted}"
