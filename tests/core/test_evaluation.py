"""Errors counted by hand; ten views are the mean of ten single views."""

import numpy as np
import pytest
import torch
from torch import nn

from zfrepro.core import crops, evaluation


def test_top_errors_by_hand():
    said = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2], [0.2, 0.3, 0.5]])
    labels = np.array([0, 1, 1, 0])
    # right; second; tied with class 0, which ranks first; third
    assert evaluation.top_error(said, labels, 1) == 75
    assert evaluation.top_error(said, labels, 2) == 25
    assert evaluation.top_error(said, labels, 3) == 0


def test_top_error_agrees_with_scikit_learn():
    from sklearn.metrics import top_k_accuracy_score

    random = np.random.default_rng(0)
    said, labels = random.random((200, 12)), random.integers(12, size=200)
    ours = evaluation.top_error(said, labels, 5)
    assert ours == pytest.approx(100 - 100 * top_k_accuracy_score(labels, said, k=5, labels=np.arange(12)))


def test_cross_entropy_by_hand():
    assert evaluation.cross_entropy(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 0])) == pytest.approx(
        np.log(8) / 2
    )


def test_ten_views_are_averaged_softmaxes():
    images = np.random.default_rng(1).integers(0, 255, (3, 12, 12, 3), dtype=np.uint8)
    subtract = crops.MeanSubtraction(images.mean(0).astype(np.float32), torch.device("cpu"))
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    with torch.no_grad():
        net[1].weight.mul_(0.05)
    views = crops.ten_views(12, 8)
    single = [evaluation.probabilities(net, images, subtract, 8, [view], batch=2) for view in views]
    assert not np.allclose(single[0], single[-1])
    together = evaluation.probabilities(net, images, subtract, 8, views, batch=2)
    assert np.allclose(together, np.mean(single, axis=0), atol=1e-6)
    assert np.allclose(together.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_probability_that_is_not_finite_is_never_counted(value):
    """NaN compares as false with everything, so its image would count as classified correctly."""
    scores = np.array([[0.5, 0.5], [value, 0.5], [0.1, 0.9]])
    for count in (
        lambda: evaluation.top_error(scores, np.zeros(3, int), 1),
        lambda: evaluation.cross_entropy(scores, np.zeros(3, int)),
    ):
        with pytest.raises(FloatingPointError, match="probabilities of 1 of 3 images are not finite"):
            count()


def test_a_network_whose_scores_are_not_finite_predicts_nothing():
    images = np.random.default_rng(1).integers(0, 255, (3, 12, 12, 3), dtype=np.uint8)
    subtract = crops.MeanSubtraction(images.mean(0).astype(np.float32), torch.device("cpu"))
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    with torch.no_grad():
        net[1].bias[2] = float("nan")
    with pytest.raises(FloatingPointError, match="probabilities of 3 of 3 images are not finite"):
        evaluation.probabilities(net, images, subtract, 8, crops.ten_views(12, 8))
