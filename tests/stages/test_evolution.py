"""Following a network through training, and its first layers: measures by hand, the stages against a second route."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from zfrepro.core import evolution as core
from zfrepro.core.architecture import Network
from zfrepro.core.choice import choose_maps
from zfrepro.core.nets import build
from zfrepro.errors import UserError
from zfrepro.stages import deconvnet, evolution, prepare, train
from zfrepro.storage import artifacts, network_file

RECIPE = {"width": 0.08, "input_size": 64, "batch": 32, "init": "he", "input_scale": 0.03125, "precision": "float32"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """source/ (prepared) and network/ (trained for two epochs, kept after a third of one, one and two)."""
    folder = tmp_path_factory.mktemp("evolution")
    options = {"set": "source", "size": 64, "train_per_class": 4, "val_per_class": 1}
    prepare.run(prepare.Spec(dataset="scenes", size=64, options=options), folder / "source", workers=1)
    spec = {"network": {"base": "improved"}, "epochs": 2, "snapshots": [0.34, 1, 2], **RECIPE}
    train.run(train.Spec.model_validate(spec), folder / "source/manifest.json", folder / "network", device="cpu")
    return folder


def inputs(place):
    network = place / "network"
    return {
        "weights": network / "model.safetensors", "snapshots": network / "snapshots.safetensors",
        "network": network / "network.json", "images": place / "source/manifest.json", "device": "cpu",
    }  # fmt: skip


@pytest.fixture(scope="module")
def result(place):
    evolution.run(evolution.Spec(maps=2, batch=40), out=place / "out", **inputs(place))
    return artifacts.load_arrays(place / "out/evolution.npz"), artifacts.load_json(place / "out/evolution.json")


@pytest.mark.parametrize("base", ["baseline", "improved"])
def test_the_shortened_network_gives_the_same_maps(base):
    torch.manual_seed(0)
    net, pictures = build(Network(base=base), 64, 5, 0.08).eval(), 50 * torch.randn(3, 3, 64, 64)
    short = core.up_to_convolutions(net, ["conv1", "conv5"])
    assert list(dict(short.named_children()))[-1] == "conv5"
    maps = pictures
    for name, child in net.named_children():
        maps = child(maps)
        if name == "relu5":
            break
    assert torch.equal(functional.relu(short(pictures)), maps)


def test_a_survey_finds_the_strongest_and_keeps_every_second_picture():
    """One 1x1 filter that passes the picture on: its responses are the pictures' maxima, but never below 0."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False))
    nn.init.ones_(net[0].weight)
    pictures = torch.tensor([[-1.0, -2], [3, 0], [1, 5], [0, 2], [4, 1]])[:, None, None]
    batches = [(slice(0, 3), pictures[:3]), (slice(3, 5), pictures[3:])]
    strongest, responses = core.survey(net, batches, {"0": 7}, 2)[7]
    assert (strongest.values[0, 0], strongest.images[0, 0], strongest.positions[0, 0].tolist()) == (5, 2, [0, 1])
    assert responses.tolist() == [[0], [5], [4]]


def test_similarity_is_the_cosine_of_the_angle_whatever_the_size():
    filters = torch.tensor([[1.0, 0], [1, 1]])
    assert core.filter_similarity(filters, 3 * filters) == pytest.approx(1)
    assert core.filter_similarity(filters, torch.tensor([[0.0, 2], [2, 2]])) == pytest.approx(0.5)


def test_correlation_is_pearsons_and_0_of_nothing():
    rows = np.array([[1.0, 2, 3], [1, 2, 3], [4, 4, 4], [1, 2, 4]])
    final = np.array([[5.0, 7, 9], [3, 2, 1], [1, 2, 3], [2, 1, 7]])
    correlations = core.correlations(rows, final)
    assert correlations[:3] == pytest.approx([1, -1, 0])
    assert correlations[3] == pytest.approx(np.corrcoef(rows[3], final[3])[0, 1])


@pytest.mark.parametrize(
    ("similarities", "expected"),
    [
        ([0.95, 0.99], 1),  # from the start
        ([0.5, 0.9], 3),  # reached exactly
        ([0.7, 0.8], 4),  # half way from 0.8 to the end's 1
        ([0.95, 0.8], 4),  # left again
    ],
)
def test_settled_is_the_last_crossing(similarities, expected):
    assert core.find_settling_time([1, 3], similarities, 5, 0.9) == pytest.approx(expected)


def test_the_first_maps_of_many_are_the_maps_of_few():
    live = np.arange(50) % 3 > 0
    assert choose_maps(live, 25, 3, 2)[:16].tolist() == choose_maps(live, 16, 3, 2).tolist()


