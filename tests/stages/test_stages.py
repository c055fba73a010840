"""Each stage by hand on small artifacts: what it writes agrees with what it read, and bad input is named."""

import contextlib
import json
import threading

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from zfrepro.core.ranking import top_error
from zfrepro.core.training import Training
from zfrepro.errors import UserError
from zfrepro.models.trained_network import NetworkOnSplit
from zfrepro.stages import deconvnet, evaluate, occlusion, prepare, train
from zfrepro.storage import artifacts, network_file
from zfrepro.storage.prepared_set import PreparedSet

SMALL = {
    "network": {"base": "improved"},
    "width": 0.08,
    "input_size": 64,
    "epochs": 2,
    "batch": 32,
    "init": "he",
    "input_scale": 0.03125,
}
RECIPE = train.Spec.model_validate({**SMALL, "crops": "random", "snapshots": [0.5, 1], "precision": "float32"})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """source/, target/ (prepared) and network/ (trained)."""
    folder = tmp_path_factory.mktemp("stages")
    source = {"set": "source", "size": 72, "train_per_class": 4, "val_per_class": 2}
    target = {"set": "caltech101", "size": 64, "per_class": 5}
    for name, options in (("source", source), ("target", target)):
        prepare.run(prepare.Spec(dataset="scenes", size=options["size"], options=options), folder / name, workers=1)
    train.run(RECIPE, folder / "source/manifest.json", folder / "network", name="tiny", device="cpu")
    return folder


@pytest.fixture(scope="module")
def inputs(place):
    return {"weights": place / "network/model.safetensors", "images": place / "source/manifest.json", "device": "cpu"}


def test_train_leaves_what_it_promises(place):
    net, mean, description = network_file.load(place / "network/model.safetensors")
    assert description.input_size == 64
    assert len(description.classes) == 24
    assert np.array_equal(mean, PreparedSet(place / "source/manifest.json").mean())
    summary = artifacts.load_json(place / "network/network.json")
    assert summary["parameters"] == sum(p.numel() for p in net.parameters())
    assert summary["full_size"]["parameters"] == 62_357_608
    assert len((place / "network/history.csv").read_text().splitlines()) == 3
    snapshots, _ = artifacts.load_weights(place / "network/snapshots.safetensors")
    assert sorted({name.partition(".conv")[0] for name in snapshots}) == ["epoch0.5", "epoch1"]
    assert len(snapshots) == 2 * 10  # weights and biases of five convolutions


def test_a_snapshot_is_the_network_after_the_nearest_update(place):
    """96 pictures in batches of 32: half an epoch is one and a half updates, kept after the second."""
    assert train.snapshot_steps((0.1, 0.5, 1, 1.5), 3) == {0.1: 1, 0.5: 2, 1: 3, 1.5: 4}
    work = train._training(RECIPE, PreparedSet(place / "source/manifest.json"), torch.device("cpu"), torch.float32)
    snapshots, _ = artifacts.load_weights(place / "network/snapshots.safetensors")
    for steps in (1, 2, 3):
        work.step()
        same = [
            torch.equal(work.weights()["conv3.weight"], snapshots[f"{epoch}.conv3.weight"])
            for epoch in ("epoch0.5", "epoch1")
        ]
        assert same == [steps == 2, steps == 3]


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("killed", [True, False])
def test_snapshots_survive_an_end_at_any_step(place, tmp_path, monkeypatch, steps, killed):
    """Stopped: the saved state is of that very step. Killed: of the step before, which is then taken again."""
    asked, snapshots, step = threading.Event(), [], Training.step

    def until(self):
        step(self)
        snapshots.append(self.batch)
        if len(snapshots) == steps:
            if killed:
                raise KeyboardInterrupt
            asked.set()

    images, out = place / "source/manifest.json", tmp_path / "n"
    with monkeypatch.context() as patched:
        patched.setattr(Training, "step", until)
        patched.setattr(train, "stop_signal", lambda: contextlib.nullcontext(asked))
        with pytest.raises((SystemExit, KeyboardInterrupt)):
            train.run(RECIPE, images, out, "tiny", device="cpu", save_every=0)
    train.run(RECIPE, images, out, "tiny", device="cpu")
    for file in ("snapshots.safetensors", "model.safetensors"):
        assert (out / file).read_bytes() == (place / "network" / file).read_bytes()


