"""torchvision's networks as flat chains: the same scores, and projections equal to autograd through torchvision's own modules."""

import numpy as np
import pytest
import torch
from helpers.narrow_networks import REAL, narrow
from helpers.whole_image_deconvnet import project_onto_images, trace
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from zfrepro.core import deconvnet
from zfrepro.errors import UserError
from zfrepro.look import torchvision_networks as networks
from zfrepro.models import torchvision_import

torchvision_import.ensure()
NAMES = ["alexnet", "vgg16"]


def pictures(count, dtype=torch.float64):
    torch.manual_seed(2)
    return torch.randn(count, 3, 224, 224, dtype=dtype)


@pytest.mark.parametrize("network", NAMES)
def test_the_chain_gives_torchvisions_scores(network):
    model, inputs = narrow(network).double(), pictures(2)
    net = networks.flat(model, network)
    with torch.no_grad():
        expected, scores = model(inputs), net(inputs)
    assert "average" not in dict(net.named_children())
    assert expected.std() > 0.01
    torch.testing.assert_close(scores, expected, rtol=1e-12, atol=1e-14)


def test_an_average_that_averages_stays():
    model, inputs = narrow("alexnet").double(), pictures(1)
    model.avgpool = nn.AdaptiveAvgPool2d((3, 3))
    model.classifier[1] = nn.Linear(16 * 9, 24).double()
    net = networks.flat(model, "alexnet")
    assert isinstance(net.average, nn.AdaptiveAvgPool2d)
    torch.testing.assert_close(net(inputs), model(inputs), rtol=1e-12, atol=1e-14)
    deconvnet.check(net, ["relu5"])
    with pytest.raises(ValueError, match="layer average: AdaptiveAvgPool2d is not supported"):
        deconvnet.check(net, ["average"])


@pytest.mark.parametrize("network", NAMES)
def test_names_say_what_the_children_are(network):
    net = networks.flat(REAL(network, 1000), network)
    kinds = {"conv": nn.Conv2d, "relu": nn.ReLU, "pool": nn.MaxPool2d, "full": nn.Linear, "dropout": nn.Dropout}
    for name, child in net.named_children():
        assert type(child) is kinds.get(name.rstrip("0123456789_"), nn.Flatten), name
        assert not getattr(child, "inplace", False)
    names = list(dict(net.named_children()))
    assert list(networks.LAYERS[network]) == [1, 2, 3, 4, 5]
    convolutions = [name for name in names if name.startswith("conv")]
    last_of = {name[4]: name for name in convolutions}  # of each layer or block
    assert [f"conv{relu[4:]}" for relu in networks.LAYERS[network].values()] == list(last_of.values())


@pytest.mark.parametrize(("network", "parameters"), [("alexnet", 61_100_840), ("vgg16", 138_357_544)])
def test_nothing_is_lost_in_the_chain(network, parameters):
    net = networks.flat(REAL(network, 1000), network)
    assert sum(weight.numel() for weight in net.parameters()) == parameters


def rectified_backward(model, inputs, child, unit):
    """One activation, weighted by itself, back through torchvision's own `features`, every ReLU rectifying the gradient."""
    handles = []
    for module in model.features:
        if isinstance(module, nn.ReLU):
            module.inplace = False
            handles.append(module.register_full_backward_hook(lambda _, __, grad: (grad[0].clamp(min=0),)))
    inputs = inputs.clone().requires_grad_()
    activation = model.features[: child + 1](inputs)[(0, *unit)]
    activation.backward(activation.detach())
    for handle in handles:
        handle.remove()
    return inputs.grad[0]


