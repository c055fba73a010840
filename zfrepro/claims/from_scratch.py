"""Whether the network trained from scratch on a target set failed by its recipe: then a gain over it says nothing.

Two signs: it stands below the same layers with random weights, of which only the softmax is trained; or its training error had
not levelled off.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable

from zfrepro.claims.base import Finding
from zfrepro.measurements.transfers import Target

LEVEL = 2.0  # points: a training error that fell by more over the last fifth of training had not levelled off


def failure(target: Target, sizes: Iterable[int]) -> str:
    """With both numbers, for the first of these numbers of training images per class where it failed; "" where it did not.

    No random weights, or no training error, in the experiment: nothing is known of that sign.
    """
    scratch, random = target.curve("scratch"), target.curve("random")
    for k in sizes:
        reached = statistics.fmean(scratch[k])
        if k in random and reached < statistics.fmean(random[k]):
            return (
                f"with {k} per class it reaches {reached:.1f} %, below its untrained layers, random weights and a softmax, "
                f"{statistics.fmean(random[k]):.1f} %"
            )
        fell = target.still_falling(k)
        if fell is not None and fell > LEVEL:
            return (
                f"with {k} per class its training error still fell by {fell:.1f} points over the last fifth of training"
            )
    return ""


def judged(finding: Finding, failed: str) -> Finding:
    """Inconclusive where the network trained from scratch `failed`, with the numbers."""
    if not failed:
        return finding
    reason = f"The network trained from scratch failed by its recipe: {failed}. A difference from it says nothing."
    return dataclasses.replace(finding, verdict="inconclusive", reason=reason)
