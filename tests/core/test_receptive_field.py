"""Receptive fields: the paper's sizes, the pixels that really matter, and tiles at borders."""

import numpy as np
import pytest
import torch
from torch import nn

from zfrepro.core.architecture import Network
from zfrepro.core.nets import CeilConv2d, build, layer_outputs
from zfrepro.core.receptive_field import ReceptiveField, axes, cut_tile, receptive_field


def test_figure_2_sizes():
    with torch.device("meta"):
        net = build(Network(base="improved"))
    fields = [receptive_field(net, f"relu{layer}") for layer in range(1, 6)]
    assert [field.size for field in fields] == [7, 27, 75, 107, 139]
    assert [field.jump for field in fields] == [2, 8, 16, 16, 16]
    assert [field.start for field in fields] == [0, 0, -16, -32, -48]
    with pytest.raises(ValueError, match="relu9"):
        receptive_field(net, "relu9")


@pytest.mark.parametrize(
    ("base", "layer", "place"), [("improved", 2, (5, 3)), ("improved", 3, (2, 0)), ("baseline", 2, (0, 4))]
)
def test_the_gradient_reaches_the_window_and_nothing_else(base, layer, place):
    size, name = 112, f"relu{layer}"
    net = build(Network(base=base), size, 5, 1 / 12).double()
    for pool in [n for n, _ in net.named_children() if n.startswith("pool")]:
        setattr(net, pool, nn.AvgPool2d(3, 2, ceil_mode=True))  # a max would hide most of its window
    with torch.no_grad():
        for weight in net.parameters():
            weight.abs_()  # nothing cancels and no ReLU is shut
    picture = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    layer_outputs(net, picture, {name: 0})[0][0, 0][place].backward()
    rows, columns = picture.grad[0, 0].nonzero().unbind(1)
    field = receptive_field(build(Network(base=base), size, 5, 1 / 12), name)
    top, left = (field.start + index * field.jump for index in place)
    assert (rows.min(), columns.min()) == (max(0, top), max(0, left))
    assert (rows.max() + 1, columns.max() + 1) == (min(size, top + field.size), min(size, left + field.size))


@pytest.mark.parametrize(("place", "corner"), [((0, 1), (0, 3)), ((1, 0), (3, 0)), ((9, 2), (7, 7)), ((2, 1), (7, 3))])
def test_a_tile_at_the_border_is_moved_inside(place, corner):
    field = ReceptiveField(size=5, jump=4, start=-1)  # of 12 pixels: tiles begin at 7 at the latest
    assert field.corner(place, 12) == corner


def test_a_tile_is_cut_from_its_corner():
    picture = np.arange(1, 10, dtype=np.uint8).reshape(3, 3, 1)  # 123 / 456 / 789
    assert cut_tile(picture, (1, 0), 2)[:, :, 0].tolist() == [[4, 5], [7, 8]]


def test_a_field_larger_than_the_picture_shows_all_of_it():
    field = ReceptiveField(size=75, jump=16, start=-16)
    assert (field.tile_side(64), field.corner((3, 1), 64)) == (64, (0, 0))
    assert (field.tile_side(75), field.corner((3, 1), 75)) == (75, (0, 0))


def test_oblong_windows_are_refused():
    with pytest.raises(ValueError, match="square windows"):
        receptive_field(nn.Sequential(nn.Conv2d(3, 2, (3, 5))), "0")


WINDOWS = [
    nn.MaxPool2d(2, 3, ceil_mode=True),
    nn.MaxPool2d(1, 4, ceil_mode=True),
    nn.MaxPool2d(4, 3, 2, ceil_mode=True),
    nn.MaxPool2d(3, 2, 1, dilation=2, ceil_mode=True),
    nn.MaxPool2d(3, 2, 1),
    nn.Conv2d(3, 3, 3, 2, dilation=2),
    CeilConv2d(3, 3, 3, 4),
    CeilConv2d(3, 3, 3, 4, 1, dilation=2),
]


@pytest.mark.parametrize("child", WINDOWS, ids=str)
def test_a_map_has_as_many_places_as_torch_gives_it(child):
    for size in range(6, 20):
        counts = tuple(axis.count(size) for axis in axes(child))
        assert counts == tuple(child(torch.zeros(1, 3, size, size)).shape[2:]), size
