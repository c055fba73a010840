"""Linear classifiers through inner products: the same fit as on the features, and choices made on training pictures alone."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from zfrepro.core import probes
from zfrepro.core.folds import mean_class_accuracy
from zfrepro.core.gram import gram, standardise


def blobs(classes=4, each=12, size=60, distance=1.0, seed=0):
    """Features (N, D) and labels: class centres in Gaussian noise, far from 0."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = distance * generator.normal(size=(classes, size))
    return centres[labels] + generator.normal(size=(len(labels), size)) + 5, labels


def halves(labels, train=8):
    """Positions: the first `train` pictures of every class, and the others."""
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.concatenate([p[:train] for p in places]), np.concatenate([p[train:] for p in places])


def standardised(features, train):
    """The features themselves as `coordinates` scales them."""
    centred = features - features[train].mean(0)
    return centred / np.sqrt((centred[train] ** 2).sum(1).mean())


@pytest.mark.parametrize("size", [7, 31, 32, 400])  # 32 pictures to train
def test_products_are_those_of_standardised_features(size):
    features, labels = blobs(size=size)
    train, test = halves(labels)
    products = standardise(gram(features, dtype=torch.float64), train, test)
    scaled = standardised(features, train)
    np.testing.assert_allclose(products.train.numpy(), scaled[train] @ scaled[train].T, atol=1e-10)
    np.testing.assert_allclose(products.test.numpy(), scaled[test] @ scaled[train].T, atol=1e-10)
    assert products.train.trace() == pytest.approx(32)


def task_of(features, labels, train, test, **settings):
    return probes.task(gram(features), labels, train, test, **settings)


@pytest.mark.parametrize("strength", [0.3, 30.0, 300.0])
def test_softmax_equals_the_fit_on_all_features(strength):
    features, labels = blobs()
    train, test = halves(labels)
    scaled = standardised(features, train)
    full = LogisticRegression(C=strength, tol=1e-9, max_iter=9999).fit(scaled[train], labels[train])
    answer = probes.classify(task_of(features, labels, train, test), "softmax", [strength])
    np.testing.assert_allclose(np.exp(answer.scores), full.predict_proba(scaled[test]), atol=2e-3)


@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
def test_svm_equals_the_fit_on_all_features(strength):
    features, labels = blobs()
    train, test = halves(labels)
    scaled = standardised(features, train)
    full = LinearSVC(C=strength, tol=1e-9, dual=False).fit(scaled[train], labels[train])
    answer = probes.classify(task_of(features, labels, train, test), "svm", [strength])
    np.testing.assert_allclose(answer.scores, full.decision_function(scaled[test]), atol=5e-3)


def test_float16_files_serve(tmp_path):
    features, labels = blobs(size=5000)
    stored = np.lib.format.open_memmap(tmp_path / "f.npy", "w+", np.float16, features.shape)
    stored[:] = features
    products = gram(stored)
    exact = stored.astype(np.float64) - stored.astype(np.float64).mean(0)
    assert products.dtype == torch.float32
    np.testing.assert_allclose(products, exact @ exact.T, atol=1e-5 * np.abs(exact @ exact.T).max())
    train, test = halves(labels)
    single, double = (standardise(gram(stored, dtype=kind), train, test) for kind in (torch.float32, torch.float64))
    np.testing.assert_allclose(single.test, double.test, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 5, 48, 100])
def test_the_blocks_of_products_do_not_matter(rows, monkeypatch):
    features, _ = blobs()
    monkeypatch.setattr("zfrepro.core.gram.ROWS", rows)
    monkeypatch.setattr("zfrepro.core.gram.COLUMNS", 7)
    centred = features - features.mean(0)
    np.testing.assert_allclose(gram(features, dtype=torch.float64), centred @ centred.T, atol=1e-10)


def test_the_pictures_of_other_folds_do_not_matter():
    features, labels = blobs()
    train, test = halves(labels)
    selected = np.concatenate([train, test[:5]])
    from_all = standardise(gram(features, dtype=torch.float64), train, test[:5])
    places = np.arange(len(train)), len(train) + np.arange(5)
    from_selected = standardise(gram(features[selected], dtype=torch.float64), *places)
    np.testing.assert_allclose(from_all.test, from_selected.test, atol=1e-10)


@pytest.mark.parametrize("kind", ["softmax", "svm"])
def test_test_labels_are_not_read_and_answers_repeat(kind):
    features, labels = blobs(distance=0.3)
    train, test = halves(labels)
    first = probes.classify(task_of(features, labels, train, test), kind)
    hidden = labels.copy()
    hidden[test] = 99
    two = probes.classify(task_of(features, hidden, train, test), kind)
    assert first.strength == two.strength
    np.testing.assert_array_equal(first.scores, two.scores)
    np.testing.assert_array_equal(first.predicted, first.classes[first.scores.argmax(1)])