@pytest.mark.parametrize("network", NAMES)
@pytest.mark.parametrize("layer", [1, 3, 5])
def test_projections_equal_autograd(network, layer):
    model, inputs = narrow(network).double(), pictures(1)
    net, name = networks.flat(model, network), networks.LAYERS[network][layer]
    passed = trace(net, inputs, [name])
    active = (passed.outputs[name] > 0).nonzero()
    units = active[torch.tensor([len(active) // 3, 2 * len(active) // 3])]
    ours = project_onto_images(net, inputs, name, units)
    child = list(dict(net.named_children())).index(name)
    for row, (_, *unit) in enumerate(units.tolist()):
        expected = rectified_backward(model, inputs, child, unit)
        assert expected.norm() > 0
        assert (ours[row] - expected).norm() <= 1e-10 * expected.norm()


SIZES = [
    (256, 256),
    (300, 249),
    (249, 300),
    (500, 375),
    (1000, 333),
    (64, 64),
    (37, 53),
    (2, 3),
    (1, 1),
    (1, 40),
    (257, 255),
]


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_torchvisions_resize_and_crop(size):
    from torchvision.transforms import functional

    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    expected = np.asarray(functional.center_crop(functional.resize(image, 256), 224)).astype(int)
    assert np.abs(networks.pixels(image).astype(int) - expected).max() <= 1  # Pillow rounds between rows and columns


def test_a_strip_needs_little_memory():
    assert (networks.pixels(Image.new("RGB", (1, 30_000), "red")) == [255, 0, 0]).all()


def test_inputs_are_torchvisions():
    from torchvision.transforms._presets import ImageClassification

    image = Image.fromarray(np.random.default_rng(4).integers(0, 256, (256, 256, 3), dtype=np.uint8))
    inputs = networks.normalise(networks.pixels(image)[None])
    torch.testing.assert_close(inputs[0], ImageClassification(crop_size=224)(image), rtol=1e-6, atol=1e-6)
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_imagenet_has_a_thousand_names():
    names = networks.imagenet_classes()
    assert (len(names), names[0], names[-1]) == (1000, "tench", "toilet tissue")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(networks, "_model", narrow)


@pytest.mark.parametrize("network", NAMES)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_load(tmp_path, small, network, suffix):
    torch.manual_seed(5)
    model = narrow(network, classes=4)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.1)
    path = tmp_path / f"mine{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(model.state_dict(), path)
    net, classes = networks.load(network, path)
    inputs = pictures(1, torch.float32)
    assert classes == 4
    assert not net.training
    torch.testing.assert_close(net(inputs), model(inputs))


def test_weights_of_half_precision_are_widened(tmp_path, small):
    model = narrow("alexnet")
    torch.save({name: weight.half() for name, weight in model.state_dict().items()}, tmp_path / "half.pth")
    net, _ = networks.load("alexnet", tmp_path / "half.pth")
    assert {weight.dtype for weight in net.parameters()} == {torch.float32}


class Planted:
    """Unpickled carelessly, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_a_weights_file_is_executed(tmp_path, small):
    torch.save({"weight": Planted(tmp_path / "planted")}, tmp_path / "mine.pth")
    with pytest.raises(UserError, match=r"mine\.pth: cannot be read as weights"):
        networks.load("alexnet", tmp_path / "mine.pth")
    assert not (tmp_path / "planted").exists()


def test_files_that_are_no_weights_are_named(tmp_path, small):
    for name in ("words.pth", "words.safetensors"):
        (tmp_path / name).write_text("words")
        with pytest.raises(UserError, match=f"{name}: cannot be read as weights; give a state_dict"):
            networks.load("alexnet", tmp_path / name)
    torch.save({"epoch": 3, "state_dict": {}}, tmp_path / "more.pth")
    with pytest.raises(UserError, match=r"more\.pth: contains more than weights"):
        networks.load("alexnet", tmp_path / "more.pth")
    for missing in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(UserError, match="no such weights file"):
            networks.load("alexnet", missing)


def test_weights_of_another_network_are_recognised(tmp_path, small):
    torch.save(narrow("vgg16").state_dict(), tmp_path / "vgg.pth")
    with pytest.raises(UserError) as raised:
        networks.load("alexnet", tmp_path / "vgg.pth")
    assert "vgg.pth: not the weights of torchvision's alexnet: features.3.weight is missing; " in str(raised.value)
    assert " more" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_wrong_shape_and_an_unknown_tensor_are_named(tmp_path, small):
    state = narrow("alexnet").state_dict()
    torch.save({**state, "features.0.bias": torch.zeros(5), "extra": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"alexnet: features\.0\.bias is 5 and not 4; extra is unknown$"):
        networks.load("alexnet", tmp_path / "a.pth")
