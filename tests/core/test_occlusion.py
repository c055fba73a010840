"""Occlusion maps against a plain loop over positions."""

import pytest
import torch
from torch import nn

from zfrepro.core.architecture import Network
from zfrepro.core.nets import CeilConv2d, build
from zfrepro.core.normalisation import CrossMapNorm
from zfrepro.core.occlusion import FullPasses, Occluder, corners, predict, survey


def sensitivity(net, image, grey, layer, square, stride, batch):
    return Occluder(net, layer, square, stride, batch)(image, grey)


def test_figure_7_geometry():
    places = corners(224, 50, 6)
    assert (len(places), places[0], places[-1]) == (30, 0, 174)
    assert corners(10, 4, 4) == [0, 4]  # the last two columns are never covered
    assert corners(10, 10, 3) == [0]
    with pytest.raises(ValueError, match="square of 11 pixels does not fit into 10"):
        corners(10, 11, 1)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return build(Network(base="improved"), 64, classes=6, width=1 / 12).double().eval()


def assert_equals_a_loop(net, size, layer, square, stride, batch):
    """One forward pass a position, on a copy of the picture that is covered pixel by pixel."""
    torch.manual_seed(square)
    picture, grey = 50 * torch.randn(2, 3, size, size, dtype=torch.float64)
    maps = sensitivity(net, picture, grey, layer, square, stride, batch)
    places = range(0, size - square + 1, stride)
    assert maps.probabilities.shape[:2] == maps.activations.shape[:2] == (len(places), len(places))
    watched = net[: list(dict(net.named_children())).index(layer) + 1]
    for row, top in enumerate(places):
        for column, left in enumerate(places):
            covered = picture.clone()
            for y in range(top, top + square):
                covered[:, y, left : left + square] = grey[:, y, left : left + square]
            sums = watched(covered[None])[0].sum((1, 2)).detach()
            torch.testing.assert_close(maps.activations[row, column], sums, rtol=1e-10, atol=1e-10 * sums.abs().max())
            expected = torch.softmax(net(covered[None])[0], 0).detach()
            torch.testing.assert_close(maps.probabilities[row, column], expected, rtol=1e-10, atol=1e-12)


GEOMETRY = [(15, 7, 5), (20, 11, 64), (64, 6, 1), (63, 1, 4), (50, 14, 3), (1, 31, 2), (2, 9, 16), (17, 5, 9)]


@pytest.mark.parametrize(("square", "stride", "batch"), GEOMETRY)
@pytest.mark.parametrize("layer", ["relu5", "pool2"])
def test_equals_a_loop_over_positions(net, layer, square, stride, batch):
    assert_equals_a_loop(net, 64, layer, square, stride, batch)


@pytest.mark.parametrize(("square", "stride"), [(18, 7), (9, 13), (31, 6)])
def test_krizhevsky_s_network_too(square, stride):
    torch.manual_seed(1)
    net = build(Network(base="baseline"), 70, classes=5, width=1 / 12).double().eval()
    assert_equals_a_loop(net, 70, "relu5", square, stride, 9)


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_full_passes_and_windows_agree_on_an_image_that_is_no_square(batch):
    torch.manual_seed(4)
    net = (
        nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(5)).double().eval()
    )
    image, grey = torch.randn(2, 3, 15, 23, dtype=torch.float64)
    net(image[None])
    windows = Occluder(net, "1", 6, 4, batch)(image, grey)
    full = FullPasses(lambda covered: predict(net, covered, "1"), 6, 4, batch)(image, grey)
    assert windows.probabilities.shape == full.probabilities.shape == (3, 5, 5)
    torch.testing.assert_close(windows.probabilities, full.probabilities, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(windows.activations, full.activations, rtol=1e-10, atol=1e-12)
    covered = image.clone()
    covered[:, 4:10, 16:22] = grey[:, 4:10, 16:22]
    torch.testing.assert_close(full.probabilities[1, 4], net(covered[None])[0].softmax(0).detach())


CHAINS = [
    [CeilConv2d(3, 6, 5, 3), nn.ReLU(), nn.MaxPool2d(3, 1), nn.Conv2d(6, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2)],
    [nn.Conv2d(3, 8, 4, 3), nn.ReLU(), nn.LocalResponseNorm(3), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 8, 3, groups=2)],
    [nn.Conv2d(3, 6, 3, dilation=2), nn.ReLU(True), nn.MaxPool2d(5, 2, ceil_mode=True), nn.Dropout(), nn.Identity()],
    [CeilConv2d(3, 6, 7, 2, 1), nn.MaxPool2d((3, 2), (2, 1), (1, 0), ceil_mode=True), CeilConv2d(6, 5, 5, 4)],
    [
        nn.ReLU(),
        nn.Conv2d(3, 6, (3, 1), 1, (0, 2)),
        nn.MaxPool2d(3, 2, dilation=2),
        CrossMapNorm(6),
        nn.Conv2d(6, 4, 2, 3),
    ],
    [nn.Conv2d(3, 4, 1), nn.MaxPool2d(2, 2), nn.AvgPool2d(3, 1, 1), nn.Conv2d(4, 4, 3), nn.ReLU()],
]


@pytest.mark.parametrize("chain", range(len(CHAINS)))
@pytest.mark.parametrize(("square", "stride"), [(5, 3), (11, 4), (22, 1)])
def test_other_chains_equal_the_loop_too(chain, square, stride):
    torch.manual_seed(chain)
    net = nn.Sequential(*CHAINS[chain], nn.Flatten(), nn.LazyLinear(7)).double().eval()
    net(torch.zeros(1, 3, 23, 23, dtype=torch.float64))
    assert_equals_a_loop(net, 23, "1", square, stride, 4)


