"""Windows through sums, concatenations and branches against full passes, one per position."""

import pytest
import torch
from helpers.random_torchvision import random_model, randomise
from torch import nn
from torch.nn import functional

from zfrepro.core import full_convolution
from zfrepro.core.incremental import CleanPass, full_convolutions, split
from zfrepro.core.network_graph import UntraceableError, trace
from zfrepro.core.occlusion import Occluder


class Residual(nn.Module):
    """One ReLU module used twice, in place; the identity has a smaller window than the branch."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.down = None if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps):
        branch = self.second(self.relu(self.norm(self.first(maps))))
        branch += maps if self.down is None else self.down(maps)
        return self.relu(branch)


class Branches(nn.Module):
    """Receptive fields of 1, 3, 5 (dilated, grouped) and poolings beside each other."""

    def __init__(self, maps):
        super().__init__()
        self.one = nn.Conv2d(maps, 4, 1)
        self.dilated = nn.Conv2d(maps, 4, 3, 1, 2, dilation=2, groups=2)
        self.depthwise = nn.Conv2d(maps, maps, (5, 3), 1, (2, 1), groups=maps)

    def forward(self, maps):
        average = functional.avg_pool2d(maps, 3, stride=1, padding=1)
        largest = functional.max_pool2d(maps, kernel_size=3, stride=1, padding=1)
        parts = [self.one(maps), functional.relu6(self.dilated(maps)), self.depthwise(maps), average, largest]
        return torch.cat(parts, dim=1)


class Gate(nn.Module):
    """What all positions together say multiplies every map: nothing above it is a window."""

    def __init__(self, maps):
        super().__init__()
        self.full = nn.Linear(maps, maps)

    def forward(self, maps):
        return maps * torch.sigmoid(self.full(maps.mean((2, 3))))[:, :, None, None]


class Shuffle(nn.Module):
    def forward(self, maps):
        count, channels, height, width = maps.size()
        return maps.view(count, 2, channels // 2, height, width).transpose(1, 2).reshape(count, -1, height, width)


class Positions(nn.Module):
    """Adds what it has learned of every position: a tensor of the network, not of the image."""

    def __init__(self):
        super().__init__()
        self.learned = nn.Parameter(torch.ones(1, 4, 22, 27))

    def forward(self, maps):
        return maps * 2 + self.learned[..., : maps.shape[2], : maps.shape[3]]


class Overwritten(nn.Module):
    """Its second branch reads what the first has rectified in place."""

    def forward(self, maps):
        maps = maps * 1.0
        rectified = functional.relu(maps, inplace=True)
        return maps + rectified


NETWORKS = {
    "residual": lambda: [nn.Conv2d(3, 6, 3), Residual(6, 6, 1), Residual(6, 8, 2), nn.AvgPool2d(2, 2)],
    "branches": lambda: [nn.Conv2d(3, 4, 3, 2), nn.ReLU(), Branches(4), nn.Conv2d(20, 5, 1), nn.LocalResponseNorm(3)],
    "rounding up": lambda: [
        nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(3, 4, 3), Branches(4), nn.MaxPool2d(3, 2, 1, ceil_mode=True)
    ],
    "gate": lambda: [nn.Conv2d(3, 4, 3), Gate(4), nn.Conv2d(4, 4, 3), nn.SiLU()],
    "shuffle": lambda: [nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), Shuffle(), Residual(4, 6, 2)],
    "positions": lambda: [nn.Conv2d(3, 4, 3), Positions(), nn.Conv2d(4, 4, 3, groups=4), nn.AvgPool2d(3, 2, 1)],
    "overwritten": lambda: [nn.Conv2d(3, 4, 3), Overwritten(), nn.Conv2d(4, 4, 3, padding="same")],
}  # fmt: skip


def full_passes(model, layer, image, grey, square, stride):
    """Probabilities and the layer's summed maps, position by position, on copies that are covered."""
    outputs = []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, output: outputs.append(output.clone()))
    rows, columns = (range(0, side - square + 1, stride) for side in image.shape[1:])
    probabilities = []
    for top in rows:
        for left in columns:
            covered = image.clone()
            covered[:, top : top + square, left : left + square] = grey[:, top : top + square, left : left + square]
            with torch.no_grad():
                probabilities.append(model(covered[None])[0].softmax(0))
    handle.remove()
    grid = (len(rows), len(columns), -1)
    return torch.stack(probabilities).view(grid), torch.cat(outputs).sum((2, 3)).view(grid)


def assert_equals_full_passes(model, layer, size, square, stride, batch):
    torch.manual_seed(square)
    image, grey = torch.randn(2, 3, *size, dtype=torch.float64)
    ours = Occluder(model, layer, square, stride, batch)(image, grey)
    probabilities, sums = full_passes(model, layer, image, grey, square, stride)
    assert probabilities.flatten(0, 1).std(0).max() > 1e-4  # the square changes something
    torch.testing.assert_close(ours.probabilities, probabilities, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(ours.activations, sums, rtol=1e-10, atol=1e-10 * sums.abs().max())


def network(name):
    torch.manual_seed(1)
    model = nn.Sequential(*NETWORKS[name](), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.LazyLinear(5)).double()
    model.eval()(torch.zeros(1, 3, 24, 24, dtype=torch.float64))
    return randomise(model)


GEOMETRIES = pytest.mark.parametrize(("square", "stride", "batch"), [(3, 5, 16), (7, 8, 4), (1, 6, 1), (20, 4, 64)])


@pytest.mark.parametrize("name", NETWORKS)
@GEOMETRIES
def test_small_networks_equal_full_passes(name, square, stride, batch):
    assert_equals_full_passes(network(name), "2", (24, 29), square, stride, batch)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "branches"])
