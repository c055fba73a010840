"""torchvision's classifiers by name with the user's weights: read whole, refused by what does not fit, preprocessed as torchvision does."""

import pytest
import torch
from helpers.narrow_networks import narrow
from safetensors.torch import save_file
from torch import nn

from zfrepro.errors import UserError
from zfrepro.look import torchvision_networks as networks
from zfrepro.look.preprocessing import Preprocessing
from zfrepro.models import torchvision_import

torchvision_import.ensure()
NAMES = ["alexnet", "vgg16"]


def pictures(count, dtype=torch.float64):
    torch.manual_seed(2)
    return torch.randn(count, 3, 224, 224, dtype=dtype)


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
    net = networks.load(network, path)
    inputs = pictures(1, torch.float32)
    assert net.classifier[6].out_features == 4
    assert not net.training
    torch.testing.assert_close(net(inputs), model(inputs))


def test_weights_of_half_precision_are_widened(tmp_path, small):
    model = narrow("alexnet")
    torch.save({name: weight.half() for name, weight in model.state_dict().items()}, tmp_path / "half.pth")
    net = networks.load("alexnet", tmp_path / "half.pth")
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


def small_state(name, classes=3):
    """Random weights of a network as it is, on the CPU."""
    model = networks._model(name, classes).to_empty(device="cpu")
    torch.manual_seed(0)
    for tensor in model.state_dict().values():
        tensor.normal_().abs_() if tensor.is_floating_point() else tensor.zero_()
    return model.state_dict()


@pytest.mark.parametrize("name", ["squeezenet1_1", "mnasnet0_5", "regnet_y_400mf", "shufflenet_v2_x0_5"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_every_tensor_of_any_classifier_is_loaded(tmp_path, name, suffix):
    state, path = small_state(name), tmp_path / f"mine{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    loaded = networks.load(name, path)
    assert not loaded.training
    for key, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, state[key]), key


def test_old_names_of_densenet_and_auxiliary_classifiers_are_understood():
    tensors = {"features.denseblock1.denselayer2.norm.1.weight": torch.zeros(2), "aux1.fc.bias": torch.zeros(1),
               "features.norm0.num_batches_tracked": torch.tensor(3)}  # fmt: skip
    names = networks._current_names(tensors)
    assert list(names) == ["features.denseblock1.denselayer2.norm1.weight", "features.norm0.num_batches_tracked"]
    assert names["features.norm0.num_batches_tracked"].dtype == torch.int64


def test_files_without_counts_of_batches_are_read(tmp_path):
    """As torchvision's weights of resnet18 before version 0.13 are."""
    model = nn.Sequential(nn.BatchNorm2d(2)).to("meta")
    old = {f"0.{name}": torch.ones(2) for name in ("weight", "bias", "running_mean", "running_var")}
    assert networks._misfit(model, old) == ""
    assert model[0].num_batches_tracked == 0


def test_torchvisions_files_are_prepared_as_torchvision_does(tmp_path):
    assert networks.preprocessing("resnet50", tmp_path / "resnet50-11ad3fa6.pth") == Preprocessing(224, 232)
    assert networks.preprocessing("resnet50", tmp_path / "mine.pth") == Preprocessing(224, 256)
    assert networks.preprocessing("inception_v3", tmp_path / "mine.pth") == Preprocessing(299, 342)
    assert networks.preprocessing("vit_b_16", tmp_path / "vit_b_16_swag-9ac1b537.pth") == Preprocessing(
        384, 384, bicubic=True
    )


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(
        UserError, match="--network resnet19: torchvision has no such classifier; similar names: resnet1"
    ):
        networks.check_name("resnet19")
    assert networks.where_weights_are("alexnet") == "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
