"""Average precision of a class over images, by PASCAL VOC's own definitions.

Images are ranked by score and a precision and a recall stand after each. From VOC 2010 on: the area under the precision
that is nowhere below what any higher recall reaches (the envelope). VOC 2007: the mean of that envelope at recalls
0, 0.1, ..., 1. scikit-learn's average_precision_score takes the precisions as they are; it is never above the envelope.

Presence is 1 for an image that shows the class, 0 for one that does not, -1 for one that shows it only as `difficult`;
those do not count, as in VOC's classification task.
Images of equal score keep the order they came in, as in VOC's own code: give scores that do not saturate.
"""

from __future__ import annotations

import numpy as np


def average_precision(scores: np.ndarray, presence: np.ndarray, eleven_points: bool = False) -> float:
    """0..1 of scores (N,) and presence (N,) in {1, 0, -1}; NaN where no image shows the class.

    eleven_points: the definition of VOC 2007. Raises ValueError for a score that is not a number.
    """
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    scores, presence = scores[presence >= 0], presence[presence >= 0]
    shows = presence[np.argsort(-scores, kind="stable")] == 1
    hits, total = np.cumsum(shows), int(shows.sum())
    if not total:
        return float("nan")
    envelope = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    if not eleven_points:
        return float(envelope[shows].mean())  # recall rises by 1 / total at each image that shows the class
    reached = np.searchsorted(10 * hits, np.arange(11) * total)  # whole numbers: 3 of 10 is a recall of 0.3 exactly
    return float(envelope[reached].mean())


def of_classes(scores: np.ndarray, presence: np.ndarray, eleven_points: bool = False) -> np.ndarray:
    """float64 (C,) of scores and presence (N, C)"""
    return np.array(
        [average_precision(*columns, eleven_points) for columns in zip(scores.T, presence.T, strict=True)], float
    )


def mean(precisions: np.ndarray) -> float:
    """Over the classes that any image shows; NaN where there is none."""
    defined = precisions[~np.isnan(precisions)]
    return float(defined.mean()) if len(defined) else float("nan")
