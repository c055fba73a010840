"""The modules that are built agree with the description they are built from."""

import math

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from zfrepro.core.architecture import Network, describe, parameter_count
from zfrepro.core.nets import CeilConv2d, build, clip_filters, fan_ins, initialise, last_child_of, layer_outputs, scores

VARIANTS = [
    Network(base="baseline"),
    Network(base="improved"),
    *(Network(base="baseline", remove=layers) for layers in [(3, 4), (7,), (6, 7), (3, 4, 6, 7)]),
    *(Network(base=base, units=units) for base in ("baseline", "improved") for units in (2048, 8192)),
    Network(base="improved", maps=(512, 1024, 512)),
    Network(base="improved", maps=(512, 1024, 512), units=8192),
    Network(base="improved", remove=(5,)),
]


@pytest.mark.parametrize("network", VARIANTS, ids=lambda network: network.model_dump_json(exclude_defaults=True))
@pytest.mark.parametrize(("size", "width"), [(224, 1.0), (112, 0.25), (97, 1 / 3)])
def test_modules_equal_their_description(network, size, width):
    rows = describe(network, size, classes=20, width=width)
    shapes = {}
    with FakeTensorMode():  # shapes only
        net = build(network, size, 20, width)
        maps = torch.empty(2, 3, size, size)
        for name, child in net.named_children():
            maps = child(maps)
            shapes[name] = tuple(maps.shape[1:])
    assert sum(weight.numel() for weight in net.parameters()) == parameter_count(rows)
    for row in rows:
        full = row.name.startswith("full")
        assert shapes[row.name] == ((row.outputs,) if full else (row.outputs, row.size, row.size))
        assert sum(weight.numel() for weight in getattr(net, row.name).parameters()) == row.parameters


def test_children_of_the_improved_network_in_order():
    with torch.device("meta"):
        names = [name for name, _ in build(Network(base="improved")).named_children()]
    assert " ".join(names) == (
        "conv1 relu1 pool1 norm1 conv2 relu2 pool2 norm2 conv3 relu3 conv4 relu4 conv5 relu5 pool5 "
        "flatten full6 relu6 dropout6 full7 relu7 dropout7 full8"
    )


def test_the_baseline_normalises_before_it_pools():
    with torch.device("meta"):
        names = [name for name, _ in build(Network(base="baseline")).named_children()]
    assert names[:8] == ["conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2"]


@pytest.mark.parametrize(("kernel", "stride", "pad"), [(7, 2, 0), (11, 4, 0), (5, 3, 1), (3, 1, 1), (2, 4, 0)])
def test_ceil_convolution(kernel, stride, pad):
    """cuda-convnet's size, and zeros at the right and bottom only."""
    conv = CeilConv2d(2, 3, kernel, stride, pad)
    for size in range(kernel, kernel + 2 * stride + 3):
        pictures = torch.randn(1, 2, size, size + 1)
        maps = conv(pictures)
        expected = [1 + math.ceil((side + 2 * pad - kernel) / stride) for side in (size, size + 1)]
        assert list(maps.shape[2:]) == expected
        roomy = torch.zeros(1, 2, size + stride, size + 1 + stride)
        roomy[:, :, :size, : size + 1] = pictures
        plain = nn.functional.conv2d(roomy, conv.weight, conv.bias, stride, pad)
        torch.testing.assert_close(maps, plain[:, :, : expected[0], : expected[1]])


