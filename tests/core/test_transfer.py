"""The protocol: disjoint folds, nested sizes, per-class averaging worked by hand."""

import numpy as np
import pytest

from zfrepro.core import transfer

LABELS = np.repeat(np.arange(3), [12, 20, 9])


def test_folds_are_disjoint_complete_and_as_large_as_asked():
    for fold in transfer.folds(LABELS, 5, 6, 4, seed=1):
        assert not set(fold.train) & set(fold.test)
        assert np.bincount(LABELS[fold.train]).tolist() == [5, 5, 5]
        assert np.bincount(LABELS[fold.test]).tolist() == [6, 6, 4]  # the third class has 4 left


def test_folds_differ_and_repeat():
    one, two = transfer.folds(LABELS, 5, 6, 2, seed=1)
    assert set(one.train) != set(two.train)
    assert np.array_equal(one.train, transfer.folds(LABELS, 5, 6, 2, seed=1)[0].train)
    assert set(one.train) != set(transfer.folds(LABELS, 5, 6, 2, seed=2)[0].train)


def test_fewer_training_pictures_are_among_the_more():
    few, more = (transfer.folds(LABELS, k, 3, 1, seed=0)[0] for k in (2, 5))
    assert set(few.train) < set(more.train)
    assert np.array_equal(few.test, more.test)


def test_a_class_too_small_is_named():
    with pytest.raises(ValueError, match="class 2 has 9 pictures"):
        transfer.folds(LABELS, 9, 5, 1, seed=0)


def test_accuracy_is_averaged_over_classes_not_pictures():
    labels = np.array([0] * 8 + [1] * 2)
    predicted = np.array([0] * 8 + [0, 1])
    assert transfer.mean_class_accuracy(predicted, labels) == 75  # 100 % and 50 %, though 9 of 10 are right


@pytest.mark.parametrize("per_class", [1, 2, 6])
def test_softmax_finds_separable_classes(per_class):
    random = np.random.default_rng(0)
    features = np.eye(3)[LABELS] * 4 + random.normal(size=(len(LABELS), 3)) * 0.1
    fold = transfer.folds(LABELS, per_class, 50, 1, seed=0)[0]
    assert transfer.softmax_accuracy(features, LABELS, fold, seed=0) == 100
    shuffled = random.permutation(LABELS)
    assert transfer.softmax_accuracy(features, shuffled, transfer.folds(shuffled, 6, 50, 1, 0)[0], seed=0) < 75
