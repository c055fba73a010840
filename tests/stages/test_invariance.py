"""The stage by hand: its curves are those of plain forward passes on views cut from the pictures."""

import numpy as np
import pytest
import torch

from zfrepro.core.architecture import Network
from zfrepro.core.nets import build
from zfrepro.errors import UserError
from zfrepro.stages import invariance, prepare
from zfrepro.storage import artifacts, network_file
from zfrepro.storage.prepared_set import PreparedSet

SMALL = {"shift": 4, "shift_step": 2, "scales": 3, "turn_step": 90.0, "pictures": 3, "average": 4}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("invariance")
    options = {"set": "source", "size": 72, "train_per_class": 1, "val_per_class": 1}
    prepare.run(prepare.Spec(dataset="scenes", size=72, options=options), folder / "source", workers=1)
    source = PreparedSet(folder / "source/manifest.json")
    torch.manual_seed(0)
    network = Network(base="improved")
    net = build(network, 64, len(source.classes), 0.1)
    described = network_file.Description(network, 0.1, 64, tuple(source.classes))
    network_file.save(folder / "model.safetensors", net.state_dict(), source.mean(), described)
    return {"weights": folder / "model.safetensors", "images": folder / "source/manifest.json", "device": "cpu"}


@pytest.fixture(scope="module")
def stage_result(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    invariance.run(invariance.Spec(**SMALL), out=out, **inputs)
    return artifacts.load_arrays(out / "invariance.npz"), artifacts.load_json(out / "invariance.json")


def test_shifts_are_windows_cut_elsewhere(inputs, stage_result):
    arrays, _ = stage_result
    net, mean, _ = network_file.load(inputs["weights"])
    source = PreparedSet(inputs["images"])
    assert arrays["shift"].tolist() == [-4, -2, 0, 2, 4]

    def probabilities(index, top):
        window = source.images("val")[index, top : top + 64, 4:68].astype(np.float32) - mean[4:68, 4:68]
        with torch.no_grad():
            return net(torch.from_numpy(window).permute(2, 0, 1)[None]).softmax(1)[0]

    for row, index in enumerate(arrays["pictures"].tolist()):
        true = int(source.labels("val")[index])
        expected = [float(probabilities(index, 4 + shift)[true]) for shift in (-4, -2, 0, 2, 4)]
        np.testing.assert_allclose(arrays["probability_shift"][row], expected, rtol=1e-4)


def test_the_untouched_view_is_no_distance_away(stage_result):
    arrays, about = stage_result
    for kind, place in (("shift", 2), ("scale", 0), ("turn", 0), ("turn", -1)):
        for layer in ("1", "7"):
            curves = arrays[f"distance{layer}_{kind}"]
            assert curves[:, place].max() < 1e-3
            assert curves.max() <= about["largest"][layer]
            assert curves.max() > 0.01
    assert arrays["views_turn"].shape == (3, 8, 64, 64, 3)


def test_shown_pictures_are_of_different_classes_and_in_front(stage_result):
    arrays, about = stage_result
    assert len(set(arrays["labels"][: about["shown"]].tolist())) == about["shown"] == 3
    assert len(set(arrays["pictures"].tolist())) == len(about["pictures"]) == 7


def test_symmetric_classes_are_also_rotated(inputs, stage_result, tmp_path):
    source = PreparedSet(inputs["images"])
    invariance.run(
        invariance.Spec(**{**SMALL, "pictures": (3, 7), "symmetric": (source.classes[7], source.classes[3])}),
        out=tmp_path,
        **inputs,
    )
    arrays = artifacts.load_arrays(tmp_path / "invariance.npz")
    assert arrays["symmetric_labels"].tolist() == source.labels("val")[[3, 7]].tolist() == [3, 7]
    np.testing.assert_array_equal(arrays["symmetric_probability_turn"], arrays["probability_turn"][:2])
    np.testing.assert_array_equal(arrays["symmetric_distance7_turn"], arrays["distance7_turn"][:2])
    assert artifacts.load_json(tmp_path / "invariance.json")["symmetric"] == [source.classes[7], source.classes[3]]
    assert not [name for name in stage_result[0] if name.startswith("symmetric")]


def test_twice_the_same_bytes(inputs, tmp_path):
    for name in ("a", "b"):
        invariance.run(invariance.Spec(**{**SMALL, "average": 1}), out=tmp_path / name, **inputs)
    assert (tmp_path / "a/invariance.npz").read_bytes() == (tmp_path / "b/invariance.npz").read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shift": 64}, r"invariance\.shift: 64 px, but the network's input is 64 px"),
    ],
)
def test_bad_settings_are_named(inputs, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        invariance.run(invariance.Spec(**{**SMALL, **changes}), out=tmp_path / "out", **inputs)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pictures": (0, 99)}, "invariance.pictures is (0, 99), but split val has 24 images"),
        ({"pictures": 25}, "invariance.pictures is 25, but split val has 24 images"),
        ({"split": "test"}, "the set has no split test; it has train, val"),
    ],
)
def test_what_the_images_do_not_allow_is_recorded(inputs, tmp_path, changes, reason):
    invariance.run(invariance.Spec(**{**SMALL, **changes}), out=tmp_path, **inputs)
    assert artifacts.load_json(tmp_path / "invariance.json") == {"not_measured": reason}
    assert artifacts.load_arrays(tmp_path / "invariance.npz") == {}


def test_symmetric_classes_of_another_set_are_left_out(inputs, tmp_path, capsys):
    spec = invariance.Spec(**{**SMALL, "average": 1, "symmetric": ("sundial",)})
    invariance.run(spec, out=tmp_path, **inputs)
    assert artifacts.load_json(tmp_path / "invariance.json")["symmetric"] == []
    assert '{"symmetric_left_out": ["sundial"]}' in capsys.readouterr().out