def test_filters_above_the_limit_are_scaled_to_it_and_no_others():
    net = nn.Sequential(nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        net[0].weight[0] = 0.5
        net[0].weight[1] = -0.1
        net[0].weight[2] = torch.tensor([0.4, 0, 0, 0, 0, 0, 0, 0.4]).reshape(2, 2, 2)  # RMS 0.2
        net[0].bias.fill_(9)
        net[2].weight.fill_(7)
    clip_filters(net, 0.1)
    torch.testing.assert_close(net[0].weight[0], torch.full((2, 2, 2), 0.1))
    torch.testing.assert_close(net[0].weight[1], torch.full((2, 2, 2), -0.1))
    torch.testing.assert_close(net[0].weight[2].flatten(), torch.tensor([0.2, 0, 0, 0, 0, 0, 0, 0.2]))
    assert net[0].bias.tolist() == [9, 9, 9]
    assert net[2].weight.eq(7).all()


def test_small_filters_keep_their_bits():
    net = nn.Sequential(nn.Conv2d(3, 4, 5))
    with torch.no_grad():
        net[0].weight.normal_(std=0.01)
        net[0].weight[3] = 0
    before = net[0].weight.clone()
    clip_filters(net, 0.1)
    assert torch.equal(net[0].weight, before)


def test_initial_weights_follow_from_the_seed():
    nets = [build(Network(base="improved"), 64, 5, 0.25) for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        initialise(net, "gaussian", seed)
    states = [net.state_dict() for net in nets]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["conv3.weight"], states[2]["conv3.weight"])


def expected_std(scheme, name, fan_in, reference):
    if scheme == "gaussian":
        return 0.01
    if scheme == "matched":
        return 0.01 * math.sqrt(reference[name] / fan_in)
    return math.sqrt(2 / fan_in) * {"conv1": 0.1, "full8": 0.2}.get(name, 1)


@pytest.mark.parametrize("scheme", ["gaussian", "matched", "he"])
def test_initial_spread(scheme):
    network = Network(base="improved")
    reference = fan_ins(describe(network))
    net = build(network, 96, 20, 0.25)
    initialise(net, scheme, seed=0, reference=reference)
    for name, fan_in in fan_ins(describe(network, 96, 20, 0.25)).items():
        layer = getattr(net, name)
        assert layer.weight[0].numel() == fan_in
        assert layer.weight.std().item() == pytest.approx(expected_std(scheme, name, fan_in, reference), rel=0.05)
        opened = scheme == "he" and name not in ("conv1", "full8")
        assert (layer.bias == (0.1 if opened else 0)).all()


def test_unknown_initialisation():
    with pytest.raises(ValueError, match="unknown initialisation 'xavier'"):
        initialise(nn.Sequential(nn.Conv2d(3, 2, 1)), "xavier", 0)


def test_fan_ins_of_the_full_network():
    assert fan_ins(describe(Network(base="improved"))) == {
        "conv1": 147,
        "conv2": 2400,
        "conv3": 2304,
        "conv4": 3456,
        "conv5": 3456,
        "full6": 9216,
        "full7": 4096,
        "full8": 4096,
    }


def test_layers_by_name():
    net = build(Network(base="improved", remove=(7,)), 64, 5, 1 / 12).eval()
    assert [last_child_of(net, layer) for layer in (1, 4, 5, 6)] == ["norm1", "relu4", "pool5", "dropout6"]
    pictures = torch.randn(2, 3, 64, 64)
    outputs = layer_outputs(net, pictures, {"relu3": 3, "norm1": 1})
    torch.testing.assert_close(outputs[1], net[:4](pictures))
    torch.testing.assert_close(outputs[3], net[:10](pictures))


@pytest.mark.parametrize("base", ["baseline", "improved"])
def test_the_cheaper_forward_pass_has_the_same_values_and_gradients(base):
    net = build(Network(base=base), 64, 5, 0.1).double().eval()
    initialise(net, "he", seed=1)
    pictures = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    gradients = []
    for forward in (net, lambda inputs: scores(net, inputs)):
        net.zero_grad()
        output = forward(pictures)
        output.square().sum().backward()
        gradients.append([output, *(p.grad.clone() for p in net.parameters())])
    for gradient, other in zip(*gradients, strict=True):
        assert gradient.any()
        torch.testing.assert_close(gradient, other, rtol=1e-12, atol=1e-12)
