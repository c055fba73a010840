"""NaN and infinity stop every stage with one message that names the file and the layer; the checks by hand, and their limits."""

import ast
import dataclasses
import importlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import toy_results

from zfrepro.core import correspondence as core_correspondence
from zfrepro.core import evolution as core_evolution
from zfrepro.core import gram, hog, nets, newton, overlap
from zfrepro.core import invariance as core_invariance
from zfrepro.core import probes as core_probes
from zfrepro.core.architecture import Network
from zfrepro.core.finite import NotFiniteError, require_finite, require_finite_arrays, require_finite_record
from zfrepro.core.images import stored_box
from zfrepro.datasets import scenes
from zfrepro.datasets.base import DecodedImage, Listing
from zfrepro.errors import UserError
from zfrepro.exhibits.kit.base import Column, Row, Table, make_row
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.look import inspect, photo_network, torchvision_networks
from zfrepro.stages import (
    correspondence,
    deconvnet,
    evolution,
    exhibits,
    features,
    folds,
    invariance,
    occlusion,
    prepare,
    probes,
    report,
)
from zfrepro.storage import artifacts, network_file
from zfrepro.storage.prepared_set import PreparedSet

PACKAGE = Path(__file__).parents[2] / "zfrepro"
NETWORK = Network(base="improved")
NAN, INFINITY = float("nan"), float("inf")
ADVICE = r"; the network has diverged: lower `train\.recipe\.learning_rate`"


# The check itself


@pytest.mark.parametrize("values", [[1.0, NAN, 3.0], [INFINITY, 1.0, 2.0], [1.0, 2.0, -INFINITY]])
@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_one_of_three_values_is_named(values, make):
    with pytest.raises(NotFiniteError, match=r"^layer 5: 1 of 3 activations are not finite$"):
        require_finite(make(values), "activations", "layer 5")


def test_opposite_infinities_do_not_cancel():
    with pytest.raises(NotFiniteError, match=r"^2 of 4 scores are not finite$"):
        require_finite(np.array([[INFINITY, 1.0], [-INFINITY, 2.0]]), "scores")


@pytest.mark.parametrize(
    "values",
    [
        np.full(4, 3e38, np.float32),  # their sum is beyond float32, and they are not
        np.full(4, 6e4, np.float16),
        torch.full((4,), 3e38),
        torch.full((4,), 3e38, dtype=torch.bfloat16),
        np.array([], np.float32),
        torch.empty(0, 3),
        np.array([True]),
        torch.tensor([2**62, 2**62]),
    ],
)
def test_finite_values_are_given_back_as_they_are(values):
    assert require_finite(values, "values") is values


def test_nan_that_means_missing_is_allowed_by_name_only_and_infinity_never():
    arrays = {"score": np.array([NAN, 0.5]), "label": np.array([1, 2]), "name": np.array(["nan"])}
    require_finite_arrays(arrays, missing=("score",))
    with pytest.raises(NotFiniteError, match=r"^score: 1 of 2 values are not finite$"):
        require_finite_arrays(arrays)
    with pytest.raises(NotFiniteError, match=r"^score: 1 of 1 values is not finite$"):
        require_finite_arrays({"score": np.array([NAN, INFINITY])}, missing=("score",))


def test_a_number_deep_in_a_record_is_named():
    require_finite_record({"layers": [{"mean": 1.0, "low": None, "name": "nan"}], "n": 3})
    with pytest.raises(NotFiniteError, match=r"^layers\.1\.mean: nan is not finite$"):
        require_finite_record({"layers": [{"mean": 1.0}, {"mean": NAN}]})


# What comparisons would make of NaN


def test_a_difference_with_nan_is_no_unchanged_unit():
    net = torch.nn.Sequential()
    net.add_module("pool5", torch.nn.Identity())
    clean = torch.tensor([[1.0, NAN]])
    assert core_correspondence.signs(clean, torch.zeros(1, 2)).tolist() == [[1, 0]]
    with pytest.raises(NotFiniteError, match="layer 5: 1 of 2 activations"):
        core_correspondence.features(net, clean, {5: "pool5"})


