"""Every way of transposed filters is the transposed convolution."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from zfrepro.core import transposed_filters
from zfrepro.core.transposed_filters import Filters, transpose


@pytest.mark.parametrize("way", ["_transpose_by_products", "_transpose_apart", "_transpose_together"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (5, 4), (2, 7)])
def test_every_way_of_transposed_filters_is_the_transposed_convolution(way, stride, kernel):
    torch.manual_seed(0)
    windows, weight = torch.randn(2, 4, 6, 5, dtype=torch.float64), torch.randn(4, 3, *kernel, dtype=torch.float64)
    expected = functional.conv_transpose2d(windows, weight, stride=stride)
    conv = nn.Conv2d(3, 4, kernel, stride)
    conv.weight = nn.Parameter(weight)
    ours = getattr(transposed_filters, way)(windows, Filters(conv)).detach()
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "conv", [nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(3, 4, 2, dilation=2), nn.Conv2d(3, 4, 3, (2, 1))], ids=str
)
@torch.no_grad()
def test_other_convolutions_are_left_to_torch(conv):
    torch.manual_seed(0)
    windows, conv = torch.randn(2, 4, 6, 5, dtype=torch.float64), conv.double()
    expected = functional.conv_transpose2d(
        windows, conv.weight, stride=conv.stride, groups=conv.groups, dilation=conv.dilation
    )
    torch.testing.assert_close(transpose(windows, Filters(conv)), expected, rtol=1e-10, atol=1e-12)
