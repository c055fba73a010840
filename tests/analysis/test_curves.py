"""Invariance curves of any network: cases worked out by hand, and the same numbers as the experiment's stage computes."""

import math

import pytest
import torch
from torch import nn

from zfrepro.analysis import invariance
from zfrepro.core import invariance as core
from zfrepro.core.architecture import Network
from zfrepro.core.nets import build


class Summing(nn.Module):
    """Its scores follow from the mean of the left half of the image and that of the upper half."""

    def __init__(self):
        super().__init__()
        self.kept = nn.Identity()

    def forward(self, images):
        maps = self.kept(images)
        return torch.stack([maps[..., :2].mean((1, 2, 3)), maps[:, :, :2].mean((1, 2, 3))], 1)


def test_worked_out_by_hand():
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 0, 3] = 2.0  # one bright pixel, in the upper right corner
    curve = invariance(Summing().eval(), image, ["kept"], rotation=[0, 90, 180, 360], labels=0)["rotation"]
    # at another place the pixel is at a right angle to itself: sqrt 2; a quarter turn moves it to the upper left corner
    torch.testing.assert_close(
        curve.distances["kept"], torch.tensor([[0, math.sqrt(2), math.sqrt(2), 0]]), rtol=0, atol=1e-6
    )
    upper, left = 0.25, 0.25  # 2 in 8 pixels
    lower, right = 0.0, 0.0
    expected = [
        math.exp(a) / (math.exp(a) + math.exp(b))
        for a, b in [(right, upper), (left, upper), (left, lower), (right, upper)]
    ]
    torch.testing.assert_close(curve.probability, torch.tensor([expected]))
    assert curve.amounts.tolist() == [0, 90, 180, 360]


def test_the_stage_s_numbers():
    """As stages/invariance.py: features of the paper's layers by the network's own children, one image, all transformations."""
    torch.manual_seed(0)
    net = build(Network(base="improved"), 64, 6, 1 / 12).double().eval()
    images = 50 * torch.randn(2, 3, 72, 72, dtype=torch.float64)
    amounts = {"shift": [-9.0, 0.0, 5.0], "scale": [1.0, 1.3], "rotation": [0.0, 45.0, 200.0]}
    moves = {"shift": core.shifts, "scale": core.scales, "rotation": core.turns}
    curves = invariance(net, images, ["norm1", "relu7"], **amounts, size=64, labels=[4, 2], batch=2)
    assert list(curves) == ["shift", "scale", "rotation"]
    for row, label in enumerate([4, 2]):
        view = images[row, :, 4:68, 4:68]
        original, _ = core.features_and_probabilities(net, view[None], (1, 7))
        for kind, curve in curves.items():
            source, beyond = (view, core.BLACK) if kind == "rotation" else (images[row], core.MIRRORED)
            views = core.views(source, 64, moves[kind](amounts[kind]), beyond)
            features, probabilities = core.features_and_probabilities(net, views, (1, 7))
            torch.testing.assert_close(curve.probability[row], probabilities[:, label])
            for name, layer in (("norm1", 1), ("relu7", 7)):
                torch.testing.assert_close(curve.distances[name][row], core.distances(features[layer], original[layer]))


def test_corners_show_the_fill():
    class Corner(nn.Module):
        def forward(self, images):
            return images[:, :2, 0, 0]

    image = torch.full((1, 3, 8, 8), 5.0)
    curve = invariance(
        nn.Sequential(nn.Identity(), Corner()).eval(), image, ["0"], rotation=[45.0], fill=[-1.0, 3.0, 0.0], labels=1
    )
    assert curve["rotation"].probability.item() == pytest.approx(1 / (1 + math.exp(-4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": []}, "layers: give at least one name in a list"),
        ({"layers": "kept"}, "layers: give at least one name in a list"),
        ({"shift": []}, "give amounts of a transformation: shift, scale or rotation"),
        ({"scale": [1.0, 0.0]}, "scale: ratios are above 0"),
        ({"size": 9}, "size: a view of 9 pixels, but the images have 8; choose a smaller view"),
        ({"images": torch.zeros(1, 3, 8, 7)}, "images: 8 x 7 pixels; give square images"),
        ({"labels": [0, 1]}, r"labels: give one whole number, or one per image \(1\)"),
    ],
)
def test_bad_input(options, message):
    arguments = {"images": torch.randn(1, 3, 8, 8), "layers": ["kept"], "shift": [1.0]} | options
    with pytest.raises(ValueError, match=message):
        invariance(Summing().eval(), **arguments)
