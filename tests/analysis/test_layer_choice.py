"""Layers worth showing: the last rectified one at each resolution that has a deconvnet."""

import pytest
import torch
from helpers.random_torchvision import random_model
from torch import nn

from zfrepro.analysis import choose_layers

IMAGES = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5


def block(inputs, outputs, rectifier=nn.ReLU):
    return [nn.Conv2d(inputs, outputs, 3, padding=1), rectifier(), nn.MaxPool2d(2)]


def network(*layers):
    torch.manual_seed(0)
    return (
        nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 if layers else 3, 3)).double().eval()
    )


def chosen(model, **options):
    return choose_layers(model, IMAGES, **options)


def test_a_small_network_shows_all_its_rectified_layers():
    model = network(*block(3, 4), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
    choice = chosen(model)
    assert (choice.layers, choice.last, choice.refusal) == (("1", "4", "6"), "6", "")
    assert chosen(model, count=2).layers == ("1", "6")


def test_the_deepest_are_kept():
    model = network(*block(3, 4), *block(4, 4), *block(4, 4), *block(4, 4))
    assert chosen(model, count=3).layers == ("4", "7", "10")


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("alexnet", ("features.1", "features.4", "features.7", "features.9", "features.11")),
        ("resnet18", ("relu", "layer1.1.relu", "layer2.1.relu", "layer3.1.relu", "layer4.1.relu")),
    ],
)
def test_torchvisions_networks(name, layers):
    """As deep as 64 pixels let them: the last maps must have more than one pixel."""
    model = random_model(name)
    images = torch.rand(1, 3, 96, 96, dtype=torch.float64) - 0.5
    choice = choose_layers(model, images)
    assert (choice.layers, choice.last, choice.refusal) == (layers, layers[-1], "")


def test_layers_above_one_without_a_deconvnet_are_left_out_and_named():
    model = network(*block(3, 4), *block(4, 4, nn.SiLU), *block(4, 4))
    choice = chosen(model)
    assert (choice.layers, choice.last) == (("1",), "7")
    assert choice.refusal.startswith("layer 7: no deconvnet is defined below it: 4 (SiLU)")
    assert chosen(model, rectifier="pass").layers == ("1", "4", "7")


def test_without_rectified_maps_there_is_no_layer():
    model = network(*block(3, 4, nn.SiLU))
    choice = chosen(model)
    assert (choice.layers, choice.last) == ((), "1")
    assert "1 (SiLU)" in choice.refusal
    assert not model.training
    assert chosen(network()).last is None


class Branches(nn.Module):
    """Rectified maps of 64, 32, and again 64 pixels; then a sum in place."""

    def __init__(self):
        super().__init__()
        self.convolution, self.pool = nn.Conv2d(3, 3, 3, padding=1), nn.MaxPool2d(2)
        self.first, self.second, self.third = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.up, self.block = nn.Upsample(scale_factor=2), Residual()

    def forward(self, images):
        maps = self.first(self.convolution(images))
        return self.block(self.third(maps - self.up(self.second(self.pool(maps)) - 0.1)))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1)

    def forward(self, maps):
        result = self.inner(maps)
        result += maps
        return result


def test_layers_stand_in_the_order_of_the_forward_pass_and_a_block_counts_with_its_sum():
    choice = chosen(Branches().double().eval(), count=2)
    assert (choice.layers, choice.last) == (("second", "third"), "block")
