"""The library on a pretended GPU: results stay on the network's device and are those of a CPU."""

import pytest
import torch
from helpers import pretend_cuda
from torch import nn
from torch.nn import functional

from zfrepro.analysis import project
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
            result = project(net.to(device).eval(), images, layer, 1, positions)
            tensors = [value for value in vars(result).values() if isinstance(value, torch.Tensor)]
            assert {tensor.device.type for tensor in tensors} == {device}
            results.append([tensor.cpu() for tensor in tensors])
        assert gpu.operations > 0
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=gpu.rtol, atol=gpu.atol)
