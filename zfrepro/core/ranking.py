"""The one definition of a label's rank among the classes, of the most probable classes, of top-1 and top-5 errors, and of how ties are
counted. No torch."""

from __future__ import annotations

import numpy as np

from zfrepro.core.finite import require_finite


def label_ranks(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """int64 (N,): how many classes of (N, C) are more probable than the label; of equal ones the lower class comes first.

    Raises NotFiniteError: comparisons with NaN are false, and would count the label as the most probable.
    """
    require_finite(probabilities, "class probabilities")
    of_label = probabilities[np.arange(len(labels)), labels][:, None]
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    ahead: np.ndarray = (probabilities > of_label) | ((probabilities == of_label) & before)
    ranks: np.ndarray = ahead.sum(axis=1)
    return ranks


def most_probable(probabilities: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k most probable of (..., C) classes, in order, and their probabilities: int64 and float (..., min(k, C)).

    Of equal ones the lower class comes first. Raises NotFiniteError.
    """
    require_finite(probabilities, "class probabilities")
    order = np.argsort(-probabilities, axis=-1, kind="stable")[..., :k]
    return order, np.take_along_axis(probabilities, order, axis=-1)


def top_error(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Percent of images whose label is not among the k most probable classes. Raises NotFiniteError."""
    return 100 * float(np.mean(label_ranks(probabilities, labels) >= k))
