"""Projections of any network: against the fast route of chains, and against a second route written node by node."""

import warnings

import pytest
import torch
from helpers.node_deconvnet import project as project_by_nodes
from helpers.random_networks import CHAINS, random_case
from helpers.random_torchvision import random_model, randomise
from helpers.whole_image_deconvnet import project_onto_images
from torch import nn
from torch.nn import functional

from zfrepro.analysis import open_network, project
from zfrepro.core import autograd_deconvnet, layers
from zfrepro.core.architecture import Network
from zfrepro.core.nets import build


def close(ours, expected):
    assert expected.norm() > 0
    assert (ours - expected).norm() <= 1e-10 * expected.norm()


def one_unit(units):
    """Turns a layer's output into a signal of one unit (map, row, column) per image."""

    def select(output):
        signal = torch.zeros_like(output)
        rows = torch.arange(len(units))
        place = (rows, *torch.tensor(units).T)[: output.dim()]
        signal[place] = output[place]
        return signal

    return select


def by_autograd(net, images, name, units):
    layer = layers.Layer(name, net.get_submodule(name), 1)
    return autograd_deconvnet.project(net, layer, images, one_unit(units)).pixels


@pytest.mark.parametrize("base", ["baseline", "improved"])
@pytest.mark.parametrize(("layer", "size"), [("relu1", 68), ("norm2", 75), ("conv4", 90), ("pool5", 112)])
def test_any_route_equals_the_fast_one_on_the_paper_s_networks(base, layer, size):
    net, images, units = random_case(build(Network(base=base), size, 5, 1 / 12), size, layer, seed=size)
    fast = project_onto_images(net, images, layer, units)
    close(by_autograd(net, images[units[:, 0]], layer, units[:, 1:].tolist()), fast)
    for row, (image, number, *place) in enumerate(units.tolist()):
        ours = project(net, images[image][None], layer, number, place)
        close(ours.pixels[0], fast[row])
        assert ours.notes == ()


@pytest.mark.parametrize("chain", range(len(CHAINS)))
@pytest.mark.parametrize("size", [23, 26])
def test_any_route_equals_the_fast_one_on_other_chains(chain, size):
    net, name = nn.Sequential(*CHAINS[chain]), str(len(CHAINS[chain]) - 1)
    net, images, units = random_case(net, size, name, seed=chain)
    close(
        by_autograd(net, images[units[:, 0]], name, units[:, 1:].tolist()),
        project_onto_images(net, images, name, units),
    )


MODELS = [
    *(
        (name, layer, 96)
        for name, layer in [("alexnet", "features.11"), ("alexnet", "features.12"), ("alexnet", "classifier.0")]
    ),
    ("squeezenet1_0", "features.7.expand3x3_activation", 40),
    ("squeezenet1_1", "classifier.1", 40),
    ("vgg11", "features.19", 32),
    ("vgg13", "features.23", 32),
    ("vgg16", "features.29", 32),
    ("vgg19", "classifier.0", 32),
    ("vgg11_bn", "features.27", 32),
    ("vgg13_bn", "features.33", 32),
    ("vgg16_bn", "features.42", 32),
    ("vgg19_bn", "features.51", 32),
    ("googlenet", "inception4c.branch3.1.conv", 40),
    ("googlenet", "fc", 40),
    ("resnet18", "layer4.1.relu", 40),
    ("resnet18", "fc", 40),
    ("resnet34", "layer3.5.relu", 40),
    ("resnet50", "layer3.2.relu", 40),
    ("densenet121", "features.denseblock3.denselayer4.conv2", 40),
    ("mobilenet_v2", "features.9.conv.1.2", 40),
]


@pytest.fixture(scope="module")
def models():
    return {}


@pytest.mark.parametrize(("name", "layer", "size"), MODELS)
def test_torchvision_s_networks_equal_the_route_by_nodes(models, name, layer, size):
    if name not in models:
        models.clear()  # one at a time in memory
        models[name] = random_model(name)
    model, network = models[name], open_network(models[name])
    torch.manual_seed(1)
    images = torch.randn(2, 3, size, size, dtype=torch.float64)
    maps = most_active(model, images, layer)
    ours = project(network, images, layer, maps)
    assert (ours.activations != 0).all()
    unit = [maps[0], *ours.positions[0].tolist()]
    close(ours.pixels[0], project_by_nodes(model, images[:1], layer, one_unit([unit]))[0])
    again = project(network, images, layer, maps, ours.positions)
    assert torch.equal(again.pixels, ours.pixels)
    alone = project(network, images[1:], layer, maps[1])
    close(alone.pixels[0], ours.pixels[1])