class PausedStore(train.Store):
    """Saves its first state only when `go` is set, or after some seconds."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.states_written, self.go = [], threading.Event()

    def save_state(self, state):
        if not self.states_written:
            self.go.wait(10)
        self.states_written.append((state["training"]["epoch"], state["training"]["batch"]))
        super().save_state(state)


@pytest.fixture
def paused(monkeypatch):
    """The stores of trainings, each of which is slow to write its first state."""
    stores = []
    monkeypatch.setattr(train, "Store", lambda *arguments: stores.append(PausedStore(*arguments)) or stores[-1])
    return stores


def test_training_goes_on_while_a_state_is_written(place, tmp_path, monkeypatch, paused):
    """The first state is of step 1 of 6; it is written when step 4 is done and holds what was there after step 1."""
    steps, step, states = [], Training.step, []

    def count(self):
        step(self)
        steps.append(self.batch)
        if len(steps) == 1:
            states.append(self.state())
        if len(steps) == 4:
            assert paused[0].states_written == []
            paused[0].go.set()

    load, save = [], PausedStore.save_state
    monkeypatch.setattr(PausedStore, "save_state", lambda *arguments: load.append(arguments[1]) or save(*arguments))
    monkeypatch.setattr(Training, "step", count)
    train.run(RECIPE, place / "source/manifest.json", tmp_path / "n", "tiny", device="cpu", save_every=0)
    assert paused[0].states_written[0] == (0, 1)
    for name, tensor in states[0]["net"].items():
        assert torch.equal(load[0]["training"]["net"][name], tensor)
    assert load[0]["memory"]["history"] == []
    assert load[0]["memory"]["snapshots"] == {}
    assert (tmp_path / "n/model.safetensors").read_bytes() == (place / "network/model.safetensors").read_bytes()
    assert paused[0].states() == []


def test_a_stop_during_a_write_waits_for_it_and_writes_the_last_state(place, tmp_path, monkeypatch, paused):
    asked, steps, step = threading.Event(), [], Training.step

    def until(self):
        step(self)
        steps.append(self.batch)
        if len(steps) == 3:
            asked.set()
            threading.Timer(0.2, paused[0].go.set).start()

    images = place / "source/manifest.json"
    with monkeypatch.context() as patched:
        patched.setattr(Training, "step", until)
        patched.setattr(train, "stop_signal", lambda: contextlib.nullcontext(asked))
        with pytest.raises(SystemExit):
            train.run(RECIPE, images, tmp_path / "n", "tiny", device="cpu", save_every=0)
    assert paused[0].states_written == [(0, 1), (0, 3)]
    assert len(paused[0].states()) == 1
    train.run(RECIPE, images, tmp_path / "n", "tiny", device="cpu")
    assert (tmp_path / "n/model.safetensors").read_bytes() == (place / "network/model.safetensors").read_bytes()


def test_a_state_that_cannot_be_written_ends_training(place, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train.Store, "save_state", full)
    monkeypatch.setattr(train, "_write", lambda *_: pytest.fail("went on to its end"))
    with pytest.raises(OSError, match="No space left"):
        train.run(RECIPE, place / "source/manifest.json", tmp_path / "n", device="cpu", save_every=0)


@pytest.mark.parametrize("epochs", [[3], [0], [1, -0.5]])
def test_a_snapshot_outside_training_is_refused_by_name(epochs):
    with pytest.raises(
        ValidationError, match=r"snapshots\n.*epoch .* does not exist; choose epochs above 0 and up to 2"
    ):
        train.Spec.model_validate({**SMALL, "snapshots": epochs})


def test_snapshots_come_in_order_each_once():
    assert train.Spec.model_validate({**SMALL, "snapshots": [2, 0.25, 2]}).snapshots == (0.25, 2.0)


BROKEN = {**SMALL, "learning_rate": 1000, "filter_rms": None, "epochs": 6}


def test_a_training_that_diverges_stops_and_says_where_and_what_to_do(place, tmp_path):
    images = place / "source/manifest.json"
    with pytest.raises(
        UserError, match=r"odd: training diverged in epoch \d, step \d: .*Lower learning_rate, now 1000"
    ):
        train.run(train.Spec.model_validate(BROKEN), images, tmp_path / "odd", "odd", device="cpu")
    assert not (tmp_path / "odd").exists()


def test_a_recorded_divergence_has_no_numbers(place, tmp_path):
    """What `ablate` asks for: files without weights, which the stages refuse, and an evaluation without errors."""
    images, out = place / "source/manifest.json", tmp_path / "odd"
    train.run(train.Spec.model_validate(BROKEN), images, out, "odd", device="cpu", on_divergence="record")
    about = artifacts.load_json(out / "network.json")
    assert set(about["diverged"]) == {"epoch", "step", "what"}
    assert (
        len((out / "history.csv").read_text().splitlines()) == about["diverged"]["epoch"]
    )  # the heading, epochs before
    with pytest.raises(
        UserError, match=r"model\.safetensors: contains no weights, because its training diverged \(epoch"
    ):
        network_file.load(out / "model.safetensors")
    evaluate.run(evaluate.Spec(), out / "model.safetensors", out / "network.json", images, tmp_path / "e", device="cpu")
    errors, scores = artifacts.load_json(tmp_path / "e/errors.json"), artifacts.load_arrays(tmp_path / "e/scores.npz")
    assert errors["diverged"] == about["diverged"]
    assert errors["views"] == {}
    assert errors["train_top1"] is None
    assert list(scores) == ["labels"]


def test_weights_that_are_not_finite_are_not_evaluated(place, inputs, tmp_path):
    tensors, metadata = artifacts.load_weights(inputs["weights"])
    tensors["full8.bias"][0] = float("nan")
    artifacts.save_weights(tmp_path / "model.safetensors", tensors, metadata)
    with pytest.raises(UserError, match=r"model\.safetensors: full8\.bias: 1 of \d+ weights are not finite"):
        evaluate.run(
            evaluate.Spec(),
            network=place / "network/network.json",
            out=tmp_path / "e",
            **{**inputs, "weights": tmp_path / "model.safetensors"},
        )


def test_a_fade_needs_a_schedule_of_known_length():
    with pytest.raises(ValidationError, match="fade: the learning rates of the schedule `stall` are not known"):
        train.Spec.model_validate({**SMALL, "fade": 0.2})
    assert train.Spec.model_validate({**SMALL, "fade": 0.2, "schedule": "cosine"}).fade == 0.2


def test_how_far_first_weights_fade_is_written_down(place, tmp_path):
    spec = train.Spec.model_validate({**SMALL, "fade": 0.5, "schedule": "cosine"})
    train.run(spec, place / "source/manifest.json", tmp_path / "n", "n", device="cpu")
    about = artifacts.load_json(tmp_path / "n/network.json")
    assert about["faded_to"] == pytest.approx(0.5)
    assert about["diverged"] is None


def test_the_history_is_the_evaluation(place, inputs, tmp_path):
    """The last epoch's validation error is what `evaluate` finds in one view with the saved weights."""
    evaluate.run(
        evaluate.Spec(train_images=10, precision="float32"),
        network=place / "network/network.json",
        out=tmp_path,
        **inputs,
    )
    errors, scores = artifacts.load_json(tmp_path / "errors.json"), artifacts.load_arrays(tmp_path / "scores.npz")
    last = (place / "network/history.csv").read_text().splitlines()[-1].split(",")
    assert errors["views"]["1"]["top1"] == pytest.approx(float(last[5]))
    assert errors["n"] == 48
    for views in (1, 10):
        assert errors["views"][str(views)]["top5"] == top_error(scores[f"probabilities_{views}"], scores["labels"], 5)
        assert np.allclose(scores[f"probabilities_{views}"].sum(1), 1, atol=1e-4)


