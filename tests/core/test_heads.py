"""Full layers as convolutions give what the full layers give."""

import pytest
import torch
from torch import nn

from zfrepro.core.heads import as_convolutions


@pytest.mark.parametrize("maps", [(5, 6, 6), (3, 4, 7), (8, 1, 1)])
@pytest.mark.parametrize("units", [64, 12, 7])
def test_the_same_numbers(maps, units):
    torch.manual_seed(0)
    features = maps[0] * maps[1] * maps[2]
    head = nn.Sequential(nn.Flatten(), nn.Linear(features, units), nn.ReLU(), nn.Dropout(), nn.Linear(units, 3))
    head, shown = head.double().eval(), torch.randn(4, *maps, dtype=torch.float64)
    quick = as_convolutions(head, maps)
    assert quick is not head
    torch.testing.assert_close(quick(shown), head(shown), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        quick(shown.contiguous(memory_format=torch.channels_last)), head(shown), rtol=1e-12, atol=1e-12
    )


def test_a_head_of_another_kind_stays_as_it_is():
    head = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 2))
    assert as_convolutions(head, (1, 4, 4)) is head
