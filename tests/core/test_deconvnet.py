"""The deconvnet against a case worked out by hand and against autograd with a rectifying backward of ReLU."""

from collections import OrderedDict

import pytest
import torch
from helpers.random_networks import CHAINS, random_case
from torch import nn
from torch.nn import functional

from zfrepro.core.architecture import Network
from zfrepro.core.deconvnet import disjoint_every, project, trace, unpool
from zfrepro.core.nets import build
from zfrepro.core.normalisation import CrossMapNorm


class RectifyBothWays(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps):
        return maps.clamp(min=0)

    @staticmethod
    def backward(ctx, grad):
        return grad.clamp(min=0)


class NormUpOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps, norm):
        with torch.no_grad():
            return norm(maps)

    @staticmethod
    def backward(ctx, grad):
        return grad, None


def through_autograd(net, picture, name, unit):
    """The same projection by back-propagating one activation, weighted by itself: (3, H, W)."""
    maps = picture = picture[None].clone().requires_grad_()
    for child_name, child in net.named_children():
        if isinstance(child, nn.ReLU):
            maps = RectifyBothWays.apply(maps)
        elif isinstance(child, CrossMapNorm | nn.LocalResponseNorm):
            maps = NormUpOnly.apply(maps, child)
        else:
            maps = child(maps)
        if child_name == name:
            break
    activation = maps[(0, *unit)]
    activation.backward(activation.detach())
    return picture.grad[0]


def assert_same(ours, expected):
    assert (ours - expected).norm() <= 1e-10 * expected.norm()
    assert expected.norm() > 0


BASES = [
    (base, layer, size)
    for base in ("baseline", "improved")
    for layer, size in [(1, 68), (2, 75), (3, 83), (4, 90), (5, 97), (5, 112)]
]


@pytest.mark.parametrize(("base", "layer", "size"), BASES)
def test_paper_networks_equal_autograd(base, layer, size):
    net = build(Network(base=base), size, classes=5, width=1 / 12)
    net, pictures, units = random_case(net, size, f"relu{layer}", seed=size + layer)
    ours = project(trace(net, pictures, [f"relu{layer}"]), f"relu{layer}", units)
    for row, (picture, *unit) in enumerate(units.tolist()):
        assert_same(ours[row], through_autograd(net, pictures[picture], f"relu{layer}", unit))


@pytest.mark.parametrize("chain", range(len(CHAINS)))
@pytest.mark.parametrize("size", [23, 26])
def test_other_chains_equal_autograd(chain, size):
    net = nn.Sequential(*CHAINS[chain])
    last = str(len(net) - 1)
    net, pictures, units = random_case(net, size, last, seed=chain)
    ours = project(trace(net, pictures, [last]), last, units)
    for row, (picture, *unit) in enumerate(units.tolist()):
        assert_same(ours[row], through_autograd(net, pictures[picture], last, unit))


def by_hand():
    """Picture 4x4 -> conv 2x2 -> 3x3 -> pool 2x2 stride 1 -> 2x2 -> conv 2x2 -> one unit."""
    net = nn.Sequential(nn.Conv2d(1, 1, 2), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Conv2d(1, 1, 2), nn.ReLU())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[[[1.0, 2], [0, -1]]]]))
        net[3].weight.copy_(torch.tensor([[[[1.0, -2], [3, 1]]]]))
        net[0].bias.zero_()
        net[3].bias.fill_(10)
    return net, torch.tensor([[[[1.0, 2, 0, 1], [0, 3, 1, 0], [2, 0, 1, 4], [0, 1, 0, 2]]]])


def test_four_by_four_worked_out_by_hand():
    # up: rectified [[2,1,2],[6,4,0],[1,2,7]], pooled [[6,4],[6,7]] from (1,0) (1,1) (1,0) (2,2), unit 6-8+18+7 + bias 10
    # down: 33 times the filter = [[33,-66],[99,33]]; (1,0) gets 33+99, (1,1) gets -66 and is rectified away, (2,2) gets 33
    net, picture = by_hand()
    passed = trace(net, picture, ["1", "2", "4"])
    assert passed.outputs["1"][0, 0].tolist() == [[2, 1, 2], [6, 4, 0], [1, 2, 7]]
    assert passed.steps["2"].switches[0, 0].tolist() == [[3, 4], [3, 8]]
    assert passed.outputs["4"].tolist() == [[[[33]]]]
    pixels = project(passed, "4", torch.tensor([[0, 0, 0, 0]]))
    assert pixels[0, 0].tolist() == [[0, 0, 0, 0], [132, 264, 0, 0], [0, -132, 33, 66], [0, 0, 0, -33]]