def test_deconvnet_and_occlusion_repeat_their_bits(inputs, tmp_path):
    for stage, spec, file in (
        (deconvnet, deconvnet.Spec(maps={1: 2, 3: 2}, top=3), "features.npz"),
        (occlusion, occlusion.Spec(square=20, stride=22, pictures=1), "occlusion.npz"),
    ):
        for attempt in ("a", "b"):
            stage.run(spec, out=tmp_path / attempt, **inputs)
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_every_tile_is_found_in_its_whole_image(inputs, place, tmp_path):
    """Of 64 pixels the whole images are kept as they are: a patch is what lies at its corner."""
    deconvnet.run(deconvnet.Spec(maps={1: 2, 3: 2}, top=3), out=tmp_path, **inputs)
    arrays = artifacts.load_arrays(tmp_path / "features.npz")
    shown = sorted({*arrays["pictures_1"].flat, *arrays["pictures_3"].flat})
    assert arrays["whole_pictures"].tolist() == shown
    assert arrays["whole"].shape == (len(shown), 64, 64, 3)
    for layer in (1, 3):
        patches, side = arrays[f"patches_{layer}"], arrays[f"patches_{layer}"].shape[2]
        for number, (top, left), patch in zip(
            arrays[f"pictures_{layer}"].flat,
            arrays[f"corners_{layer}"].reshape(-1, 2),
            patches.reshape(-1, side, side, 3),
            strict=True,
        ):
            image = arrays["whole"][shown.index(number)]
            np.testing.assert_array_equal(image[top : top + side, left : left + side], patch)


