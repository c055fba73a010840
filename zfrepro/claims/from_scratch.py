"""Whether training from scratch on a target set failed because of its recipe: then a gain over it means nothing.

Three signs: its accuracy is not better than chance; it is below that of the same layers with random weights, of which only the
softmax is trained; or its training error had not levelled off.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable

from zfrepro.claims.base import Finding
from zfrepro.measurements import chance
from zfrepro.measurements.transfers import Target

LEVEL = 2.0  # points: a training error that fell by more over the last fifth of training had not levelled off


def describe_failure(target: Target, sizes: Iterable[int]) -> str:
    """With both numbers, for the first of these numbers of training images per class where it failed; "" where it did not.

    One of the last two is skipped where the experiment lacks random weights, or the training error.
    """
    scratch, random = target.curve("scratch"), target.curve("random")
    for k in sizes:
        reached, guessing = statistics.fmean(scratch[k]), chance.describe_accuracy(target, scratch[k], k)
        if guessing:
            return f"with {k} per class its accuracy is not better than chance ({guessing})"
        if k in random and reached < statistics.fmean(random[k]):
            return (
                f"with {k} per class its accuracy is {reached:.1f} %, below that of random weights with a trained softmax, "
                f"{statistics.fmean(random[k]):.1f} %"
            )
        fall = target.still_falling(k)
        if fall is not None and fall > LEVEL:
            return (
                f"with {k} per class its training error still fell by {fall:.1f} points over the last fifth of training"
            )
    return ""


def excuse_failure(finding: Finding, failure: str) -> Finding:
    """Inconclusive where the network trained from scratch failed; `failure` from `describe_failure`."""
    if not failure:
        return finding
    reason = f"Training from scratch failed because of its recipe: {failure}. Differences from it are not meaningful."
    return dataclasses.replace(finding, verdict="inconclusive", reason=reason)
