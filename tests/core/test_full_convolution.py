"""Windows by Winograd's algorithm against torch's own convolutions."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from zfrepro.core import full_convolution
from zfrepro.core.full_convolution import FullConvolution, Winograd

WINDOWS = [(1, 1), (7, 8), (12, 5), (9, 9)]


def convolution(kernel, stride=1, inputs=7, outputs=5, **options):
    torch.manual_seed(kernel)
    return nn.Conv2d(inputs, outputs, kernel, stride, **options).double()


def direct(conv, windows):
    full = FullConvolution(conv)
    return functional.conv2d(windows, conv.weight, None, conv.stride, full.pads, conv.dilation, conv.groups)


@pytest.mark.parametrize(
    ("kernel", "stride", "tiles"),
    [
        (3, 1, (2, 3, 4)),
        (5, 2, (2, 3, 4)),
        (3, 2, (2, 3, 4, 5)),
        (2, 1, (2, 3, 4, 5)),
        (7, 2, (2, 3)),
        (4, 3, (2, 3, 4, 5)),
    ],
)
@pytest.mark.parametrize("size", WINDOWS)
def test_every_tile_gives_the_convolution(kernel, stride, tiles, size):
    conv = convolution(kernel, stride)
    windows = torch.randn(3, 7, *size, dtype=torch.float64)
    algorithms = FullConvolution(conv).algorithms
    assert tuple(winograd.tile for winograd in algorithms) == tiles
    for winograd in algorithms:
        torch.testing.assert_close(winograd(windows), direct(conv, windows), rtol=1e-10, atol=1e-11)


def test_a_case_by_hand():
    """Tiles of two: (1 + 2x) * (3 + 2x + x^2), the filter read backwards, and 5 * x^2 * the same."""
    conv = convolution(3, inputs=1, outputs=1)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[[[0.0, 0, 0], [1, 2, 3], [0, 0, 0]]]]))
    found = Winograd(conv, 2)(torch.tensor([[[[1.0, 2, 5]]]], dtype=torch.float64))
    torch.testing.assert_close(found[0, 0, 1], torch.tensor([3.0, 8, 20, 12, 5], dtype=torch.float64))


@torch.no_grad()
def test_rounding_errors_are_a_few_times_those_of_the_direct_algorithm():
    conv, windows = convolution(3, inputs=128, outputs=64), torch.randn(4, 128, 8, 8)
    conv.float().double()  # the same weights in both precisions
    exact, single = direct(conv, windows.double()), FullConvolution(conv.float())
    errors = [float((winograd(windows) - exact).abs().max() / exact.abs().max()) for winograd in single.algorithms]
    assert max(errors) < 1e-5
    assert errors[0] < 1e-6


@pytest.mark.parametrize(
    "conv",
    [
        convolution(3, inputs=8, outputs=8, groups=2),
        convolution(3, dilation=2),
        convolution(11, 4),
        convolution(4, 2),
        convolution(1),
        nn.Conv2d(7, 5, (3, 5)),
        nn.Conv2d(7, 5, 3).to(torch.bfloat16),
    ],
    ids=["groups", "dilation", "kernel 11 stride 4", "kernel 4 stride 2", "1x1", "not square", "bfloat16"],
)
@torch.no_grad()
def test_others_are_computed_directly(conv):
    full = FullConvolution(conv)
    windows = torch.randn(2, conv.in_channels, 9, 9).to(conv.weight.dtype)
    assert not full.algorithms
    taps = [-(-kernel // stride) * stride for kernel, stride in zip(conv.kernel_size, conv.stride, strict=True)]
    around = functional.pad(windows, (2 * taps[1], 2 * taps[1], 2 * taps[0], 2 * taps[0]))
    everything = functional.conv2d(around, conv.weight, None, conv.stride, 0, conv.dilation, conv.groups)
    outputs = full(windows).float()
    assert outputs.sum().item() == pytest.approx(everything.float().sum().item(), rel=0.01)  # none is left out
    assert outputs.abs().max() == pytest.approx(everything.float().abs().max().item(), rel=0.01)


def test_the_algorithm_with_the_fewest_products_is_chosen():
    """384 maps: tiles of 4 for windows of 7 and 8, of 3 for 6; few maps are not worth the steps."""
    full = FullConvolution(nn.Conv2d(384, 384, 3))
    assert [full.fastest(side, side).tile for side in (5, 6, 7, 8, 9)] == [3, 3, 4, 4, 3]
    assert full.count_products(8, 8) < 0.6 * full.count_direct_products(8, 8)
    few = FullConvolution(nn.Conv2d(16, 16, 3))
    assert few.fastest(8, 8) is None
    assert few.count_products(8, 8) == few.count_direct_products(8, 8) == 16 * 16 * 9 * 64


def test_products_are_counted(monkeypatch):
    """2 x 3 tiles, 36 points, 384 * 256 products at each."""
    monkeypatch.setattr(full_convolution, "COST_OF_A_VALUE", 0)
    assert Winograd(nn.Conv2d(96, 256, 5, 2), 4).count_products(16, 18) == 2 * 3 * 36 * 384 * 256
