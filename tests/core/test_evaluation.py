"""Cross-entropy by hand; ten views are the mean of ten single views; a number that is not finite is never used."""

import numpy as np
import pytest
import torch
from torch import nn

from zfrepro.core import crops, evaluation
from zfrepro.core.loading import ArrayImages


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


def test_a_view_in_two_sets_is_computed_once(monkeypatch):
    images = np.random.default_rng(1).integers(0, 255, (3, 12, 12, 3), dtype=np.uint8)
    subtract = crops.MeanSubtraction(images.mean(0).astype(np.float32), torch.device("cpu"))
    net, passes = nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), []
    sets = [[crops.centre_view(12, 8)], crops.ten_views(12, 8)]
    separately = [evaluation.probabilities(net, images, subtract, 8, views) for views in sets]
    scores = evaluation.nets.scores
    monkeypatch.setattr(evaluation.nets, "scores", lambda *arguments: passes.append(1) or scores(*arguments))
    together = evaluation.averaged_probabilities(net, images, subtract, 8, sets)
    assert all(np.array_equal(shared, separate) for shared, separate in zip(together, separately, strict=True))
    assert len(passes) == 10


def test_averages_are_added_view_by_view_in_single_precision():
    """The same bits as numpy's sums over whole passes, one view after the other; every image is read once for all views."""
    images = np.random.default_rng(1).integers(0, 255, (7, 12, 12, 3), dtype=np.uint8)
    subtract = crops.MeanSubtraction(images.mean(0).astype(np.float32), torch.device("cpu"))
    net, views = nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), crops.ten_views(12, 8)
    with torch.no_grad():
        net[1].weight.mul_(0.05)
    reads = []

    class Watched(ArrayImages):
        def read(self, indices, out):
            reads.extend(indices.tolist())
            super().read(indices, out)

    [averages] = evaluation.averaged_probabilities(net, Watched(images), subtract, 8, [views], batch=3)
    expected = np.zeros((7, 4), dtype=np.float32)
    for view in views:
        expected += evaluation.probabilities(net, images, subtract, 8, [view], batch=3) / 10
    assert averages.dtype == np.float32
    assert np.array_equal(averages, expected)
    assert sorted(reads) == list(range(7))


def test_a_network_whose_scores_are_not_finite_predicts_nothing():
    images = np.random.default_rng(1).integers(0, 255, (3, 12, 12, 3), dtype=np.uint8)
    subtract = crops.MeanSubtraction(images.mean(0).astype(np.float32), torch.device("cpu"))
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    with torch.no_grad():
        net[1].bias[2] = float("nan")
    with pytest.raises(FloatingPointError, match="12 of 12 class probabilities are not finite"):
        evaluation.probabilities(net, images, subtract, 8, crops.ten_views(12, 8))