@GEOMETRIES
def test_winograd_s_algorithm_too(name, square, stride, batch, monkeypatch):
    """With so few maps it is chosen only if its transforms cost nothing; of "branches" no filter is suited."""
    calls, compute = [], full_convolution.Winograd.__call__
    monkeypatch.setattr(full_convolution, "COST_OF_A_VALUE", 0)
    monkeypatch.setattr(full_convolution, "VALUES_AT_ONCE", 500)  # a few windows
    monkeypatch.setattr(
        full_convolution.Winograd, "__call__", lambda self, windows: calls.append(1) or compute(self, windows)
    )
    assert_equals_full_passes(network(name), "2", (24, 29), square, stride, batch)
    assert calls or square == 1  # a single pixel may reach windows that are too small


@pytest.mark.parametrize("layer", ["1.first", "1.norm", "1.relu:1", "1.relu:2", "1", "2.down"])
def test_the_watched_layer_may_be_folded_or_run_twice(layer):
    model, (path, _, number) = network("residual"), layer.partition(":")
    image, grey = torch.randn(2, 3, 24, 24, dtype=torch.float64)
    covered, outputs = image.clone(), []
    covered[:, 9:14, 18:23] = grey[:, 9:14, 18:23]
    model.get_submodule(path).register_forward_hook(lambda m, i, output: outputs.append(output.detach().clone()))
    model(covered[None])
    ours = Occluder(network("residual"), layer, 5, 9, 9)(image, grey).activations[1, 2]
    expected = outputs[int(number or 1) - 1][0].sum((1, 2))
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [("resnet18", "layer2", (80, 64)), ("googlenet", "inception3b", (64, 64)), ("mobilenet_v2", "features.2", (64, 72)),
     ("squeezenet1_1", "features.4", (64, 64)), ("vgg11_bn", "features.9", (64, 64))],
)  # fmt: skip
def test_torchvision_s_networks_equal_full_passes(name, layer, size):
    model = random_model(name)
    last = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
    with torch.no_grad():
        scores = model(torch.randn(1, 3, *size, dtype=torch.float64))
        last.weight.div_(scores.std())  # so that no class has the probability 1
    assert_equals_full_passes(model, layer, size, 15, 24, 4)


def test_in_single_precision_as_exact_as_full_passes():
    model = network("residual")
    image, grey = torch.randn(2, 3, 40, 40)
    exact, _ = full_passes(model, "2", image.double(), grey.double(), 9, 6)
    plain, _ = full_passes(model.float(), "2", image, grey, 9, 6)
    ours = Occluder(model, "2", 9, 6, 16)(image, grey).probabilities
    assert (ours - exact).abs().max() < 3 * (plain - exact).abs().max() + 1e-7


def test_the_network_is_left_as_it_was():
    model = network("residual")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    image, grey = torch.randn(2, 3, 24, 24, dtype=torch.float64)
    kept = image.clone()
    Occluder(model, "1", 5, 9, 9)(image, grey)
    assert image.equal(kept)
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert model[1].relu.inplace


def clean_pass(body, image):
    graph = trace(body)
    return CleanPass(graph, full_convolutions(graph), image, None)


def test_few_products_are_left():
    """3x3 filters on 20 x 20: a change of 2 pixels reaches 4, which the next layer reads: 1 and 4 percent of the positions."""
    body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
    image = torch.randn(4, 20, 20)
    assert clean_pass(body, image).share(2) == pytest.approx((0.01 + 0.04) / 2)
    assert clean_pass(nn.Sequential(Gate(4), *body), image).share(2) == 1.0


def test_where_a_network_is_cut():
    body, head = split(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 2)))
    assert [name for name, _ in body.named_children()] == ["0"]
    assert [name for name, _ in head.named_children()] == ["1", "2"]
    model = Residual(3, 3, 1)
    assert split(model)[0] is model
    assert not len(split(model)[1])


class Branching(nn.Module):
    def forward(self, maps):
        return maps if maps.sum() > 0 else -maps


class Writing(nn.Module):
    def forward(self, maps):
        copy = maps.clone()
        copy[:, 0] = 0
        return copy


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Branching(), "torch.fx cannot trace it: symbolically traced variables"),
        (Writing(), "object does not support item assignment"),
    ],
)
def test_what_a_trace_does_not_show_is_an_error(model, message):
    with pytest.raises(UntraceableError, match=message):
        trace(model)


def test_hooks_are_an_error():
    model = Residual(3, 3, 1)
    model.first.register_forward_hook(lambda *_: None)
    with pytest.raises(UntraceableError, match="it has hooks"):
        trace(model)