def test_nan_is_no_correlation_of_0_and_no_settled_layer():
    with pytest.raises(NotFiniteError, match="1 of 3 values to correlate"):
        core_evolution.correlations(np.array([[1.0, 2.0, NAN]]), np.array([[1.0, 2.0, 3.0]]))
    with pytest.raises(NotFiniteError, match="1 of 2 similarities"):
        core_evolution.find_settling_time([1.0, 2.0], [0.5, NAN], 3.0, 0.9)


def test_a_map_whose_length_overflows_is_not_one_that_stays():
    """Squares of 1e30 are beyond float32: the length would be infinite, and the map divided by it 0."""
    with pytest.raises(NotFiniteError, match="lengths of maps"):
        core_invariance.distances(torch.full((1, 4), 1e30), torch.full((1, 4), 1e30))


def test_an_edge_that_is_not_finite_is_no_missing_box():
    assert stored_box((0, 0, 10, 10), 20, 20, 10) == (0, 0, 5, 5)
    for edges in ((NAN, 0, 10, 10), (0, 0, INFINITY, 10)):
        with pytest.raises(NotFiniteError, match="1 of 4 edges"):
            stored_box(edges, 20, 20, 10)


def test_a_small_copy_that_is_not_finite_is_no_flat_picture():
    with pytest.raises(NotFiniteError, match="1 of 2 small copies"):
        overlap._unit_vectors(torch.stack([torch.rand(4, 4, 3), torch.full((4, 4, 3), NAN)]))


def test_features_scores_and_odds_of_nan_stop_the_probes(monkeypatch):
    with pytest.raises(NotFiniteError, match="1 of 4 features"):
        gram.gram(np.array([[1.0, 2.0], [INFINITY, 4.0]], np.float16))
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 6)
    products = gram.gram(rng.normal(size=(12, 3)).astype(np.float32) + labels[:, None])
    task = core_probes.task(products, labels, np.arange(0, 12, 2), np.arange(1, 12, 2), inner=2)
    presence = np.eye(2, dtype=np.int8)[labels]
    several = core_probes.task(products, presence, np.arange(0, 12, 2), np.arange(1, 12, 2), inner=2)
    fit = newton.fit

    def fitted_wrong(*arguments):
        return dataclasses.replace(fitted := fit(*arguments), intercepts=torch.full_like(fitted.intercepts, NAN))

    monkeypatch.setattr(newton, "fit", fitted_wrong)
    monkeypatch.setattr(core_probes, "_accuracies", lambda kind, strengths, *_: np.ones(len(strengths)))
    for kind in ("softmax", "svm"):
        with pytest.raises(NotFiniteError, match="6 of 6 class scores"):
            core_probes.classify(task, kind)
    with pytest.raises(NotFiniteError, match="log odds"):
        core_probes.sigmoids(several)


# Every stage


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """source/ and caltech/ (prepared), network/ (untrained weights, snapshots, network.json), folds/"""
    folder = tmp_path_factory.mktemp("finite")
    sets = {
        "source": {"set": "source", "train_per_class": 1, "val_per_class": 2},
        "caltech": {"set": "caltech101", "per_class": 2},
    }
    for name, options in sets.items():
        spec = prepare.Spec(dataset="scenes", size=72, options={"size": 72, **options}, thumbnails=(16,))
        prepare.run(spec, folder / name, workers=1)
    source = PreparedSet(folder / "source/manifest.json")
    net = nets.build(NETWORK, 64, len(source.classes), 0.08)
    nets.initialise(net, "he", 0)
    save(folder / "network", net.state_dict(), source.mean(), source.classes)
    spec = {"epochs": 2, "schedule": "cosine"}
    artifacts.save_json(folder / "network/network.json", {"spec": spec})
    folds.run(folds.Spec(per_class=(1,), test_per_class=1, folds=1), images(folder, "caltech"), images(folder, "source"),
              folder / "folds", device="cpu")  # fmt: skip
    return folder


