"""Transformed views against copies and rot90; distances of unit vectors against cases worked out by hand."""

import math

import pytest
import torch

from zfrepro.core import invariance
from zfrepro.core.architecture import Network
from zfrepro.core.invariance import BLACK, MIRRORED
from zfrepro.core.nets import build


@pytest.fixture
def picture():
    return torch.randint(0, 256, (3, 12, 12), generator=torch.Generator().manual_seed(0)).float()


def same(view, expected):
    """Pixels, 0-255, but for the rounding of double precision where a pixel is 0."""
    torch.testing.assert_close(view, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "moves", [invariance.shifts([0.0]), invariance.scales([1.0]), invariance.turns([0.0]), invariance.turns([360.0])]
)
@pytest.mark.parametrize("size", [12, 8, 7])
def test_nothing_done_is_the_centre_view(picture, moves, size):
    first = (12 - size) // 2
    (view,) = invariance.views(picture, size, moves, MIRRORED)
    same(view, picture[:, first : first + size, first : first + size])


def test_a_whole_shift_is_a_copy(picture):
    down, up = invariance.views(picture, 8, invariance.shifts([2.0, -1.0]), MIRRORED)
    same(down, picture[:, 4:12, 2:10])
    same(up, picture[:, 1:9, 2:10])


def test_beyond_the_border_stands_the_mirror_image(picture):
    (view,) = invariance.views(picture, 8, invariance.shifts([5.0]), MIRRORED)
    same(view[:, :5], picture[:, 7:12, 2:10])
    same(view[:, 5:], picture[:, [11, 10, 9], 2:10])


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("size", [12, 6])
def test_a_quarter_turn_is_rot90(picture, quarters, size):
    (view,) = invariance.views(picture, size, invariance.turns([90.0 * quarters]), BLACK)
    first = (12 - size) // 2
    expected = torch.rot90(picture, quarters, (1, 2))[:, first : first + size, first : first + size]
    same(view, expected)


def test_an_eighth_of_a_turn_has_black_corners(picture):
    (view,) = invariance.views(picture + 1, 12, invariance.turns([45.0]), BLACK)
    assert view[:, 0, 0].eq(0).all()
    assert view[:, 6, 6].gt(0).all()


def test_twice_as_large_shows_the_inner_half():
    ramp = torch.arange(12.0).expand(3, 12, 12)
    (view,) = invariance.views(ramp, 12, invariance.scales([2.0]), MIRRORED)
    torch.testing.assert_close(view[0, 3], 2.75 + 0.5 * torch.arange(12.0))  # middle 5.5, half a pixel a pixel


def test_each_map_counts_as_one_unit_vector():
    # two maps of two places: (3, 4) and (0, 2) become (0.6, 0.8) and (0, 1)
    features = torch.tensor([[[[3.0, 4.0]], [[0.0, 2.0]]]])
    torch.testing.assert_close(invariance.unit_maps(features), torch.tensor([[[0.6, 0.8], [0.0, 1.0]]]))
    other = torch.tensor([[[[30.0, 40.0]], [[5.0, 0.0]]], [[[0.0, 0.0]], [[0.0, 1.0]]]])
    # the first map alike, the second at a right angle: sqrt 2; a dead first map: 1
    torch.testing.assert_close(invariance.distances(other, features), torch.tensor([math.sqrt(2), 1.0]))


def test_a_full_layer_counts_as_one_map():
    features, other = torch.tensor([[3.0, 4.0, 0.0]]), torch.tensor([[0.0, 0.0, 7.0], [6.0, 8.0, 0.0]])
    torch.testing.assert_close(invariance.distances(other, features), torch.tensor([math.sqrt(2), 0.0]))


def test_layers_and_probabilities_are_the_network_s():
    torch.manual_seed(0)
    net = build(Network(base="improved"), 64, classes=6, width=1 / 12).double().eval()
    inputs = 50 * torch.randn(3, 3, 64, 64, dtype=torch.float64)
    features, probabilities = invariance.features_and_probabilities(net, inputs, (1, 7))
    assert features[1].equal(net[:4](inputs))  # conv1 relu1 pool1 norm1
    torch.testing.assert_close(features[7], net[:-1](inputs))
    torch.testing.assert_close(probabilities, net(inputs).softmax(1))
