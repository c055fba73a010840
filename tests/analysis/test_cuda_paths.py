"""The library on a pretended GPU: results are those of a CPU, and lie on the device that its documentation says."""

import dataclasses

import numpy as np
import pytest
import torch
from helpers import pretend_cuda
from torch import nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from zfrepro import analysis
from zfrepro.core import nets
from zfrepro.core.architecture import Network


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.pool = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 3, 1, 1), nn.MaxPool2d(3, 2)

    def forward(self, images):
        maps = functional.relu(self.first(images))
        return self.pool(functional.relu(maps + self.second(maps)))


def chain():
    net = nets.build(Network(base="improved"), 64, 3, 0.05, 0.0)
    nets.initialise(net, "he", 5)
    return net, "relu2"


def residual():
    torch.manual_seed(0)
    return Residual(), "pool"


@pytest.mark.parametrize("positions", ["strongest", "all", (1, 2)])
@pytest.mark.parametrize("build", [chain, residual])
def test_projections_are_those_of_a_cpu(build, positions):
    """Images are given on the CPU, as the documentation allows."""
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    results = []
    with pretend_cuda.device() as gpu:
        for device in ("cpu", "cuda"):
            net, layer = build()
            result = analysis.project(net.to(device).eval(), images, layer, 1, positions)
            tensors = [value for value in vars(result).values() if isinstance(value, torch.Tensor)]
            assert {tensor.device.type for tensor in tensors} == {device}
            results.append([tensor.cpu() for tensor in tensors])
        assert gpu.operations > 0
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=gpu.rtol, atol=gpu.atol)


class Classifier(Residual):
    """With class scores (B, 5)."""

    def forward(self, images):
        return super().forward(images).flatten(1).unfold(1, 100, 200)[:, :5].mean(2)


def of_occlusion(net, images):
    return analysis.occlusion_maps(net, images, "second", square=20, stride=22)


def of_invariance(net, images):
    return analysis.invariance(net, images, ["second"], shift=[0, 4], scale=[1, 1.5], rotation=[0, 30], size=56)


def of_correspondence(net, images):
    corners = torch.tensor([[[0, 0], [10, 10]], [[30, 30], [5, 40]]])
    return analysis.correspondence(net, images, corners, ["second"], square=16)


def of_top_activations(net, images):
    return analysis.top_activations(net, images, "second", 2, batch=1)


def leaves(result):
    """Tensors and numbers of results, dicts and lists."""
    if dataclasses.is_dataclass(result):
        return leaves(vars(result))
    parts = tree_leaves(result)
    return [leaf for part in parts for leaf in (leaves(part) if dataclasses.is_dataclass(part) else [part])]


@pytest.mark.parametrize("analyse", [of_occlusion, of_invariance, of_correspondence, of_top_activations])
def test_the_other_analyses_are_those_of_a_cpu(analyse):
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    results = []
    with pretend_cuda.device() as gpu:
        for device in ("cpu", "cuda"):
            torch.manual_seed(0)
            found = leaves(analyse(Classifier().to(device).eval(), images))
            found = [leaf for leaf in found if not isinstance(leaf, str | None)]  # notes tell of the device
            tensors = [leaf for leaf in found if isinstance(leaf, torch.Tensor)]
            expected = "cpu" if analyse is of_correspondence else device  # its small tables are for reading
            assert {tensor.device.type for tensor in tensors} == {expected}
            results.append([leaf.cpu() if isinstance(leaf, torch.Tensor) else leaf for leaf in found])
        assert gpu.operations > 0
    assert results[0]
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(np.asarray(theirs), np.asarray(ours), rtol=gpu.rtol, atol=gpu.atol)