@pytest.mark.parametrize("kind", ["softmax", "svm"])
def test_a_strength_is_chosen_that_suits(kind):
    features, labels = blobs(classes=2, each=20, size=300, distance=0.5)
    train = np.concatenate([np.arange(20), 20 + np.arange(8)])  # weights that cannot grow name the larger class always
    task = task_of(features, labels, train, 28 + np.arange(12))
    assert probes.classify(task, kind, [1e-6, 10.0]).strength == 10.0
    far, labels = blobs(distance=5)
    train, test = halves(labels)
    easy = probes.task(gram(far), labels, train, test)
    assert probes.classify(easy, kind, [1e3, 1.0, 1e2]).strength == 1.0  # all are right: the most regularised


def test_inner_folds_are_stratified_and_fewer_where_a_class_is_small():
    features, labels = blobs(classes=3, each=9)
    products = gram(features)
    parts = probes.task(products, labels, np.arange(27), np.arange(3)).parts()
    assert [np.bincount(asked).tolist() for _, _, asked in parts] == [[3, 3, 3]] * 3
    two = probes.task(products, labels, np.array([0, 1, 2, 9, 10, 11, 18, 19]), np.arange(3))
    assert len(two.inner) == 2
    single = probes.task(products, labels, np.array([0, 9, 10, 18]), np.arange(3))
    assert single.inner == ()
    assert probes.classify(single, "softmax", [4.0, 1.0, 2.0]).strength == 2.0  # the middle one
    assert probes.classify(single, "svm", [1.0, 4.0]).strength == 1.0


def test_mean_class_accuracy_on_unbalanced_classes():
    features, labels = blobs(classes=3, each=60, distance=3)
    selected = np.concatenate([np.arange(60), 60 + np.arange(12), 120 + np.arange(9)])
    features, labels = features[selected], labels[selected]
    features[-3:] = features[:3]  # three of the third class look like the first
    train, test = halves(labels, 6)
    for kind in ("softmax", "svm"):
        predicted = probes.classify(task_of(features, labels, train, test), kind).predicted
        assert np.bincount(labels[test]).tolist() == [54, 6, 3]
        assert mean_class_accuracy(predicted, labels[test]) == pytest.approx(200 / 3)  # 100, 100 and 0 %; of all 95 %


def test_two_classes_have_two_scores():
    features, labels = blobs(classes=2, distance=3)
    train, test = halves(labels)
    answer = probes.classify(task_of(features, labels + 5, train, test), "svm")
    assert (answer.scores.shape, answer.classes.tolist()) == ((8, 2), [5, 6])
    assert answer.predicted.tolist() == (labels[test] + 5).tolist()


def test_equal_images_still_get_a_prediction():
    labels = np.repeat([0, 1], 6)
    task = probes.task(gram(np.ones((12, 5), np.float32)), labels, np.arange(0, 12, 2), np.arange(1, 12, 2))
    assert not task.products().train.any()
    assert probes.classify(task, "softmax").predicted.shape == (6,)


def several(count=60, seed=3):
    """Features and presence of three classes, independent of one another; the third nobody shows."""
    generator = np.random.default_rng(seed)
    presence = np.stack([generator.random(count) < 0.4, generator.random(count) < 0.3, np.zeros(count)], 1).astype(int)
    features = generator.normal(size=(count, 100))
    features[:, :2] += 6 * presence[:, :2]
    return features, presence


def test_one_sigmoid_a_class_equals_the_fit_on_all_features():
    features, presence = several()
    presence[:4, 0] = -1  # those do not train class 0
    train, test = np.arange(40), np.arange(40, 60)
    task = task_of(features, presence, train, test)
    odds, strength = probes.sigmoids(task, [3.0])
    scaled, used = standardised(features, train), np.arange(4, 40)
    full = LogisticRegression(C=3.0, tol=1e-9, max_iter=9999).fit(scaled[used], presence[used, 0])
    np.testing.assert_allclose(odds[:, 0], full.decision_function(scaled[test]), atol=0.02)
    assert (strength, odds.shape) == (3.0, (20, 3))
    assert not odds[:, 2].any()  # nobody shows it


def test_one_sigmoid_a_class_finds_both_and_does_not_read_the_test_pictures():
    features, presence = several()
    train, test = np.arange(40), np.arange(40, 60)
    odds, strength = probes.sigmoids(task_of(features, presence, train, test))
    precisions = probes.of_classes(odds, presence[test])
    assert (precisions[:2] > 0.9).all()
    assert np.isnan(precisions[2])
    hidden = presence.copy()
    hidden[test] = -1
    again, same = probes.sigmoids(task_of(features, hidden, train, test))
    assert strength == same
    np.testing.assert_array_equal(odds, again)
