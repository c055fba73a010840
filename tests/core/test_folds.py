"""The protocol: disjoint folds, nested sizes, per-class averaging worked by hand."""

import numpy as np
import pytest

from zfrepro.core import folds

LABELS = np.repeat(np.arange(3), [12, 20, 9])


def test_folds_are_disjoint_complete_and_as_large_as_asked():
    for fold in folds.folds(LABELS, 5, 6, 4, seed=1):
        assert not set(fold.train) & set(fold.test)
        assert np.bincount(LABELS[fold.train]).tolist() == [5, 5, 5]
        assert np.bincount(LABELS[fold.test]).tolist() == [6, 6, 4]  # the third class has 4 left


def test_folds_differ_and_repeat():
    first, second = folds.folds(LABELS, 5, 6, 2, seed=1)
    assert set(first.train) != set(second.train)
    assert np.array_equal(first.train, folds.folds(LABELS, 5, 6, 2, seed=1)[0].train)
    assert set(first.train) != set(folds.folds(LABELS, 5, 6, 2, seed=2)[0].train)


def test_fewer_training_pictures_are_among_the_more():
    few, more = (folds.folds(LABELS, k, 3, 1, seed=0)[0] for k in (2, 5))
    assert set(few.train) < set(more.train)
    assert np.array_equal(few.test, more.test)


def test_a_class_too_small_is_named():
    with pytest.raises(ValueError, match="class 2 has 9 images"):
        folds.folds(LABELS, 9, 5, 1, seed=0)


def test_accuracy_is_averaged_over_classes_not_pictures():
    labels = np.array([0] * 8 + [1] * 2)
    predicted = np.array([0] * 8 + [0, 1])
    assert folds.mean_class_accuracy(predicted, labels) == 75  # 100 % and 50 %, though 9 of 10 are right


def test_pictures_left_out_are_in_no_fold():
    left_out = np.array([0, 3, 15, 40])
    labels = LABELS.copy()
    labels[left_out] = -1
    for fold in folds.folds(labels, 5, 50, 3, seed=0):
        assert not set(left_out) & (set(fold.train) | set(fold.test))
        assert np.bincount(LABELS[fold.train]).tolist() == [5, 5, 5]
        assert np.bincount(LABELS[fold.test]).tolist() == [5, 14, 3]


def test_a_whole_class_may_be_left_out():
    labels = np.where(LABELS == 1, -1, LABELS)
    assert set(LABELS[folds.folds(labels, 5, 50, 1, seed=0)[0].train]) == {0, 2}
    assert folds.too_small(LABELS, 9) == {2: 9}
    assert folds.too_small(LABELS, 8) == {}
