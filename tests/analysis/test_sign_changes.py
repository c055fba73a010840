"""Part correspondence of any network: three images worked out by hand, and the core's comparison of a residual network's features."""

import pytest
import torch
from helpers.random_torchvision import random_model
from torch import nn

from zfrepro.analysis import correspondence
from zfrepro.core.correspondence import compare, signs
from zfrepro.core.layers import observe


def test_three_images_worked_out_by_hand():
    # units are pixels less 1, of one row; a square of one pixel is put at column 0, then at column 2, filled with 1
    model = nn.Sequential(nn.Conv2d(1, 1, 1)).eval()
    with torch.no_grad():
        model[0].weight.fill_(1)
        model[0].bias.fill_(-1)
    images = torch.tensor([[5.0, 1, 0], [3.0, 1, 9], [1.0, 1, 0]]).view(3, 1, 1, 3)
    corners = torch.tensor([[[0, 0]] * 3, [[0, 2]] * 3])
    result = correspondence(model, images, corners, ["0"], square=1, fill=1.0)["0"]
    # first mask: signs of unit 0 are +, +, 0, all others 0: images 0 and 1 agree, image 2 differs from both in 1 of 3 units
    assert (3 * result.different[0]).round().tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    # second mask: unit 2 goes up, down, up
    assert (3 * result.different[1]).round().tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert (3 * result.opposite[1]).round().tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert result.mean.tolist() == pytest.approx([2 / 9, 2 / 9])
    assert result.spread.tolist() == pytest.approx([27**-0.5] * 2)  # 0, 1/3, 1/3: n - 1


def test_a_residual_network():
    model = random_model("resnet18")
    torch.manual_seed(2)
    images, corners = torch.randn(3, 3, 64, 64, dtype=torch.float64), torch.randint(0, 33, (2, 3, 2))
    results = correspondence(model, images, corners, ["layer2.0.relu", "layer4"], square=32, fill=[0.1, 0.2, 0.3])
    for name, result in results.items():
        clean = observe(model, images, [name])[0][name].flatten(1)
        for mask, places in enumerate(corners.tolist()):
            covered = images.clone()
            for image, (top, left) in zip(covered, places, strict=True):
                for channel, value in enumerate((0.1, 0.2, 0.3)):
                    image[channel, top : top + 32, left : left + 32] = value
            expected = compare(signs(clean, observe(model, covered, [name])[0][name].flatten(1)))
            assert result.different[mask].numpy() == pytest.approx(expected.different)
            assert result.by_chance[mask].numpy() == pytest.approx(expected.by_chance)
        assert (result.different[:, 0, 1] > 0).all()


def test_one_pair_has_no_spread():
    model = nn.Sequential(nn.Conv2d(1, 1, 1)).eval()
    result = correspondence(model, torch.randn(2, 1, 4, 4), torch.zeros(1, 2, 2, dtype=torch.int64), ["0"], square=2)[
        "0"
    ]
    assert result.spread.isnan().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": torch.zeros(1, 1, 4, 4)}, "images: give two or more"),
        ({"corners": torch.zeros(2, 2)}, r"corners: give whole numbers of shape \(masks, 2, 2\), not \(2, 2\)"),
        ({"corners": torch.full((1, 2, 2), 3)}, "corners: a square of 2 pixels reaches beyond an image of 4 x 4"),
        ({"square": 5}, "square: 5 pixels, but the images have 4 x 4"),
        ({"layers": "0"}, "layers: give at least one name in a list"),
    ],
)
def test_bad_input(options, message):
    model = nn.Sequential(nn.Conv2d(1, 1, 1)).eval()
    arguments = {"images": torch.randn(2, 1, 4, 4), "corners": torch.zeros(1, 2, 2, dtype=torch.int64), "layers": ["0"]}
    with pytest.raises(ValueError, match=message):
        correspondence(model, **{"square": 2} | arguments | options)
