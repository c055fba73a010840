"""Occlusion maps of any network against a plain loop; chains take the fast route and give the same."""

import pytest
import torch
from helpers.random_torchvision import random_model
from torch import nn

from zfrepro.analysis import occlusion_maps


def plain_loop(model, image, square, stride, fill, layer):
    """One forward pass a position, on a copy covered pixel by pixel: probabilities (P, Q, classes), sums (P, Q, maps)."""
    outputs = {}
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, output: outputs.update(last=output.clone()))
    rows = []
    for top in range(0, image.shape[1] - square + 1, stride):
        rows.append([])
        for left in range(0, image.shape[2] - square + 1, stride):
            covered = image.clone()
            for y in range(top, top + square):
                for x in range(left, left + square):
                    covered[:, y, x] = fill
            scores = model(covered[None])[0]
            rows[-1].append((scores.softmax(0).detach(), outputs["last"][0].sum((1, 2)).detach()))
    handle.remove()
    return [torch.stack([torch.stack([place[part] for place in row]) for row in rows]) for part in (0, 1)]


@pytest.mark.parametrize(
    ("name", "layer", "size", "passes"),
    [
        ("resnet18", "layer2.0.relu", (64, 40), "windows"),
        ("alexnet", "features.11", (80, 96), "windows"),
        ("alexnet", "features.12", (72, 72), "windows"),
        ("vgg11_bn", "features.4", (40, 48), "windows"),
    ],
)
def test_equals_a_loop_over_positions(name, layer, size, passes):
    model = random_model(name)
    torch.manual_seed(1)
    images, fill = torch.randn(2, 3, *size, dtype=torch.float64), torch.tensor([0.5, -1, 2], dtype=torch.float64)
    square, stride = 13, 17
    maps = occlusion_maps(model, images, layer, square=square, stride=stride, fill=fill, batch=5)
    assert maps.passes == passes
    assert maps.tops.tolist() == list(range(0, size[0] - 12, 17))
    assert maps.lefts.tolist() == list(range(0, size[1] - 12, 17))
    for row, image in enumerate(images):
        probabilities, sums = plain_loop(model, image, square, stride, fill, layer)
        clean = model(image[None])[0].softmax(0).detach()
        label, number = int(clean.argmax()), int(maps.maps[row])
        assert int(maps.labels[row]) == int(maps.uncovered_predicted[row]) == label
        torch.testing.assert_close(maps.uncovered_probability[row], clean[label])
        torch.testing.assert_close(maps.probability[row], probabilities[..., label], rtol=1e-10, atol=1e-12)
        assert torch.equal(maps.predicted[row], probabilities.argmax(-1))
        torch.testing.assert_close(maps.activation[row], sums[..., number], rtol=1e-10, atol=1e-8)


class Chooses(nn.Module):
    """Its way depends on the image's values, which no trace shows."""

    def __init__(self):
        super().__init__()
        self.body, self.full = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, images):
        maps = self.body(images)
        return self.full((maps if bool((images[:, 0, 0, 0] < 9).all()) else -maps).mean((2, 3)))


class Centred(Chooses):
    """Every value depends on the whole image from the first layer on."""

    def forward(self, images):
        return self.full(self.body(images - images.mean((2, 3), keepdim=True)).abs().mean((2, 3)))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Chooses(), "torch.fx cannot trace it: symbolically traced variables cannot be used as inputs to control flow"),
        (Centred(), "the square reaches nearly all of what the convolutions compute"),
    ],
)
def test_full_passes_where_windows_do_not_help(model, reason):
    model, image = model.double().eval(), torch.randn(1, 3, 11, 11, dtype=torch.float64)
    maps = occlusion_maps(model, image, "body", square=4, stride=3, fill=0.5, labels=1, maps=2)
    assert maps.passes == "full"
    assert maps.notes[0].startswith(f"one full forward pass per position: {reason}")
    probabilities, sums = plain_loop(model, image[0], 4, 3, 0.5, "body")
    torch.testing.assert_close(maps.probability[0], probabilities[..., 1], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(maps.activation[0], sums[..., 2], rtol=1e-10, atol=1e-10)


@pytest.fixture
def net():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2))
    return nn.Sequential(body, nn.Flatten(), nn.Linear(64, 5)).double().eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 10, 10, dtype=torch.float64)