def test_the_last_snapshot_of_a_whole_training_is_settled(result):
    _, about = result
    assert (about["epochs"], about["training"], about["pictures"], about["compared"]) == ([0.34, 1.0, 2.0], 2, 96, 96)
    for layer in about["layers"].values():
        for what in ("filters", "responses", "same_picture", "projections"):
            assert layer[what][-1] == pytest.approx(1)
        assert layer["responses"][0] < 0.999


def test_strongest_activations_are_those_of_the_whole_network(place, result):
    """The network of the first snapshot, put together by hand and run on all pictures at once."""
    arrays, _ = result
    net, mean, _ = network_file.load(place / "network/model.safetensors")
    snapshots, _ = artifacts.load_weights(place / "network/snapshots.safetensors")
    early = {name.removeprefix("epoch0.34."): w for name, w in snapshots.items() if name.startswith("epoch0.34.")}
    net.load_state_dict({**net.state_dict(), **early})
    pictures = np.load(place / "source/images.npy")[:96] - mean
    maps = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    for name, child in net.named_children():
        if name == "flatten":
            break
        maps = child(maps).detach()
        if name in ("relu1", "relu4"):
            chosen = torch.from_numpy(arrays[f"maps_{name[-1]}"])
            values, indices = maps[:, chosen].flatten(2).amax(2).max(0)
            assert arrays[f"pictures_{name[-1]}"][0].tolist() == indices.tolist()
            np.testing.assert_allclose(arrays[f"values_{name[-1]}"][0], values, rtol=1e-4)
    assert arrays["projections_4"].shape == (3, 2, 64, 64, 3)
    assert arrays["patches_1"].shape == (3, 2, 7, 7, 3)
    assert arrays["patches_1"].dtype == np.uint8


def test_the_same_bits_again_and_few_pictures_are_spread(place, tmp_path):
    for attempt in "ab":
        spec = evolution.Spec(maps=1, pictures=10, compared=4)
        evolution.run(spec, out=tmp_path / attempt, **inputs(place))
    assert (tmp_path / "a/evolution.npz").read_bytes() == (tmp_path / "b/evolution.npz").read_bytes()
    about = artifacts.load_json(tmp_path / "a/evolution.json")
    assert (about["pictures"], about["compared"]) == (10, 4)  # every third: 0, 3, 6, 9
    assert evolution._evenly(96, 10).tolist() == [0, 9, 19, 28, 38, 48, 57, 67, 76, 86]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, r"snapshots\.safetensors: holds no snapshots; name epochs"),
        ({"epoch1.conv1.weight": torch.zeros(8, 3, 7, 7)}, r"snapshots of another network than .*model\.safetensors"),
    ],
)
def test_unusable_snapshots_are_named(place, tmp_path, tensors, message):
    artifacts.save_weights(tmp_path / "snapshots.safetensors", tensors, {"any": "metadata"})
    files = inputs(place) | {"snapshots": tmp_path / "snapshots.safetensors"}
    with pytest.raises(UserError, match=message):
        evolution.run(evolution.Spec(), out=tmp_path / "out", **files)
    assert not (tmp_path / "out").exists()


def test_deconvnet_measures_the_first_layers(place, tmp_path):
    files = {name: path for name, path in inputs(place).items() if name in ("weights", "images", "device")}
    deconvnet.run(deconvnet.Spec(maps={2: 4, 3: 1}, top=2), out=tmp_path, **files)
    arrays, about = artifacts.load_arrays(tmp_path / "features.npz"), artifacts.load_json(tmp_path / "features.json")
    filters = arrays["filters_1"]
    assert arrays["rms_1"] == pytest.approx([np.sqrt((item**2).mean()) for item in filters])
    assert arrays["bands_1"].sum(1) == pytest.approx(1)
    assert arrays["spectrum_1"].sum() == pytest.approx(1)
    assert arrays["silent_1"].shape == arrays["peaks_1"].shape == (len(filters),)
    assert (about["stride"], list(about["layers"])) == (2, ["2", "3"])
    assert 0 < about["projected"]["high"] < 1
    assert about["projected"]["lines"] > 0
    assert arrays["lines_2"].shape == arrays["squares_2"].shape == (len(arrays["projections_2"]),) == (4,)
    assert [item["name"] for item in about["path"]][:4] == ["conv1", "relu1", "pool1", "norm1"]
    assert [example["unpooled"][0][2] for example in about["pooling"]] == [3, 5]


def test_deconvnet_without_layer_2_has_no_spectrum_of_it(place, tmp_path):
    files = {name: path for name, path in inputs(place).items() if name in ("weights", "images", "device")}
    deconvnet.run(deconvnet.Spec(maps={1: 1}, top=1), out=tmp_path, **files)
    assert artifacts.load_json(tmp_path / "features.json")["projected"] is None
    assert "spectrum_2" not in artifacts.load_arrays(tmp_path / "features.npz")
