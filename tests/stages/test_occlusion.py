"""The stage by hand: which images are scored, and that no number that is not finite leaves it."""

import numpy as np
import pytest
import torch

from zfrepro.core import localisation
from zfrepro.core import occlusion as core
from zfrepro.core.architecture import Network
from zfrepro.core.nets import build
from zfrepro.errors import UserError
from zfrepro.models.trained_network import NetworkOnSplit
from zfrepro.stages import occlusion, prepare
from zfrepro.storage import artifacts, network_file
from zfrepro.storage.prepared_set import PreparedSet

SPEC = occlusion.Spec(square=8, stride=28, score_stride=8, pictures=1)
SIZE = 64


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A network that calls every image the class with index 3, and 4 images a class."""
    folder = tmp_path_factory.mktemp("occlusion")
    options = {"set": "source", "size": 72, "train_per_class": 1, "val_per_class": 4}
    prepare.run(prepare.Spec(dataset="scenes", size=72, options=options), folder / "source", workers=1)
    source = PreparedSet(folder / "source/manifest.json")
    torch.manual_seed(0)
    network = Network(base="improved")
    net = build(network, SIZE, len(source.classes), 0.1)
    weights = net.state_dict()
    last = [name for name in weights if name.endswith("bias")][-1]
    weights[last] = 1.0 * (torch.arange(len(source.classes)) == 3)
    network_file.save(
        folder / "model.safetensors",
        weights,
        source.mean(),
        network_file.Description(network, 0.1, SIZE, tuple(source.classes)),
    )
    return {"weights": folder / "model.safetensors", "images": folder / "source/manifest.json", "device": "cpu"}


def test_images_that_leave_room_are_scored(inputs, tmp_path):
    occlusion.run(SPEC, out=tmp_path, **inputs)
    scores, about = artifacts.load_arrays(tmp_path / "scores.npz"), artifacts.load_json(tmp_path / "occlusion.json")
    source = PreparedSet(inputs["images"])
    correct = np.flatnonzero(source.labels("val") == 3)
    boxes = source.boxes("val") - 4  # the centre view of 64 in 72 pixels
    room = [i for i in correct.tolist() if localisation.leaves_room(SIZE, 8, 8, tuple(boxes[i].tolist()))]
    assert scores["picture"].tolist() == room
    assert room
    assert (about["correct_with_box"], about["correct_with_room"]) == (4, len(room))
    assert set(localisation.SCORES) <= set(scores)
    for name in ("inside", "outside", "touching", "elsewhere", "map_fall", "true_fall"):
        assert np.isfinite(scores[name]).all()
    assert set(scores["map_top"].tolist()) <= set(range(0, 57, 8))  # corners of the square, pixels


def test_the_most_probable_classes_are_recorded_at_every_position(inputs, tmp_path):
    """By one forward pass of the image with the square drawn into it."""
    occlusion.run(SPEC, out=tmp_path, **inputs)
    arrays = artifacts.load_arrays(tmp_path / "occlusion.npz")
    assert arrays["top_labels"].shape == arrays["top_probabilities"].shape == (1, 3, 3, 5)
    assert arrays["clean_top_labels"].shape == (1, 5)
    assert (arrays["top_labels"][..., 0] == 3).all()  # as the fixture says
    network = NetworkOnSplit(inputs["weights"], inputs["images"], "val", "cpu")
    covered = arrays["inputs"].copy()
    covered[0, 28:36, 56:64] = SPEC.grey
    for place, crops in (("clean_top", arrays["inputs"]), ("top", covered)):
        with torch.no_grad():
            expected = network.net(network.inputs(crops)).softmax(1)[0]
        labels, probabilities = (arrays[f"{place}_{what}"][0] for what in ("labels", "probabilities"))
        if place == "top":
            labels, probabilities = labels[1, 2], probabilities[1, 2]
        np.testing.assert_allclose(probabilities, expected[labels], rtol=1e-4)
        np.testing.assert_allclose(probabilities, expected.topk(5).values, rtol=1e-4)


@pytest.mark.parametrize("what", ["probabilities", "activations"])
def test_an_output_that_is_not_finite_is_named(inputs, tmp_path, monkeypatch, what):
    true = core.Occluder.__call__

    def broken(self, picture, grey):
        maps = true(self, picture, grey)
        getattr(maps, what)[0, 0] = float("nan")
        return maps

    monkeypatch.setattr(core.Occluder, "__call__", broken)
    with pytest.raises(UserError, match=r"model\.safetensors: outputs for image \d+ of split val are not finite"):
        occlusion.run(SPEC, out=tmp_path, **inputs)
    assert not any(tmp_path.iterdir())
