"""Newton's method on inner products: against the minimum found on the weights themselves in float64, and on a GPU without one."""

import warnings

import numpy as np
import pytest
import torch
from helpers import pretend_cuda
from scipy.optimize import minimize

from zfrepro.core import newton, probes
from zfrepro.core.gram import gram

LOSSES = {"softmax": newton.Softmax, "sigmoids": newton.Logistic, "svm": newton.SquaredHinge}


def images(count=30, classes=3, size=8, seed=0):
    """float64 (N, D), mean 0 and mean squared length 1; int (N,)"""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    features = generator.normal(size=(classes, size))[labels] + generator.normal(size=(count, size))
    features -= features.mean(0)
    return features / np.sqrt((features**2).sum(1).mean()), labels


def loss_of(kind, labels, strength, dtype=torch.float32):
    shown = torch.nn.functional.one_hot(torch.from_numpy(labels)).to(dtype)
    return LOSSES[kind](shown if kind == "softmax" else 2 * shown - 1, strength)


def objective(kind, values, features, labels, strength):
    """By the formulas of scikit-learn and LIBLINEAR, of weights (D, C) and intercepts (C,) in one vector."""
    size, classes = features.shape[1], labels.max() + 1
    weights, intercepts = values[: size * classes].reshape(size, classes), values[size * classes :]
    scores, shown = features @ weights + intercepts, labels[:, None] == np.arange(classes)
    penalty = (weights**2).sum() / 2
    if kind == "softmax":
        return penalty + strength * (np.log(np.exp(scores).sum(1)) - scores[shown]).sum()
    margins = np.where(shown, scores, -scores)
    if kind == "sigmoids":
        return penalty + strength * np.log1p(np.exp(-margins)).sum()
    return penalty + (intercepts**2).sum() / 2 + strength * (np.maximum(0, 1 - margins) ** 2).sum()


@pytest.mark.parametrize("strength", [0.1, 10.0])
@pytest.mark.parametrize("kind", list(LOSSES))
def test_scores_are_those_of_the_minimum(kind, strength):
    features, labels = images()
    count = features.shape[1] * 3
    best = minimize(
        lambda values: objective(kind, values, features, labels, strength), np.zeros(count + 3), options={"gtol": 1e-7}
    ).x
    exact = features @ best[:count].reshape(-1, 3) + best[count:]
    products = torch.from_numpy(features @ features.T).float()
    found = newton.fit(products, loss_of(kind, labels, strength), 1e-3)
    scores = found.scores().numpy()
    if kind == "softmax":  # the same number added to all intercepts changes nothing
        scores, exact = (values - values.mean(1, keepdims=True) for values in (scores, exact))
    np.testing.assert_allclose(scores, exact, atol=3e-3)
    np.testing.assert_allclose(found.scores(products), found.scores(), atol=1e-4)


@pytest.mark.parametrize("kind", list(LOSSES))
@pytest.mark.parametrize("tolerance", [1.0, 0.1, 0.01])
def test_weights_are_no_further_from_the_best_than_the_tolerance(kind, tolerance):
    features, labels = images(seed=1)
    products = torch.from_numpy(features @ features.T)
    loss = loss_of(kind, labels, 3.0, torch.float64)
    rough, best = (newton.fit(products, loss, limit) for limit in (tolerance, 1e-9))
    difference = rough.coefficients - best.coefficients
    assert float((difference * (products @ difference)).sum(0).max()) ** 0.5 <= tolerance


@pytest.mark.parametrize("kind", list(LOSSES))
def test_a_start_changes_the_way_not_the_end(kind):
    features, labels = images(seed=2)
    products = torch.from_numpy(features @ features.T)
    losses = [loss_of(kind, labels, strength, torch.float64) for strength in (0.3, 3.0, 300.0)]
    *_, last = newton.path(products, losses, 1e-8)
    scores, again = last.scores(), newton.fit(products, losses[-1], 1e-8).scores()
    if kind == "softmax":  # the same number added to all intercepts changes nothing
        scores, again = (values - values.mean(1, keepdim=True) for values in (scores, again))
    np.testing.assert_allclose(scores, again, atol=1e-6)