def test_only_the_chosen_activation_comes_down():
    net, picture = by_hand()
    pixels = project(trace(net, picture, ["1"]), "1", torch.tensor([[0, 0, 2, 1]]))  # activation 2 times the filter
    assert pixels[0, 0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 2, 4, 0], [0, 0, -2, 0]]


def test_one_trace_serves_many_units_and_layers_alike():
    net, pictures, units = random_case(build(Network(base="improved"), 83, 5, 1 / 12), 83, "relu4", seed=1)
    together = trace(net, pictures, ["relu2", "relu4"])
    batched = project(together, "relu4", units)
    for row, (picture, *place) in enumerate(units.tolist()):
        alone = trace(net, pictures[picture : picture + 1], ["relu4"])
        single = project(alone, "relu4", torch.tensor([[0, *place]]))
        torch.testing.assert_close(batched[row], single[0], rtol=1e-12, atol=1e-12 * single.abs().max().item())


def test_twice_the_same_bits():
    net, pictures, units = random_case(build(Network(base="baseline"), 97, 5, 1 / 12), 97, "relu5", seed=2)
    first, second = (project(trace(net, pictures, ["relu5"]), "relu5", units) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("base", ["baseline", "improved"])
def test_strongest_unit_is_the_same_before_and_after_pooling(base):
    net, pictures, _ = random_case(build(Network(base=base), 83, 5, 1 / 12), 83, "relu2", seed=3)
    for layer in (2, 5):
        rectified, pooled = f"relu{layer}", f"pool{layer}"
        bare = nn.Sequential(
            OrderedDict((n, c) for n, c in net.named_children() if n != f"norm{layer}")
        )  # norm would move maxima
        passed = trace(bare, pictures, [rectified, pooled])
        one = int(passed.outputs[rectified][0].amax((1, 2)).argmax())
        units = [
            (passed.outputs[name][0, one] == passed.outputs[name][0, one].max()).nonzero()
            for name in (rectified, pooled)
        ]
        before, after = (torch.tensor([[0, one, *places[0].tolist()]]) for places in units)
        assert_same(project(passed, rectified, before), project(passed, pooled, after))


def test_overlapping_windows_add_where_max_unpool_overwrites():
    maps = torch.rand(2, 3, 9, 9, dtype=torch.float64, requires_grad=True)
    pool = nn.MaxPool2d(3, 2)
    pooled, switches = functional.max_pool2d(maps, 3, 2, return_indices=True)
    values = torch.rand_like(pooled)
    ours = unpool(values, switches, (9, 9), pool)
    assert len(switches[0, 0].unique()) < switches[0, 0].numel()
    (expected,) = torch.autograd.grad(pooled, maps, values)
    torch.testing.assert_close(ours, expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(ours.sum(), values.sum())


def test_windows_of_one_scatter_share_no_pixel():
    assert disjoint_every(nn.MaxPool2d(3, 2)) == (2, 2)
    assert disjoint_every(nn.MaxPool2d(2)) == (1, 1)
    assert disjoint_every(nn.MaxPool2d((3, 5), (1, 2))) == (3, 3)
    assert disjoint_every(nn.MaxPool2d(3, 2, dilation=2)) == (3, 3)


@pytest.mark.parametrize(
    ("child", "message"),
    [
        (nn.AvgPool2d(2), "layer second: AvgPool2d has no way down"),
        (nn.BatchNorm2d(2), "layer second: BatchNorm2d has no way down"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), "layer second: Conv2d with padding 'reflect'"),
        (nn.Conv2d(2, 2, 3, padding="same"), "layer second: Conv2d with padding 'zeros', 'same'"),
    ],
)
def test_a_child_without_a_way_down_is_named(child, message):
    net = nn.Sequential(OrderedDict(first=nn.Conv2d(3, 2, 1), second=child, third=nn.ReLU()))
    with pytest.raises(ValueError, match=message):
        trace(net, torch.zeros(1, 3, 4, 4), ["third"])
    assert trace(net, torch.zeros(1, 3, 4, 4), ["first"]).outputs["first"].shape == (1, 2, 4, 4)


def test_a_missing_layer_is_named():
    with pytest.raises(ValueError, match="no layer relu9; it has 0, 1"):
        trace(nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()), torch.zeros(1, 3, 4, 4), ["relu9"])