def most_active(model, images, layer):
    """The map with the highest activation in each image."""
    output = layers.observe(model, images, [layer])[0][layer]
    return output.flatten(2).amax(2).argmax(1).tolist() if output.dim() == 4 else output.argmax(1).tolist()


class Written(nn.Module):
    """A network as people write them: functional and in-place rectifiers, one ReLU module used often, a residual sum, a concatenation."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2),
        )
        self.norm, self.relu, self.third = nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(16, 6, 1)
        self.last, self.drop = nn.Linear(6, 4), nn.Dropout()

    def forward(self, images):
        maps = self.relu(self.norm(self.first(images)))
        kept = maps
        maps = self.second(maps)
        functional.relu_(maps)  # its result is not used: it must really work in place
        maps = self.drop(functional.max_pool2d(self.relu(maps + kept), 3, 1, 1))
        maps = torch.cat([maps, kept.clamp(min=0)], dim=1)
        maps = functional.local_response_norm(self.third(maps), 3).relu()
        return self.last(torch.flatten(functional.adaptive_avg_pool2d(maps, 1), 1))


def by_hand(model, image, number):
    """Unit `number` of `last`, sent down with each step written out; image (1, 3, H, W)."""
    with torch.no_grad():
        first = model.norm(model.first(image)).relu()
        summed = (model.second(first).relu() + first).relu()
        pooled, switches = functional.max_pool2d(summed, 3, 1, 1, return_indices=True)
        joined = torch.cat([pooled, first], 1)
        maps = functional.local_response_norm(model.third(joined), 3).relu()
        value = model.last(maps.mean((2, 3)))[0, number]
        signal = (value * model.last.weight[number] / maps[0, 0].numel())[None, :, None, None].expand_as(maps)
        signal = functional.conv_transpose2d(signal.clamp(min=0), model.third.weight)
        through, around = signal.split(8, 1)
        unpooled = (
            torch.zeros_like(through)
            .flatten(2)
            .scatter_add_(2, switches.flatten(2), through.flatten(2))
            .view_as(through)
        )
        unpooled = unpooled.clamp(min=0)
        second = functional.conv_transpose2d(unpooled.clamp(min=0), model.second.weight, None, 1, 2, 0, 2, 2)
        signal = (second + unpooled + around.clamp(min=0)).clamp(min=0)
        signal = signal * (model.norm.weight / (model.norm.running_var + model.norm.eps).sqrt())[:, None, None]
        return value, functional.conv_transpose2d(signal, model.first.weight, None, 2, 1, output_padding=1)


def test_functional_in_place_and_repeated_rectifiers_sums_and_concatenations():
    model = randomise(Written().double()).eval()
    images = torch.randn(3, 3, 12, 12, dtype=torch.float64)
    result = project(model, images, "last", [0, 3, 2])
    for row, number in enumerate([0, 3, 2]):
        value, pixels = by_hand(model, images[row : row + 1], number)
        torch.testing.assert_close(result.activations[row], value)
        close(result.pixels[row], pixels[0])


def test_a_call_of_a_module_that_runs_often():
    model = randomise(Written().double()).eval()
    image = torch.randn(1, 3, 12, 12, dtype=torch.float64)
    first, last = (project(model, image, name, 2) for name in ("relu:1", "relu:2"))
    close(project(model, image, "relu", 2).pixels, last.pixels)
    with torch.no_grad():
        rectified = model.norm(model.first(image)).relu()[0, 2]
    assert first.activations.item() == rectified.max().item()
    assert last.boxes.tolist() != first.boxes.tolist()
    with pytest.raises(ValueError, match=r"layer relu:3: the network does not run it \(so often\)"):
        project(model, image, "relu:3", 2)


def test_a_whole_map_is_the_sum_of_its_units_where_nothing_rectifies():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.MaxPool2d(2, 1), nn.Conv2d(4, 2, 2)).double().eval()
    image = torch.randn(1, 3, 11, 11, dtype=torch.float64)
    whole = project(model, image, "2", 1, "all")
    places = torch.tensor([[y, x] for y in range(3) for x in range(3)])
    units = project(model, image, "2", 1, places)
    assert whole.positions is None
    assert units.pixels.shape == (9, 3, 11, 11)
    close(whole.pixels[0], units.pixels.sum(0))
    torch.testing.assert_close(whole.activations[0], units.activations.sum())
    assert whole.boxes.tolist() == [[0, 11, 0, 11]]
    assert units.boxes[:4].tolist() == [[0, 7, 0, 7], [0, 7, 2, 9], [0, 7, 4, 11], [2, 9, 0, 7]]


def test_one_pixel_worked_out_by_hand():
    # 2 x 2 pixels of one colour -> times -1 and 2, rectified -> weights 3 and 1 -> unit
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(2, 1, 1)).eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([-1.0, 2.0]).view(2, 1, 1, 1))
        model[2].weight.copy_(torch.tensor([3.0, -1.0]).view(1, 2, 1, 1))
        model[0].bias.zero_()
        model[2].bias.fill_(100)
    image = torch.tensor([[[[1.0, -2.0], [0.0, 5.0]]]])
    result = project(model, image, "2", 0, (0, 1))
    assert result.activations.tolist() == [106]  # 3 * 2 + 100
    assert result.pixels.tolist() == [[[[0, -318], [0, 0]]]]  # 106 * 3 * -1; 106 * -1 is rectified away


GATES = {
    "GELU": nn.GELU(),
    "SiLU": nn.SiLU(inplace=True),
    "LeakyReLU": nn.LeakyReLU(),
    "Hardswish": nn.Hardswish(),
    "Hardtanh": nn.Hardtanh(),
    "Softmax2d": nn.Softmax2d(),
    "GroupNorm": nn.GroupNorm(2, 4),
}


@pytest.mark.parametrize("kind", GATES)
def test_what_has_no_deconvnet_is_refused_by_name_or_passed_with_a_note(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), GATES[kind]), nn.Conv2d(4, 2, 3)).double().eval()
    image = torch.randn(1, 3, 9, 9, dtype=torch.float64)
    with pytest.raises(
        ValueError, match=rf"layer 2: no deconvnet is defined below it: 1.1 \({kind}\) .*rectifier=\"pass\""
    ):
        project(model, image, "2", 0)
    assert project(model, image, "1.0", 0).notes == ()
    result = project(model, image, "2", 0, (2, 2), rectifier="pass")
    assert len(result.notes) == 1
    assert result.notes[0].startswith(f"1.1 ({kind})")
    assert result.notes[0].endswith("its derivative was passed")
    expected = gradient_with_rectified_relu(model, image, (2, 2))
    close(result.pixels, expected)


def gradient_with_rectified_relu(model, image, place):
    """The derivative of everything but the ReLU, whose signal is rectified."""
    pixels = image.clone().requires_grad_()
    below = model[0](pixels)
    rectified = below.detach().relu().requires_grad_()
    output = model[2](model[1][1](rectified.clone()))[0, 0][place]
    (signal,) = torch.autograd.grad(output, rectified, output.detach())
    return torch.autograd.grad(below, pixels, signal.clamp(min=0))[0]


class Gate(nn.Module):
    def forward(self, maps):
        return maps * maps.mean((2, 3), keepdim=True)


class MaxOverMaps(nn.Module):
    def forward(self, maps):
        return maps.amax(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Gate(), "multiplies two parts of the features, as a gate does"),
        (MaxOverMaps(), "takes a maximum over maps or positions"),
    ],
)
def test_gates_and_maxima_over_maps_are_refused(module, reason):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), module).eval()
    with pytest.raises(ValueError, match=f"layer 1: .*: 1 .{type(module).__name__}. {reason}"):
        project(model, torch.randn(1, 3, 9, 9), "1", 0)


def test_compiled_code_is_refused_not_drawn_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), torch.randn(1, 3, 9, 9))
    model = nn.Sequential(traced, nn.Conv2d(4, 2, 3)).eval()
    with pytest.raises(ValueError, match=r"layer 1: .*compiled code, where it cannot be replaced"):
        project(model, torch.randn(1, 3, 9, 9), "1", 0)


def test_a_network_that_detaches_its_maps_is_refused():
    class Detached(nn.Module):
        def forward(self, maps):
            return maps.detach() * 2

    model = nn.Sequential(nn.Conv2d(3, 4, 3), Detached()).eval()
    with pytest.raises(
        ValueError, match="layer 1: its result does not depend on the image, or the network detaches it"
    ):
        project(model, torch.randn(1, 3, 9, 9), "1", 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_network_s_precision_is_used(dtype):
    torch.manual_seed(3)
    layers_of_model = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(8, 4, 3)
    model = randomise(nn.Sequential(*layers_of_model).to(dtype)).eval()
    images = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    result = project(model, images, "4", [0, 1], (1, 1))
    assert result.pixels.dtype == result.activations.dtype == dtype
    exact = project(model.double(), images, "4", [0, 1], (1, 1))
    error = (result.pixels.double() - exact.pixels).norm() / exact.pixels.norm()
    assert 0 < error < (1e-5 if dtype == torch.float32 else 0.1)


GATED = [("mobilenet_v3_small", "features.4", "(Hardswish)"), ("efficientnet_b0", "features.2", "(SiLU)")]


@pytest.mark.parametrize(("name", "layer", "kind"), GATED)
def test_torchvision_s_gated_networks(name, layer, kind):
    model = random_model(name)
    images = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with pytest.raises(ValueError, match=f"layer {layer}: no deconvnet is defined below it"):
        project(model, images, layer, 0)
    result = project(model, images, layer, 0, rectifier="pass")
    assert result.pixels.norm() > 0
    assert any(kind in note for note in result.notes)
    assert any("as a gate does" in note for note in result.notes)


class Halves(nn.Module):
    """Rectifies one half of the maps, in place or not; `whole`: and then reads all of them where they were."""

    def __init__(self, in_place, whole=False):
        super().__init__()
        self.conv, self.last, self.in_place, self.whole = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3), in_place, whole

    def forward(self, images):
        maps = self.conv(images)
        first, second = maps.chunk(2, dim=1)
        if self.in_place:
            first.relu_()
        else:
            first = first.relu()
        return self.last(maps if self.whole else torch.cat([first, second], dim=1))


def test_a_rectifier_that_works_in_place_on_a_part():
    torch.manual_seed(0)
    model, other = Halves(False).double().eval(), Halves(True).double().eval()
    other.load_state_dict(model.state_dict())
    images = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    assert torch.equal(project(model, images, "last", 1).pixels, project(other, images, "last", 1).pixels)
    whole = Halves(True, whole=True).double().eval()
    with pytest.raises(ValueError, match="layer last: its activations change when the network runs with gradients"):
        project(whole, images, "last", 1)


def test_relu6_rectifies_and_hardtanh_from_0_too():
    torch.manual_seed(0)
    first, last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)
    image = 9 * torch.randn(1, 3, 9, 9)
    pixels = []
    for rectifier in (nn.ReLU6(inplace=True), nn.Hardtanh(0, 6), nn.Threshold(0, 0)):
        model = nn.Sequential(first, rectifier, last).eval()
        pixels.append(project(model, image, "2", 0, (1, 1)))
    assert torch.equal(pixels[0].pixels, pixels[1].pixels)
    scaled = pixels[2].pixels * (pixels[0].activations / pixels[2].activations)  # its activation is not clipped at 6
    torch.testing.assert_close(pixels[0].pixels, scaled)


def test_the_network_is_left_as_it_was():
    model = randomise(Written().double()).eval()
    model.first.weight.requires_grad_(False)
    model.third.weight.grad = torch.ones_like(model.third.weight)
    needs = [weight.requires_grad for weight in model.parameters()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    kept = images.clone()
    with torch.inference_mode():
        project(model, images, "relu", [1, 2])
    with pytest.raises(ValueError, match="the network has no layer"):
        project(model, images, "rule", 1)
    assert images.equal(kept)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [weight.requires_grad for weight in model.parameters()] == needs
    assert model.third.weight.grad.eq(1).all()
    assert [weight.grad for weight in model.parameters() if weight is not model.third.weight] == [None] * (
        len(needs) - 1
    )
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not model.training
