"""Ranks and top-k errors by hand, against scikit-learn, and never of a number that is not finite."""

import numpy as np
import pytest

from zfrepro.core.evaluation import cross_entropy
from zfrepro.core.finite import NotFiniteError
from zfrepro.core.ranking import label_ranks, most_probable, top_error


def test_by_hand():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2], [0.2, 0.3, 0.5]])
    labels = np.array([0, 1, 1, 0])
    assert label_ranks(probabilities, labels).tolist() == [
        0,
        1,
        1,
        2,
    ]  # the third is tied with class 0, which ranks first
    assert [top_error(probabilities, labels, k) for k in (1, 2, 3)] == [75, 25, 0]


def test_scikit_learn_agrees():
    from sklearn.metrics import top_k_accuracy_score

    random = np.random.default_rng(0)
    probabilities, labels = random.random((200, 12)), random.integers(12, size=200)
    expected = 100 - 100 * top_k_accuracy_score(labels, probabilities, k=5, labels=np.arange(12))
    assert top_error(probabilities, labels, 5) == pytest.approx(expected)


def test_ties_rank_the_lower_class_first_as_a_stable_sort_does():
    random = np.random.default_rng(0)
    scores, labels = random.integers(0, 4, (300, 6)).astype(np.float32), random.integers(0, 6, 300)
    order = np.argsort(-scores, axis=1, kind="stable")
    assert label_ranks(scores, labels).tolist() == np.argmax(order == labels[:, None], axis=1).tolist()


def test_most_probable_classes_by_hand():
    """Of the equal ones of the second row, the lower class comes first; there are never more classes than the network has."""
    probabilities = np.array([[0.1, 0.2, 0.7], [0.4, 0.2, 0.4]])
    labels, values = most_probable(probabilities, 2)
    assert labels.tolist() == [[2, 1], [0, 2]]
    assert values.tolist() == [[0.7, 0.2], [0.4, 0.4]]
    assert most_probable(probabilities, 5)[0].tolist() == [[2, 1, 0], [0, 2, 1]]
    assert (most_probable(probabilities, 1)[0][:, 0] == probabilities.argmax(axis=1)).all()
    with pytest.raises(NotFiniteError):
        most_probable(np.array([0.5, np.nan]), 1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_probability_that_is_not_finite_is_never_counted(value):
    """NaN compares as false with everything, so its image would count as classified correctly."""
    scores, labels = np.array([[0.5, 0.5], [value, 0.5], [0.1, 0.9]]), np.zeros(3, int)
    for count in (lambda: top_error(scores, labels, 1), lambda: cross_entropy(scores, labels)):
        with pytest.raises(NotFiniteError, match="1 of 6 class probabilities are not finite"):
            count()