@pytest.mark.parametrize(("kind", "strength", "limit"), [("softmax", 300.0, 1e-3), ("svm", 10.0, 0.02)])
def test_fewer_features_than_images_do_no_harm(kind, strength, limit):
    """What the inner products do not see of the coefficients must not grow."""
    features, labels = images(count=300, classes=10, size=20, seed=6)
    products = torch.from_numpy(features @ features.T)
    exact = newton.fit(products, loss_of(kind, labels, strength, torch.float64), 1e-5).scores()
    found = newton.fit(products.float(), loss_of(kind, labels, strength), 0.01)
    scores = found.scores(products.float())
    if kind == "softmax":
        scores, exact = scores.softmax(1), exact.softmax(1)
    np.testing.assert_allclose(scores, exact, atol=limit)
    assert float(found.coefficients.abs().max()) < 10 * strength


def test_a_class_that_is_done_early_leaves_the_others_as_they_are():
    features, labels = images(count=40, classes=4, seed=3)
    products = torch.from_numpy(features @ features.T)
    together = loss_of("svm", labels, 10.0, torch.float64)
    found = newton.fit(products, together, 1e-8)
    for column in range(4):
        alone = newton.fit(products, together.columns(torch.tensor([column])), 1e-8)
        np.testing.assert_allclose(found.scores()[:, column], alone.scores()[:, 0], atol=1e-6)


def test_an_image_that_does_not_count_changes_nothing():
    features, labels = images(seed=4)
    loss = loss_of("sigmoids", labels, 3.0, torch.float64)
    loss.targets[-1] = 0
    products = torch.from_numpy(features @ features.T)
    found = newton.fit(products, loss, 1e-9)
    without = newton.fit(products[:-1, :-1], loss_of("sigmoids", labels[:-1], 3.0, torch.float64), 1e-9)
    np.testing.assert_allclose(found.scores()[:-1], without.scores(), atol=1e-7)


def test_a_tolerance_below_rounding_ends_all_the_same():
    features, labels = images(seed=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        newton.fit(torch.from_numpy(features @ features.T).float(), loss_of("softmax", labels, 300.0), 1e-12)


def test_a_fit_that_is_not_done_says_so(monkeypatch):
    features, labels = images()
    monkeypatch.setattr(newton, "STEPS", 1)
    with pytest.warns(UserWarning, match="3 classes: the gradient is still"):
        newton.fit(torch.from_numpy(features @ features.T).float(), loss_of("svm", labels, 10.0), 1e-3)


@pytest.mark.parametrize("kind", list(LOSSES))
def test_a_gpu_gives_what_the_cpu_does(kind):
    """Pretended, unless TEST_ON_GPU is set: mixed devices raise."""
    features, labels = images(count=40, classes=4, seed=7)
    loss = loss_of(kind, labels, 10.0)
    products = torch.from_numpy(features @ features.T).float()
    expected = newton.fit(products, loss, 0.01).scores()
    with pretend_cuda.device() as gpu:
        on_gpu = type(loss)(loss.targets.to("cuda"), loss.strength)
        found = newton.fit(products.to("cuda"), on_gpu, 0.01)
        assert found.coefficients.device.type == "cuda"
        assert gpu.operations > 0
        np.testing.assert_allclose(found.scores().cpu(), expected, atol=max(gpu.atol, 1e-3))


@pytest.mark.parametrize("kind", ["softmax", "svm", "sigmoids"])
def test_probes_on_a_gpu_answer_as_on_the_cpu(kind):
    features, labels = images(count=40, classes=4, seed=8)
    train, test = np.arange(28), np.arange(28, 40)

    def scores(device):
        if kind == "sigmoids":
            presence = (labels[:, None] == np.arange(4)).astype(np.int8)
            task = probes.task(gram(features.astype(np.float16), device), presence, train, test, 2)
            return probes.sigmoids(task, (1.0, 10.0))[0]
        task = probes.task(gram(features.astype(np.float16), device), labels, train, test, 2)
        return probes.classify(task, kind, (1.0, 10.0)).scores

    expected = scores("cpu")
    with pretend_cuda.device() as gpu:
        np.testing.assert_allclose(scores("cuda"), expected, atol=max(gpu.atol, 1e-2))
        assert gpu.operations > 0


def test_a_strong_svm_takes_few_of_newtons_steps(monkeypatch):
    """Steps that end early, at a fifth of the residual, overshoot: 16 are taken for 7."""
    features, labels = images(count=300, classes=20, size=400)
    products = torch.from_numpy(features @ features.T).float()
    steps = []

    def counted(*arguments, direction=newton._direction):
        steps.append(len(arguments[2].intercepts))  # classes that are not done
        return direction(*arguments)

    monkeypatch.setattr(newton, "_direction", counted)
    newton.fit(products, loss_of("svm", labels, 10.0), 0.01)
    assert 3 < len(steps) <= 12