def images(folder, name="source"):
    return folder / name / "manifest.json"


def save(out, weights, mean, classes):
    """model.safetensors, and snapshots.safetensors of one and two epochs."""
    network_file.save(
        out / "model.safetensors", weights, mean, network_file.Description(NETWORK, 0.08, 64, tuple(classes))
    )
    convolutions = {name: tensor for name, tensor in weights.items() if name.startswith("conv")}
    snapshots = {f"epoch{epoch}.{name}": tensor.clone() for epoch in (1, 2) for name, tensor in convolutions.items()}
    artifacts.save_weights(out / "snapshots.safetensors", snapshots, {})


@pytest.fixture
def spoilt(place, tmp_path):
    """A function that spoils the network: change(weights) -> the folder of its files."""

    def spoil(change):
        shutil.copytree(place / "network", tmp_path / "network")
        net, mean, description = network_file.load(place / "network/model.safetensors")
        weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        change(weights)
        save(tmp_path / "network", weights, mean, description.classes)
        return tmp_path / "network"

    return spoil


def run_deconvnet(place, network, out, maps=None):
    spec = deconvnet.Spec(top=2, maps=maps or {1: 2, 5: 2})
    deconvnet.run(spec, network / "model.safetensors", images(place), out, device="cpu")


def run_evolution(place, network, out):
    files = [network / name for name in ("model.safetensors", "snapshots.safetensors", "network.json")]
    evolution.run(evolution.Spec(maps=2, compared=4), *files, images(place), out, device="cpu")


def run_invariance(place, network, out):
    spec = invariance.Spec(shift=4, shift_step=4, scales=2, turn_step=90.0, pictures=1, average=1)
    invariance.run(spec, network / "model.safetensors", images(place), out, device="cpu")


def run_correspondence(place, network, out):
    spec = correspondence.Spec(square=9, pictures=2, average=3, draws=2)
    correspondence.run(spec, network / "model.safetensors", images(place), out, device="cpu")


def run_occlusion(place, network, out):
    spec = occlusion.Spec(square=20, stride=22, score_stride=44, pictures=1, scored=1)
    occlusion.run(spec, network / "model.safetensors", images(place), out, device="cpu")


def run_features(place, network, out):
    features.run(
        features.Spec(layers=(5, 7)), images(place, "caltech"), out, network / "model.safetensors", device="cpu"
    )


# Stage -> how to run it, and what it says of a network whose layer 5 overflows
LOOKING = {
    "deconvnet": (run_deconvnet, "layer 5: [0-9]+ of [0-9]+ activations are"),
    "evolution": (run_evolution, "layer 5: [0-9]+ of [0-9]+ activations are"),
    "invariance": (run_invariance, "layer 7: [0-9]+ of [0-9]+ activations are"),
    "correspondence": (run_correspondence, "layer 5: [0-9]+ of [0-9]+ activations are"),
    "occlusion": (run_occlusion, "layer relu5: [0-9]+ of [0-9]+ activations are"),
    "features": (run_features, "layer 5: [0-9]+ of [0-9]+ activations are"),
}
looking_stage = pytest.mark.parametrize("stage", LOOKING)


@looking_stage
def test_a_healthy_network_passes(place, tmp_path, stage):
    LOOKING[stage][0](place, place / "network", tmp_path / "out")
    assert any((tmp_path / "out").iterdir())


