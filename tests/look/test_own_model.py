"""`--model module:function`: what the user's code returns, or one message about what is wrong with it."""

import sys

import pytest
import torch

from zfrepro.errors import UserError
from zfrepro.look import own_model, photo_network

CODE = """
import torch
from torch import nn

number = 3

def tiny():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).eval()

def training():
    return tiny().train()

def text():
    return "tiny"

def raises():
    raise RuntimeError("no weights\\nhere")

def maps():
    return tiny()[:2].eval()

def probabilities():
    return nn.Sequential(*tiny(), nn.Softmax(dim=1)).eval()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "look_own_nets.py").write_text(CODE)
    (tmp_path / "look_own_broken.py").write_text("import no_such_library")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("look_own_nets", None)


def opened(path, **choices):
    return photo_network.open_own(path, photo_network.Choices(**choices), torch.device("cpu"))


def test_the_functions_network_is_opened_with_its_classes_and_layers():
    network = opened("look_own_nets:tiny", size=32)
    assert network.classes == ("class 0", "class 1", "class 2", "class 3", "class 4")
    assert (network.size, network.layers, network.watched) == (32, {"1": "1"}, "1")
    assert torch.equal(network.net[0].weight, own_model.build("look_own_nets:tiny")[0].weight)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("look_own_nets", "give module:function"),
        (":tiny", "give module:function"),
        ("look_own_net:tiny", "there is no module look_own_net; start the command in the folder"),
        ("look_own_nets.deeper:tiny", "importing look_own_nets.deeper raised|there is no module look_own_nets.deeper"),
        ("look_own_broken:tiny", r"importing look_own_broken raised ModuleNotFoundError: No module named 'no_such_library' "
                                 r"\(look_own_broken.py, line 1\)"),
        ("look_own_nets:tyni", "look_own_nets has no tyni; similar names: .*tiny"),
        ("look_own_nets:number", "number is no function but int"),
        ("look_own_nets:raises", r"the function raised RuntimeError: no weights \(look_own_nets.py, line 18\)"),
        ("look_own_nets:text", "the function returned str; return a torch.nn.Module"),
        ("look_own_nets:training", "the network is in training mode.*; call model.eval\\(\\)"),
        ("look_own_nets:maps", r"the network returns a tensor of shape \(1, 4, 30, 30\) .*, no class scores"),
        ("look_own_nets:probabilities", "the network returns probabilities, no class scores; leave out the softmax"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_message(path, message):
    with pytest.raises(UserError, match=message) as raised:
        opened(path, size=32)
    assert str(raised.value).startswith(f"--model {path}: ")
    assert len(str(raised.value).splitlines()) == 1


def test_layers_are_chosen_by_name():
    assert opened("look_own_nets:tiny", size=32, layers=("0", "1")).layers == {"0": "0", "1": "1"}
    with pytest.raises(UserError, match=r"--model look_own_nets:tiny: the network has no layer '7'; it has 0, 1, 2"):
        opened("look_own_nets:tiny", size=32, layers=("7",))
