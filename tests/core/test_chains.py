"""Which networks are chains, and what is made of them."""

import pytest
import torch
from helpers.random_torchvision import random_model
from torch import nn
from torch.nn import functional

from zfrepro.core.architecture import Network
from zfrepro.core.chains import as_chain
from zfrepro.core.nets import build


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "vgg13_bn"])
def test_torchvision_s_chains_give_the_same_scores(name):
    model = random_model(name)
    chain = as_chain(model)
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        assert torch.equal(chain.net(images), model(images))
    assert chain.child("features.3") == "features_3"
    assert chain.child("features") is None
    assert chain.net.features_0 is model.features[0]
    assert not any(child.inplace for child in chain.net if isinstance(child, nn.ReLU))


def test_our_own_networks_keep_their_names():
    net = build(Network(base="improved"), 64, 5, 1 / 12).eval()
    chain = as_chain(net)
    assert [name for name, _ in chain.net.named_children()] == [name for name, _ in net.named_children()]
    assert not chain.net.training


class Reusing(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.pool = nn.Conv2d(3, 3, 3), nn.ReLU(True), nn.MaxPool2d(2)

    def forward(self, images):
        maps = self.pool(self.relu(self.conv(images)))
        maps = functional.relu(self.pool(self.relu(self.conv(maps))), inplace=True)
        return torch.flatten(maps, 1)


def test_a_module_that_runs_twice_stands_there_twice():
    model = Reusing().eval()
    chain = as_chain(model)
    names = [name for name, _ in chain.net.named_children()]
    assert names == ["conv", "relu", "pool", "conv_2", "relu_2", "pool_2", "function6", "function7"]
    assert (chain.child("relu"), chain.child("relu:1"), chain.child("relu:3")) == ("relu_2", "relu", None)
    images = torch.randn(2, 3, 12, 12)
    assert torch.equal(chain.net(images), model(images))


def with_forward(forward):
    class Other(Reusing):
        pass

    Other.forward = forward
    return Other().eval()


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, images: self.conv(images) + self.relu(images[:, :, 1:-1, 1:-1]),
        lambda self, images: torch.cat([self.conv(images)] * 2),
        lambda self, images: self.conv(images) if images.sum() > 0 else images,
        lambda self, images: (self.conv(images), 1),
        lambda self, images: self.conv(images).sigmoid(),
        lambda self, images: functional.conv2d(images, self.conv.weight),
        lambda self, images: self.conv(images) * 2,
    ],
)
def test_what_is_no_chain(forward):
    assert as_chain(with_forward(forward)) is None


def test_hooks_would_be_lost():
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU())
    model[0].register_forward_hook(lambda module, inputs, output: output * 2)
    assert as_chain(model) is None


def test_the_mode_of_a_part_is_left_alone():
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Dropout()).eval()
    model[1].train()
    assert as_chain(model).net[1] is model[1]
    assert model[1].training