@looking_stage
@pytest.mark.parametrize("value", [NAN, -INFINITY])
def test_a_weight_that_is_not_finite_stops_the_stage(place, spoilt, tmp_path, stage, value):
    """In the last layer, which most of these stages never look at."""
    network = spoilt(lambda weights: weights["full8.bias"].__setitem__(3, value))
    message = rf"network/model\.safetensors: full8\.bias: 1 of 24 weights are not finite{ADVICE}"
    with pytest.raises(UserError, match=message):
        LOOKING[stage][0](place, network, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@looking_stage
def test_activations_that_overflow_stop_the_stage(place, spoilt, tmp_path, stage):
    """Every weight is finite, and 1e20 times 1e25 is not in float32."""

    def grow(weights):
        weights["conv4.weight"] *= 1e20
        weights["conv5.weight"] *= 1e25

    network = spoilt(grow)
    run, message = LOOKING[stage]
    with pytest.raises(UserError, match=rf"network/model\.safetensors: {message} not finite{ADVICE}"):
        run(place, network, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


@looking_stage
def test_a_mean_image_that_is_not_finite_stops_the_stage(place, tmp_path, stage):
    net, mean, description = network_file.load(place / "network/model.safetensors")
    shutil.copytree(place / "network", tmp_path / "network")
    mean[5, 6, 1] = NAN
    save(tmp_path / "network", net.state_dict(), mean, description.classes)
    with pytest.raises(UserError, match=rf"model\.safetensors: mean image: 1 of 15552 values are not finite{ADVICE}"):
        LOOKING[stage][0](place, tmp_path / "network", tmp_path / "out")


@looking_stage
def test_the_file_of_a_training_that_diverged_stops_the_stage(place, tmp_path, stage):
    """It holds a description and no weights."""
    _, _, description = network_file.load(place / "network/model.safetensors")
    shutil.copytree(place / "network", tmp_path / "network")
    odd = dataclasses.replace(description, diverged="epoch 3, step 120: the training loss is NaN")
    for name in ("model.safetensors", "snapshots.safetensors"):
        artifacts.save_weights(tmp_path / "network" / name, {}, odd.metadata())
    message = r"network/model\.safetensors: contains no weights, because its training diverged \(epoch 3, step 120: "
    with pytest.raises(UserError, match=message):
        LOOKING[stage][0](place, tmp_path / "network", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_projections_that_overflow_stop_the_deconvnet(place, spoilt, tmp_path):
    """Activations of 1e30 times filters of 1e30."""
    network = spoilt(lambda weights: weights["conv5.weight"].mul_(1e30))
    message = rf"network/model\.safetensors: layer relu5: [0-9]+ of [0-9]+ projected values are not finite{ADVICE}"
    with pytest.raises(UserError, match=message):
        run_deconvnet(place, network, tmp_path / "out", {5: 2})


def test_a_snapshot_that_is_not_finite_stops_evolution(place, tmp_path):
    shutil.copytree(place / "network", tmp_path / "network")
    tensors, about = artifacts.load_weights(tmp_path / "network/snapshots.safetensors")
    tensors["epoch1.conv3.bias"][0] = INFINITY
    artifacts.save_weights(tmp_path / "network/snapshots.safetensors", tensors, about)
    message = rf"snapshots\.safetensors: epoch1\.conv3\.bias: 1 of [0-9]+ weights are not finite{ADVICE}"
    with pytest.raises(UserError, match=message):
        run_evolution(place, tmp_path / "network", tmp_path / "out")


def test_prepare_names_a_box_that_is_not_finite(tmp_path, monkeypatch):
    load = scenes.load

    def placed_nowhere(options, item):
        picture = load(options, item)
        return DecodedImage(picture.image, (0.0, 0.0, NAN, 5.0), picture.parts)

    monkeypatch.setattr(scenes, "load", placed_nowhere)
    options = {"set": "source", "size": 72, "train_per_class": 1, "val_per_class": 1}
    with pytest.raises(
        UserError, match=r"files cannot be read, and max_bad allows 0:\n.*: 1 of 4 edges of a box are not"
    ):
        prepare.run(prepare.Spec(dataset="scenes", size=72, options=options), tmp_path / "out", workers=1)
    assert not (tmp_path / "out/manifest.json").exists()


def test_prepare_gives_no_mean_of_no_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "listing", lambda options: Listing([], {"train": [], "val": []}))
    options = {"set": "source", "size": 72, "train_per_class": 1, "val_per_class": 1}
    with pytest.raises(UserError, match="split train: contains no image"):
        prepare.run(prepare.Spec(dataset="scenes", size=72, options=options), tmp_path / "out", workers=1)
    assert not (tmp_path / "out/manifest.json").exists()


def test_folds_name_a_set_whose_small_copies_are_not_finite(place, tmp_path, monkeypatch):
    thumbnails = overlap.thumbnails

    def damaged(images_of_set, size):
        copies = thumbnails(images_of_set, size)
        copies[0, 0, 0, 0] = NAN
        return copies

    monkeypatch.setattr(overlap, "thumbnails", damaged)
    arguments = images(place, "caltech"), images(place, "source"), tmp_path / "out"
    with pytest.raises(UserError, match=r"caltech: 1 of 48 small copies are not finite; prepare it and .*source again"):
        folds.run(folds.Spec(per_class=(1,), test_per_class=1, folds=1), *arguments, device="cpu")
    assert not (tmp_path / "out").exists()


def test_features_name_a_set_whose_hog_is_not_finite(place, tmp_path, monkeypatch):
    monkeypatch.setattr(hog, "cells", lambda batch: np.full((len(batch), 9, 9, 9), NAN, np.float32))
    with pytest.raises(
        UserError, match=r"caltech: HOG: [0-9]+ of [0-9]+ features are not finite; prepare the set again"
    ):
        features.run(features.Spec(kind="hog"), images(place, "caltech"), tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("value", [NAN, INFINITY])
def test_probes_name_a_layer_whose_features_are_not_finite(place, tmp_path, value):
    run_features(place, place / "network", tmp_path / "features")
    stored = np.load(tmp_path / "features/layer7.npy")
    stored[3, 4] = value
    np.save(tmp_path / "features/layer7.npy", stored)
    message = r"features/layer7\.npy: 1 of [0-9]+ features are not finite; delete .*features and run again"
    arguments = place / "folds/folds.json", images(place, "caltech"), tmp_path / "probes.json"
    with pytest.raises(UserError, match=message):
        probes.run(probes.Spec(inner=2), tmp_path / "features/features.json", *arguments, device="cpu")
    assert not (tmp_path / "probes.json").exists()


# Looking at photographs


@pytest.mark.parametrize(("name", "value"), [("conv1.weight", NAN), ("full8.bias", INFINITY)])
def test_look_names_weights_that_are_not_finite(spoilt, name, value):
    network = spoilt(lambda weights: weights[name].__setitem__((0,) * weights[name].ndim, value))
    with pytest.raises(UserError, match=rf"model\.safetensors: {name}: 1 of [0-9]+ weights are not finite{ADVICE}"):
        photo_network.open_trained(network / "model.safetensors", torch.device("cpu"))


def test_look_names_a_network_that_overflows(spoilt):
    network = spoilt(lambda weights: [weights[f"conv{layer}.weight"].mul_(1e25) for layer in (4, 5)])
    seeing = photo_network.open_trained(network / "model.safetensors", torch.device("cpu"))
    message = r"model\.safetensors: layer relu5: [0-9]+ of [0-9]+ activations are not finite; .*; use other weights"
    with pytest.raises(UserError, match=message):
        inspect.inspect(seeing, np.full((64, 64, 3), 200, np.uint8))


def test_look_names_weights_of_torchvision_that_are_not_finite(tmp_path, monkeypatch):
    from helpers.narrow_networks import narrow

    monkeypatch.setattr(torchvision_networks, "_model", narrow)
    weights = narrow("alexnet", classes=3).state_dict()
    weights["classifier.6.bias"][1] = NAN
    torch.save(weights, tmp_path / "mine.pth")
    with pytest.raises(
        UserError, match=r"mine\.pth: weights classifier\.6\.bias: 1 of 3 values are not finite; the training"
    ):
        photo_network.open_torchvision("alexnet", tmp_path / "mine.pth", photo_network.Choices(), torch.device("cpu"))


# Exhibits and the report


@pytest.fixture
def toy(toy_stages):
    return toy_stages


def read_by(name, toy):
    module = importlib.import_module(f"zfrepro.exhibits.{name}")
    return {label: toy / path for label, path in module.needs(toy_results.config()).items()}


def arrays_of(files):
    """(label, name, array) of every array of numbers that is not whole."""
    for label, path in files.items():
        for key, array in artifacts.load_arrays(path).items() if path.suffix == ".npz" else ():
            if array.dtype.kind == "f" and array.size:
                yield label, key, array


def test_exhibits_name_the_array_that_is_not_finite(toy, tmp_path):
    """Every array of one file of each kind that any exhibit reads: NaN stops it unless NaN means "none" there, then infinity."""
    kinds = {}  # (stage, file) -> exhibit, label, path
    for name in toy_results.EXHIBITS:
        for label, path in read_by(name, toy).items():
            kinds.setdefault((path.relative_to(toy).parts[0], path.name), (name, label, path))
    named_arrays = set()
    for name, label, path in kinds.values():
        for _, key, array in arrays_of({label: path}):
            wrong = array.copy()
            wrong.flat[0] = INFINITY if key in exhibits.MISSING else NAN
            np.savez(tmp_path / "wrong.npz", **{key: wrong})
            message = rf"wrong\.npz: {key}: 1 of {array.size} values are not finite; delete it and run again"
            with pytest.raises(UserError, match=message):
                exhibits.run(exhibits.Spec(name=name, files={label: tmp_path / "wrong.npz"}), tmp_path / "out")
            named_arrays.add(key)
    assert {
        "probabilities_1",
        "rms_1",
        "lines_2",
        "clean",
        "energy",
        "distance7_turn",
        "different_5",
        "correlation",
    } <= named_arrays
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["claims", "fig2_features", "fig6_first_layers", "occlusion_score"])
def test_exhibits_show_what_is_missing_as_missing(toy, tmp_path, name):
    """NaN in half of what may be missing: nothing printed reads "nan"."""
    files = read_by(name, toy)
    for label, path in list(files.items()):
        absent = {}
        for _, key, array in arrays_of({label: path}):
            if key in exhibits.MISSING:
                absent[key] = np.where(np.arange(len(array)) % 2, array, NAN)
        if absent:
            files[label] = tmp_path / f"{label.replace('/', '-')}.npz"
            np.savez(files[label], **{**artifacts.load_arrays(path), **absent})
    exhibits.run(exhibits.Spec(name=name, files=files), tmp_path / "out")
    for file in (f"{name}.csv", f"{name}.tex"):
        assert not re.search(r"(?i)(?<![a-z])(nan|inf)(?![a-z])", (tmp_path / "out" / file).read_text())
    page = artifacts.load_json(tmp_path / "out/exhibit.json")
    text = str([page[key] for key in ("caption", "alt", "notes", "highlights", "rows", "data")])
    assert not re.search(r"(?i)(?<![a-z])(nan|inf)(?![a-z])", text)


def test_exhibits_name_a_record_that_is_not_finite(toy, tmp_path):
    files = read_by("table2_imagenet", toy)
    record = artifacts.load_json(files["errors/improved"])
    record["views"]["1"]["top1"] = NAN
    (tmp_path / "errors.json").write_text(json.dumps(record))
    files["errors/improved"] = tmp_path / "errors.json"
    spec = exhibits.Spec(name="table2_imagenet", files=files)
    with pytest.raises(
        UserError, match=r"errors\.json: .*it contains NaN, which is not a finite number\); delete it and run again"
    ):
        exhibits.run(spec, tmp_path / "out")


@pytest.mark.parametrize("part", ["value", "low", "high", "spread"])
def test_a_cell_that_is_not_finite_is_named_and_never_printed(part):
    number = Number(**{"value": 1.0, part: NAN})
    with pytest.raises(FloatingPointError, match=rf"not finite \({part} nan\)"):
        number.texts()
    table = Table(
        "caption",
        (Column("run", "Run", "label"), Column("top1", "Top-1")),
        (Row({"run": "ours", "top1": number}),),
        b"",
        "",
    )
    with pytest.raises(FloatingPointError, match=rf"row 'ours', column top1: a number is not finite \({part} nan\)"):
        table.table()
    with pytest.raises(FloatingPointError):
        table.csv()
    assert Number(1.0, low=0.5, high=2.0).texts() == {"text": "1.0", "low": "0.5", "high": "2.0"}


def test_exhibits_turn_a_cell_that_is_not_finite_into_a_message(toy, tmp_path, monkeypatch):
    from zfrepro.exhibits import fig3_architecture

    build = fig3_architecture.build
    row = make_row(fig3_architecture.COLUMNS, {"layer": "conv1", "stride": Number(INFINITY)}, partial=True)
    monkeypatch.setattr(fig3_architecture, "build", lambda files: dataclasses.replace(build(files), rows=(row,)))
    spec = exhibits.Spec(name="fig3_architecture", files=read_by("fig3_architecture", toy))
    with pytest.raises(
        UserError, match=r"exhibit fig3_architecture: row 'conv1', column \w+: .*value inf\); run the stages"
    ):
        exhibits.run(spec, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_report_names_the_exhibit_that_is_not_finite(tmp_path):
    folder = tmp_path / "exhibits/fig3_architecture"
    folder.mkdir(parents=True)
    for suffix in ("csv", "tex", "png"):
        (folder / f"fig3_architecture.{suffix}").write_text("some")
    (folder / "exhibit.json").write_text('{"name": "fig3_architecture", "data": {"share": NaN}}')
    spec = report.Spec(experiment="toy", title="Toy", exhibits=("fig3_architecture",))
    with pytest.raises(
        UserError, match=r"exhibit\.json: .*it contains NaN, which is not a finite number\); delete it and run again"
    ):
        report.run(spec, tmp_path, tmp_path / "report")
    assert not (tmp_path / "report").exists()


# All of them

# Of the other stages: the file and the test that feeds each a number that is not finite
OTHERS = {
    "train": ("test_stages.py", "test_a_training_that_diverges_stops_and_says_where_and_what_to_do"),
    "evaluate": ("test_stages.py", "test_weights_that_are_not_finite_are_not_evaluated"),
    "scratch": ("test_transfer.py", "test_a_training_from_scratch_that_diverges_is_named"),
    "prepare": ("test_finite.py", "test_prepare_names_a_box_that_is_not_finite"),
    "folds": ("test_finite.py", "test_folds_name_a_set_whose_small_copies_are_not_finite"),
    "probes": ("test_finite.py", "test_probes_name_a_layer_whose_features_are_not_finite"),
    "exhibits": ("test_finite.py", "test_exhibits_name_the_array_that_is_not_finite"),
    "report": ("test_finite.py", "test_report_names_the_exhibit_that_is_not_finite"),
}


def test_every_stage_is_fed_a_number_that_is_not_finite():
    """A new stage belongs in LOOKING, or in OTHERS with a test of its own."""
    stages = {path.stem for path in (PACKAGE / "stages").glob("*.py") if path.stem != "__init__"}
    assert set(LOOKING) | set(OTHERS) == stages
    for file, test in OTHERS.values():
        tree = ast.parse((Path(__file__).parent / file).read_text())
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}: {test}"


def test_who_reads_a_networks_maps_checks_them():
    """Every function that calls `layer_outputs` calls `require_finite` as well, but for one that reads their sizes alone."""
    unchecked = set()
    for path in PACKAGE.rglob("*.py"):
        for function in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)):
            called = {
                ast.unparse(node.func).split(".")[-1] for node in ast.walk(function) if isinstance(node, ast.Call)
            }
            if "layer_outputs" in called and "require_finite" not in called:
                unchecked.add(f"{path.stem}.{function.name}")
    assert unchecked == {"features.sizes"}