def test_the_chosen_class_and_map(net, images):
    every = [occlusion_maps(net, images, "0.1", square=4, stride=3, labels=label, maps=label % 4) for label in range(5)]
    torch.testing.assert_close(sum(maps.probability for maps in every), torch.ones(2, 3, 3, dtype=torch.float64))
    own = occlusion_maps(net, images, "0.1", square=4, stride=3, labels=[3, 1], maps=torch.tensor([2, 0]))
    torch.testing.assert_close(own.probability[0], every[3].probability[0])
    torch.testing.assert_close(own.probability[1], every[1].probability[1])
    torch.testing.assert_close(own.activation[0], every[2].activation[0])
    torch.testing.assert_close(own.activation[1], every[0].activation[1])
    assert (own.passes, own.notes) == ("windows", ())


def test_without_a_layer(net, images):
    maps = occlusion_maps(net, images, square=4, stride=3)
    assert maps.activation is maps.maps is maps.uncovered_activation is None
    assert torch.equal(maps.probability, occlusion_maps(net, images, "0.0", square=4, stride=3).probability)


def test_a_fill_that_is_an_image(net, images):
    covered_by_itself = occlusion_maps(net, images[:1], square=4, stride=3, fill=images[0])
    torch.testing.assert_close(covered_by_itself.probability, covered_by_itself.uncovered_probability.expand(1, 3, 3))


def test_the_network_and_the_images_are_left_as_they_were(net, images):
    before, kept = {name: tensor.clone() for name, tensor in net.state_dict().items()}, images.clone()
    occlusion_maps(net, images, "0.1", square=4, stride=3)
    assert images.equal(kept)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert net[0][1].inplace
    assert not any(module._forward_hooks or module.training for module in net.modules())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"square": 11}, "square: 11 pixels, but the images have 10 x 10; choose a smaller square"),
        ({"square": 0}, "square: give a whole number of at least 1, not 0"),
        ({"stride": 1.5}, "stride: give a whole number of at least 1, not 1.5"),
        ({"labels": 5}, "labels: from 0 to 4, not 5 to 5"),
        ({"maps": 4, "layer": "0.1"}, "maps: from 0 to 3, not 4 to 4"),
        ({"fill": [1.0, 2.0]}, r"fill: give a number, 3 numbers, or an image of shape \(3, 10, 10\)"),
        ({"fill": float("nan")}, "fill: a value is not finite"),
        ({"layer": "2"}, r"layer 2: its output has the shape \(1, 5\); choose a layer of maps"),
        ({"layer": "0.7"}, r"no layer '0.7'; similar names: 0\.\d"),
    ],
)
def test_bad_input(net, images, options, message):
    with pytest.raises(ValueError, match=message):
        occlusion_maps(net, images, **{"square": 4, "stride": 3} | options)


class Returns(nn.Module):
    def __init__(self, returned):
        super().__init__()
        self.returned = returned

    def forward(self, images):
        return self.returned(images.mean((2, 3)))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda values: {"scores": values}, "the network returns dict, no class scores; wrap it"),
        (lambda values: values[:, :1], r"a tensor of shape \(1, 1\) and type torch.float64, no class scores"),
        (lambda values: values[:, :, None, None], r"a tensor of shape \(1, 3, 1, 1\)"),
        (lambda values: values.softmax(1), "the network returns probabilities, no class scores; leave out the softmax"),
        (lambda values: values.argmax(1), r"a tensor of shape \(1,\) and type torch.int64"),
    ],
)
def test_no_class_scores(images, returned, message):
    with pytest.raises(ValueError, match=message):
        occlusion_maps(Returns(returned).eval(), images, square=4, stride=3)
