"""Occlusion maps against a plain loop over positions."""

import pytest
import torch
from torch import nn

from zfrepro.core.architecture import Network
from zfrepro.core.nets import build
from zfrepro.core.occlusion import answer, corners, occluded, overlapping, sensitivity, survey


def test_figure_7_geometry():
    places = corners(224, 50, 6)
    assert (len(places), places[0], places[-1]) == (30, 0, 174)
    assert corners(10, 4, 4) == [0, 4]  # the last two columns are never covered
    assert corners(10, 10, 3) == [0]
    with pytest.raises(ValueError, match="square of 11 pixels does not fit into 10"):
        corners(10, 11, 1)


def test_the_square_shows_the_grey_of_its_place():
    picture, grey = torch.zeros(1, 3, 3), torch.arange(1.0, 10).reshape(1, 3, 3)  # 123 / 456 / 789
    copies = occluded(picture, grey, [0, 1], [0, 1], square=2)
    assert copies[:, 0].tolist() == [[[1, 2, 0], [4, 5, 0], [0, 0, 0]], [[0, 0, 0], [0, 5, 6], [0, 8, 9]]]
    assert picture.eq(0).all()
    assert occluded(picture, grey, [0], [0], 3)[0].equal(grey)
    assert picture.eq(0).all()


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return build(Network(base="improved"), 64, classes=6, width=1 / 12).double().eval()


@pytest.mark.parametrize(("square", "stride", "batch"), [(15, 7, 5), (20, 11, 64), (64, 6, 1), (50, 14, 3), (1, 31, 2)])
def test_equals_a_loop_over_positions(net, square, stride, batch):
    torch.manual_seed(square)
    picture, grey = 50 * torch.randn(2, 3, 64, 64, dtype=torch.float64)
    seen = sensitivity(net, picture, grey, "relu5", square, stride, batch)
    places = range(0, 64 - square + 1, stride)
    assert seen.probabilities.shape == (len(places), len(places), 6)
    for row, top in enumerate(places):
        for column, left in enumerate(places):
            covered = picture.clone()
            for y in range(top, top + square):
                covered[:, y, left : left + square] = grey[:, y, left : left + square]
            maps = net[: list(dict(net.named_children())).index("relu5") + 1](covered[None])[0]
            torch.testing.assert_close(seen.activations[row, column], maps.sum((1, 2)), rtol=1e-10, atol=1e-12)
            expected = torch.softmax(net(covered[None])[0], 0)
            torch.testing.assert_close(seen.probabilities[row, column], expected, rtol=1e-10, atol=0)


def test_covering_with_itself_changes_nothing(net):
    picture = 50 * torch.randn(3, 64, 64, dtype=torch.float64)
    clean = answer(net, picture[None], "relu5")
    seen = sensitivity(net, picture, picture, "relu5", 20, 22, 4)
    torch.testing.assert_close(seen.probabilities, clean.probabilities.expand(3, 3, -1), rtol=1e-12, atol=0)
    torch.testing.assert_close(seen.activations, clean.activations.expand(3, 3, -1), rtol=1e-12, atol=1e-12)


def test_survey_of_a_split(net):
    pictures = 50 * torch.randn(7, 3, 64, 64, dtype=torch.float64)
    probabilities, strongest = survey(net, [(slice(0, 4), pictures[:4]), (slice(4, 7), pictures[4:])], "relu5", 2)
    torch.testing.assert_close(probabilities, net(pictures).softmax(1).detach(), rtol=1e-12, atol=0)
    maxima = net[: list(dict(net.named_children())).index("relu5") + 1](pictures).amax((2, 3)).T
    torch.testing.assert_close(strongest.values, maxima.sort(dim=1, descending=True).values[:, :2].detach())


def test_a_missing_layer_is_named():
    with pytest.raises(ValueError, match="no layer relu5; it has 0"):
        answer(nn.Sequential(nn.Conv2d(3, 2, 1)), torch.zeros(1, 3, 2, 2), "relu5")


def test_positions_that_touch_a_box():
    # 10 px, square 4, stride 3: corners 0, 3, 6 cover 0-4, 3-7, 6-10
    expected = [[False, False, False], [True, True, False], [True, True, False]]
    assert overlapping(10, 4, 3, (0, 4, 6, 7)).tolist() == expected
    assert not overlapping(10, 4, 3, (0, 12, 10, 14)).any()
