"""Tiles: projections and patches show the same window, and nothing of a projection is cut away."""

import numpy as np
import pytest
import torch
from helpers.whole_image_deconvnet import project, trace
from torch import nn

from zfrepro.core.architecture import Network
from zfrepro.core.nets import build
from zfrepro.core.receptive_field import receptive_field
from zfrepro.core.tiles import image_projections, patch_tiles, projection_tiles, strongest_positions, tile_corners

SIZE = 112


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return build(Network(base="improved"), SIZE, 5, 1 / 12).double().eval()


@pytest.fixture(scope="module")
def pictures():
    return torch.randn(4, 3, SIZE, SIZE, dtype=torch.float64) * 50


@pytest.mark.parametrize(("name", "side"), [("relu1", 7), ("relu2", 27), ("relu3", 75), ("relu5", SIZE)])
def test_tiles_hold_the_whole_projection(net, pictures, name, side):
    maps, places = strongest_positions(net, name, pictures, 2)
    tiles = projection_tiles(net, name, pictures, maps, places)
    units = torch.stack([torch.arange(4), maps, *places.unbind(1)], dim=1)
    full = project(trace(net, pictures, [name]), name, units)
    assert tiles.shape == (4, side, side, 3)
    assert np.abs(tiles).sum() > 0
    np.testing.assert_allclose(np.abs(tiles).sum((1, 2, 3)), full.abs().sum((1, 2, 3)).numpy(), rtol=1e-12)


def test_strongest_places_are_the_maxima(net, pictures):
    maps, places = strongest_positions(net, "relu2", pictures, 5)
    outputs = trace(net, pictures, ["relu2"]).outputs["relu2"]
    assert maps.tolist() == [5] * 4
    assert [outputs[i, 5][tuple(place)] for i, place in enumerate(places.tolist())] == outputs[:, 5].amax(
        (1, 2)
    ).tolist()


def test_patches_are_cut_where_the_unit_looks(net):
    pictures = np.random.default_rng(0).integers(0, 100, (2, SIZE, SIZE, 3), dtype=np.uint8)
    patches = patch_tiles(net, "relu3", pictures, torch.tensor([[0, 2], [1, 1]]))
    field = receptive_field(net, "relu3")
    assert field.corner((0, 2), SIZE) == (0, 16)  # the field starts at -16: the tile is moved inside
    assert tile_corners(net, "relu3", torch.tensor([[0, 2], [1, 1]]), SIZE) == [(0, 16), (0, 0)]
    np.testing.assert_array_equal(patches[0], pictures[0, :75, 16:91])
    np.testing.assert_array_equal(patches[1], pictures[1, :75, :75])


def test_a_field_outside_the_image_leaves_an_empty_tile():
    net = nn.Sequential(nn.Conv2d(3, 1, 2, padding=3)).double()  # unit 0 sees rows -3 and -2, unit 3 rows 0 and 1
    with torch.no_grad():
        net[0].weight.fill_(1)
        net[0].bias.zero_()
    images, places = torch.ones(2, 3, 5, 5, dtype=torch.float64), torch.tensor([[0, 0], [3, 3]])
    tiles, full = (cut(net, "0", images, torch.tensor([0, 0]), places) for cut in (projection_tiles, image_projections))
    assert (tiles.shape, full.shape) == ((2, 2, 2, 3), (2, 5, 5, 3))
    assert (tiles[0].any(), full[0].any()) == (False, False)
    assert tiles[1].tolist() == [[[12.0] * 3] * 2] * 2  # three colours of four pixels
    assert full[1].sum() == tiles[1].sum()


def test_a_field_outside_the_image_is_a_patch_at_the_border():
    images = np.arange(75, dtype=np.uint8).reshape(1, 5, 5, 3)
    net = nn.Sequential(nn.Conv2d(3, 1, 2, padding=3))
    for place, corner in ((0, 0), (9, 3)):
        patch = patch_tiles(net, "0", images, torch.tensor([[place, place]]))
        np.testing.assert_array_equal(patch[0], images[0, corner : corner + 2, corner : corner + 2])
