"""Bad input: one ValueError each, which says what is wrong and what to do."""

import pytest
import torch
from torch import nn

from zfrepro.analysis import occlusion_maps, open_network, project


@pytest.fixture
def net():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(4, 5)).eval()


IMAGES = torch.zeros(2, 3, 9, 9)


def project_first(model, images=IMAGES, layer="0.2", **options):
    return project(model, images, layer, 0, **options)


def test_a_network_in_training_mode(net):
    with pytest.raises(ValueError, match=r"the network is in training mode, .*; call model.eval\(\)"):
        project_first(net.train())
    assert net.training
    net.eval()
    net[3].train()
    with pytest.raises(ValueError, match="module 3 is in training mode"):
        project_first(net)


def test_a_network_that_was_checked_before(net):
    opened = open_network(net)
    assert open_network(opened) is opened
    once, again = (project_first(model) for model in (net, opened))
    assert torch.equal(once.pixels, again.pixels)
    assert project_first(opened, torch.zeros(1, 3, 11, 11)).pixels.shape == (1, 3, 11, 11)
    net.train()
    with pytest.raises(ValueError, match="the network is in training mode"):
        project_first(opened)


def test_a_layer_that_does_not_exist(net):
    with pytest.raises(ValueError, match=r"no layer '0\.22'; similar names: 0\.2"):
        project_first(net, layer="0.22")
    with pytest.raises(ValueError, match=r"no layer 'conv1'; it has 0, 0\.0, 0\.1, .*, 5, \.\.\."):
        project_first(nn.Sequential(*net, nn.Identity(), nn.Identity(), nn.Identity()).eval(), layer="conv1")
    with pytest.raises(ValueError, match="after the colon stands the number of a call"):
        project_first(net, layer="0.2:last")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 9, 9), r"not one of shape \(3, 9, 9\); for one image pass images\[None\]"),
        (torch.zeros(0, 3, 9, 9), r"not one of shape \(0, 3, 9, 9\)"),
        (torch.zeros(1, 3, 9, 9, dtype=torch.uint8), "as floating point, not torch.uint8"),
        (
            torch.full((1, 3, 9, 9), torch.nan),
            "images: 243 of 243 values are not finite; check how the images are read",
        ),
        ([[0.0]], "not list"),
        (torch.zeros(1, 5, 9, 9), r"cannot take images of shape \(1, 5, 9, 9\): .*channels"),
        (torch.zeros(1, 3, 2, 2), r"cannot take images of shape \(1, 3, 2, 2\): .*[Kk]ernel size"),
    ],
)
def test_images_of_another_kind(net, images, message):
    with pytest.raises(ValueError, match=message):
        project_first(net, images)


def test_a_model_that_is_none():
    with pytest.raises(ValueError, match=r"model: give a torch.nn.Module, not str"):
        project_first("resnet18")


@pytest.mark.parametrize("name", ["0.0.weight", "0.1.running_var"])
def test_weights_that_are_not_finite(net, name):
    net.state_dict()[name].view(-1)[1] = torch.nan
    with pytest.raises(ValueError, match=rf"weights {name}: 1 of \d+ values are not finite; the training has diverged"):
        project_first(net)


def test_a_network_whose_images_depend_on_each_other(net):
    net[0][1] = nn.BatchNorm2d(4, track_running_stats=False).eval()
    with pytest.raises(ValueError, match=r"layer 0.2: an image's result changes with the other images of its batch"):
        project_first(net, torch.randn(2, 3, 9, 9))


def test_a_chain_with_a_module_that_mixes_its_batch():
    class Centred(nn.Module):
        def forward(self, scores):
            return scores - scores.mean(0)

    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 49, 5), Centred()).eval()
    assert open_network(model).chain is not None
    with pytest.raises(ValueError, match="the network's output: an image's result changes with the other images"):
        occlusion_maps(model, torch.randn(1, 3, 9, 9), square=3, stride=3)


def test_a_network_that_draws_at_random(net):
    class Random(nn.Module):
        def forward(self, maps):
            return nn.functional.dropout(maps)

    net[3] = Random().eval()
    with pytest.raises(ValueError, match=r"the network's output: an image's result changes with .* from pass to pass"):
        project_first(net, torch.randn(2, 3, 9, 9))


def test_a_network_that_changes_its_batch(net):
    class Folded(nn.Module):
        def forward(self, maps):
            return maps.view(-1, 2, *maps.shape[2:])

    model = nn.Sequential(nn.Conv2d(3, 4, 3), Folded()).eval()
    with pytest.raises(ValueError, match=r"layer 1: 2 results for one image and 4 for two, .*must keep its batch"):
        project_first(model, layer="1")


def test_layers_without_maps():
    class Two(nn.Module):
        def forward(self, maps):
            return maps, maps

    class Joined(nn.Module):
        def forward(self, pair):
            return pair[0] + pair[1]

    model = nn.Sequential(nn.Conv2d(3, 4, 3), Two(), Joined(), nn.Flatten(2)).eval()
    with pytest.raises(ValueError, match="layer 1: returns tuple; choose a layer that returns a tensor"):
        project_first(model, layer="1")
    with pytest.raises(ValueError, match=r"layer 3: its output has the shape \(1, 4, 49\); choose a layer of maps"):
        project_first(model, layer="3")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": 4}, "maps: from 0 to 3, not 4 to 4"),
        ({"maps": [0, 1, 2]}, r"maps: give one whole number, or one per image \(2\)"),
        ({"maps": 0.5}, "maps: give one whole number"),
        ({"positions": (7, 0)}, "positions: the layer's maps are 7 x 7, counted from 0; a position lies outside"),
        ({"positions": (0, 0, 0)}, r"positions: give \(row, column\), or whole numbers of shape \(2, 2\)"),
        ({"positions": "best"}, 'positions: "strongest", "all"'),
        ({"rectifier": "ignore"}, 'rectifier: "error" or "pass", not \'ignore\''),
        ({"batch": 0}, "batch: give a whole number of at least 1, not 0"),
    ],
)
def test_units_that_do_not_exist(net, options, message):
    with pytest.raises(ValueError, match=message):
        project(net, torch.randn(2, 3, 9, 9), "0.2", **{"maps": 0} | options)