GAPS = [  # windows with gaps between them, and a last one that leaves pixels unread
    [nn.Conv2d(3, 4, 2, 5), nn.ReLU()],
    [nn.MaxPool2d(1, 6), nn.ReLU(), nn.Conv2d(3, 4, 2)],
    [nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(1, 4, ceil_mode=True), nn.Conv2d(4, 4, 1)],
    [nn.Conv2d(3, 4, 3, (1, 6)), nn.ReLU(), nn.MaxPool2d((2, 1), (2, 3)), nn.Conv2d(4, 4, 2, 4)],
    [nn.Conv2d(3, 4, 3, 3, dilation=2), nn.ReLU(), nn.LocalResponseNorm(2), nn.Conv2d(4, 5, 1, 2)],
]


@pytest.mark.parametrize("chain", range(len(GAPS)))
@pytest.mark.parametrize(("square", "stride", "batch"), [(1, 1, 16), (1, 7, 4), (2, 3, 1), (3, 5, 64), (1, 22, 4)])
def test_a_square_that_reaches_no_output_changes_nothing(chain, square, stride, batch):
    torch.manual_seed(chain)
    net = nn.Sequential(*GAPS[chain], nn.Flatten(), nn.LazyLinear(7)).double().eval()
    net(torch.zeros(1, 3, 23, 23, dtype=torch.float64))
    assert_equals_a_loop(net, 23, "1", square, stride, batch)


def test_unread_pixels_give_the_unoccluded_value():
    net = nn.Sequential(nn.Conv2d(3, 2, 2, 4), nn.Flatten(), nn.Linear(8, 3)).double()  # reads pixels 0, 1, 4, 5
    image, grey = 5 * torch.randn(2, 3, 8, 8, dtype=torch.float64)
    clean, maps = predict(net, image[None], "0"), sensitivity(net, image, grey, "0", 2, 2, 4)
    for place in ((1, 1), (1, 0), (0, 1), (3, 3)):  # rows or columns 2, 3, 6, 7
        torch.testing.assert_close(maps.probabilities[place], clean.probabilities[0], rtol=1e-12, atol=0)
        torch.testing.assert_close(maps.activations[place], clean.activations[0], rtol=1e-12, atol=0)
    assert not torch.allclose(maps.probabilities[0, 0], clean.probabilities[0])


def test_in_single_precision_to_the_last_digits(net):
    torch.manual_seed(3)
    single = build(Network(base="improved"), 64, classes=6, width=1 / 12).eval()
    picture, grey = 50 * torch.randn(2, 3, 64, 64)
    ours = sensitivity(single, picture, grey, "relu5", 20, 4, 16)
    double = sensitivity(single.double(), picture.double(), grey.double(), "relu5", 20, 4, 16)
    assert (ours.probabilities - double.probabilities).abs().max() < 1e-5
    assert (ours.activations - double.activations).norm() < 1e-5 * double.activations.norm()


def test_in_half_precision_to_about_two_digits(net):
    torch.manual_seed(3)
    single = build(Network(base="improved"), 64, classes=6, width=1 / 12).eval()
    picture, grey = 50 * torch.randn(2, 3, 64, 64)
    exact = Occluder(single, "relu5", 20, 22, 16)(picture, grey)
    rough = Occluder(single, "relu5", 20, 22, 16, torch.bfloat16)(picture, grey)
    assert rough.probabilities.dtype == torch.float32
    assert 0 < (rough.activations - exact.activations).norm() < 0.02 * exact.activations.norm()
    assert (rough.probabilities - exact.probabilities).abs().max() < 0.02


def test_what_it_is_given_stays_as_it_was(net):
    picture, grey = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    before = picture.clone(), grey.clone(), [weight.clone() for weight in net.parameters()]
    sensitivity(net, picture, grey, "relu5", 20, 22, 4)
    assert picture.equal(before[0])
    assert grey.equal(before[1])
    assert all(weight.equal(old) for weight, old in zip(net.parameters(), before[2], strict=True))


def test_covering_with_itself_changes_nothing(net):
    picture = 50 * torch.randn(3, 64, 64, dtype=torch.float64)
    clean = predict(net, picture[None], "relu5")
    maps = sensitivity(net, picture, picture, "relu5", 20, 22, 4)
    torch.testing.assert_close(maps.probabilities, clean.probabilities.expand(3, 3, -1), rtol=1e-12, atol=0)
    torch.testing.assert_close(maps.activations, clean.activations.expand(3, 3, -1), rtol=1e-12, atol=1e-12)


def test_survey_of_a_split(net):
    pictures = 50 * torch.randn(7, 3, 64, 64, dtype=torch.float64)
    probabilities, strongest = survey(net, [(slice(0, 4), pictures[:4]), (slice(4, 7), pictures[4:])], "relu5", 2)
    torch.testing.assert_close(probabilities, net(pictures).softmax(1).detach(), rtol=1e-12, atol=0)
    maxima = net[: list(dict(net.named_children())).index("relu5") + 1](pictures).amax((2, 3)).T
    torch.testing.assert_close(strongest.values, maxima.sort(dim=1, descending=True).values[:, :2].detach())


def test_a_missing_layer_is_named():
    with pytest.raises(ValueError, match="no layer relu5; it has 0"):
        predict(nn.Sequential(nn.Conv2d(3, 2, 1)), torch.zeros(1, 3, 2, 2), "relu5")