def test_whole_images_are_kept_small(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(deconvnet, "WHOLE", 32)
    deconvnet.run(deconvnet.Spec(maps={1: 1}, top=1), out=tmp_path, **inputs)
    arrays = artifacts.load_arrays(tmp_path / "features.npz")
    assert arrays["whole"].shape == (1, 32, 32, 3)
    network = NetworkOnSplit(inputs["weights"], inputs["images"], "val", "cpu")
    crop = network.crops(arrays["whole_pictures"])[0].astype(float)
    expected = crop.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(arrays["whole"][0], expected, atol=0.5)


def test_deconvnet_names_a_layer_that_is_not_there(inputs, tmp_path):
    with pytest.raises(UserError, match="layer 6"):
        deconvnet.run(deconvnet.Spec(maps={6: 2}), out=tmp_path, **inputs)
    assert not any(tmp_path.iterdir())


def rewrite(file, change):
    np.save(file, change(np.load(file)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "images.npy").unlink(), r"images\.npy: cannot be read"),
        (lambda folder: (folder / "images.npy").write_bytes((folder / "images.npy").read_bytes()[:-9]), r"images\.npy: cannot be read"),
        (lambda folder: rewrite(folder / "images.npy", np.int16), r"images\.npy: does not fit its manifest"),
        (lambda folder: rewrite(folder / "images.npy", np.asfortranarray), r"images\.npy: does not fit its manifest"),
        (lambda folder: (folder / "manifest.json").write_text("{"), r"manifest\.json: cannot be read as JSON"),
        (lambda folder: (folder / "index.npz").write_bytes(b"PK\x03\x04"), r"index\.npz: damaged"),
    ],
)  # fmt: skip
def test_a_damaged_prepared_set_is_named(place, tmp_path, damage, message):
    import shutil

    shutil.copytree(place / "source", tmp_path / "source")
    damage(tmp_path / "source")
    with pytest.raises(UserError, match=message):
        train.run(RECIPE, tmp_path / "source/manifest.json", tmp_path / "network", device="cpu")
    assert not (tmp_path / "network").exists()


@pytest.mark.parametrize("lost", [1, 100_000, 2_000_000])
def test_images_that_are_cut_short_during_training_are_named(place, tmp_path, monkeypatch, lost):
    """Validation images lie behind those of training; 2 MB reach into these."""
    import os
    import shutil

    shutil.copytree(place / "source", tmp_path / "source")
    images, step = tmp_path / "source/images.npy", Training.step

    def shorten(self):
        step(self)
        if self.images_seen == RECIPE.batch:
            os.truncate(images, images.stat().st_size - lost)

    monkeypatch.setattr(Training, "step", shorten)
    with pytest.raises(UserError, match=r"images\.npy: has become shorter while it was read.* delete .*source and run"):
        train.run(RECIPE, tmp_path / "source/manifest.json", tmp_path / "network", device="cpu")
    assert not (tmp_path / "network").exists()


def test_a_set_without_the_split_is_named(place, tmp_path):
    with pytest.raises(UserError, match="has no split 'train'; it has all"):
        train.run(RECIPE, place / "target/manifest.json", tmp_path / "network", device="cpu")


def test_a_full_disk_leaves_no_half_written_weights(place, tmp_path, monkeypatch):
    import os

    def full(_):
        raise OSError(28, "No space left on device")

    write = train._write
    monkeypatch.setattr(train, "_write", lambda *arguments: monkeypatch.setattr(os, "fsync", full) or write(*arguments))
    with pytest.raises(OSError, match="No space left"):
        train.run(RECIPE, place / "source/manifest.json", tmp_path / "network", device="cpu")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".writer.lock"]
    monkeypatch.undo()
    train.run(RECIPE, place / "source/manifest.json", tmp_path / "network", device="cpu")
    assert json.loads((tmp_path / "network/network.json").read_text())["run"] == "network"
