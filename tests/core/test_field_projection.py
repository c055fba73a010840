"""Projections through the receptive field alone equal those of the whole picture."""

import pytest
import torch
from helpers.random_networks import CHAINS, random_case
from torch import nn

from zfrepro.core.architecture import Network
from zfrepro.core.deconvnet import project, trace
from zfrepro.core.field_projection import project_fields
from zfrepro.core.nets import build


def assert_same_as_whole(net, pictures, name, units):
    """Every unit's field, laid on an empty picture, is its projection through the whole picture."""
    whole = project(trace(net, pictures, [name]), name, units)
    picture, maps, *places = units.T
    fields, starts = project_fields(net, name, pictures[picture], maps, torch.stack(places, dim=1))
    (high, wide), (height, width) = fields.shape[2:], pictures.shape[2:]
    for field, start, expected in zip(fields, starts, whole, strict=True):
        laid = torch.zeros(3, height + 2 * high, width + 2 * wide, dtype=fields.dtype)
        top, left = (start + torch.tensor([high, wide])).tolist()
        laid[:, top : top + high, left : left + wide] = field
        inside = laid[:, high : high + height, wide : wide + width]
        assert (inside - expected).norm() <= 1e-12 * expected.norm()
        assert laid.count_nonzero() == inside.count_nonzero()  # nothing falls outside the picture
        assert expected.norm() > 0


@pytest.mark.parametrize("base", ["baseline", "improved"])
@pytest.mark.parametrize(("layer", "size"), [(1, 68), (2, 75), (3, 83), (4, 90), (5, 97), (5, 150)])
def test_paper_networks(base, layer, size):
    net = build(Network(base=base), size, classes=5, width=1 / 12)
    net, pictures, units = random_case(net, size, f"relu{layer}", seed=size + layer, units=40)
    assert_same_as_whole(net, pictures, f"relu{layer}", units)


@pytest.mark.parametrize("name", ["pool1", "norm1", "conv2", "pool2", "conv5", "pool5"])
def test_any_child_of_a_network(name):
    net, pictures, units = random_case(build(Network(base="improved"), 97, 5, 1 / 12), 97, name, seed=7, units=40)
    assert_same_as_whole(net, pictures, name, units)


@pytest.mark.parametrize("chain", range(len(CHAINS)))
@pytest.mark.parametrize("size", [23, 26])
def test_other_chains(chain, size):
    net = nn.Sequential(*CHAINS[chain])
    net, pictures, units = random_case(net, size, str(len(net) - 1), seed=chain, units=9)
    assert_same_as_whole(net, pictures, str(len(net) - 1), units)


def test_alone_or_together_and_twice_the_same_bits():
    net, pictures, units = random_case(build(Network(base="improved"), 97, 5, 1 / 12), 97, "relu4", seed=1, units=8)
    picture, maps, *places = units.T
    places = torch.stack(places, dim=1)
    first, second = (project_fields(net, "relu4", pictures[picture], maps, places)[0] for _ in range(2))
    assert torch.equal(first, second)
    for u in range(8):
        (alone,), _ = project_fields(net, "relu4", pictures[picture[u : u + 1]], maps[u : u + 1], places[u : u + 1])
        torch.testing.assert_close(alone, first[u], rtol=1e-12, atol=1e-12 * alone.abs().max().item())


def test_the_pictures_stay_as_they_were():
    net = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 2, 3), nn.ReLU()).double()
    pictures = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    before = pictures.clone()
    project_fields(net, "2", pictures, torch.tensor([0, 1]), torch.tensor([[0, 0], [3, 6]]))
    assert pictures.equal(before)


def test_a_child_without_a_way_down_is_named():
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AvgPool2d(2), nn.ReLU())
    with pytest.raises(ValueError, match="layer 1: AvgPool2d has no way down"):
        project_fields(net, "2", torch.zeros(1, 3, 4, 4), torch.tensor([0]), torch.tensor([[0, 0]]))
