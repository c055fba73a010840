"""The stage by hand on a small drawn set and an untrained network: its numbers against loops, and bad input by name."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from zfrepro.core import nets
from zfrepro.core.architecture import Network
from zfrepro.datasets.part_annotations import PARTS
from zfrepro.errors import UserError
from zfrepro.stages import correspondence, prepare
from zfrepro.storage import artifacts, network_file
from zfrepro.storage.prepared_set import PreparedSet

SMALL = {"square": 9, "pictures": 3, "average": 8, "draws": 2, "batch": 3}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """source/ (prepared), network/ and short/ (without layer 7), both untrained."""
    folder = tmp_path_factory.mktemp("correspondence")
    options = {"set": "source", "size": 72, "train_per_class": 1, "val_per_class": 2}
    prepare.run(prepare.Spec(dataset="scenes", size=72, options=options), folder / "source", workers=1)
    prepared = PreparedSet(folder / "source/manifest.json")
    for name, removed in (("network", ()), ("short", (7,))):
        description = network_file.Description(
            Network(base="improved", remove=removed), 0.08, 64, tuple(prepared.classes)
        )
        net = nets.build(description.network, 64, len(prepared.classes), 0.08)
        nets.initialise(net, "he", 0)
        network_file.save(folder / name / "model.safetensors", net.state_dict(), prepared.mean(), description)
    return folder


@pytest.fixture(scope="module")
def inputs(place):
    return {"weights": place / "network/model.safetensors", "images": place / "source/manifest.json", "device": "cpu"}


def run(out, inputs, **settings):
    correspondence.run(correspondence.Spec(**{**SMALL, **settings}), out=out, **inputs)
    return artifacts.load_arrays(out / "correspondence.npz"), artifacts.load_json(out / "correspondence.json")


@pytest.fixture(scope="module")
def done(inputs, tmp_path_factory):
    return run(tmp_path_factory.mktemp("done"), inputs)


def test_the_numbers_are_means_over_the_pairs(done):
    arrays, about = done
    assert [about["samples"][name]["pairs"] for name in ("shown", "all")] == [3, 28]
    assert arrays["places"].shape == (8, 5, 2)
    for layer in (5, 7):
        different = arrays[f"different_{layer}"]
        assert different.shape == (5, 8, 8)
        assert np.array_equal(different, different.transpose(0, 2, 1))
        assert not np.diagonal(different, axis1=1, axis2=2).any()
        for name, count in (("shown", 3), ("all", 8)):
            masks = about["samples"][name]["layers"][str(layer)]["masks"]
            pairs = [(i, j) for i in range(count) for j in range(i)]
            values = np.array([[mask[pair] for pair in pairs] for mask in different])
            assert [masks[part]["mean"] for part in PARTS] == pytest.approx(values[:3].mean(axis=1))
            assert masks["random"]["mean"] == pytest.approx(values[3:].mean())
            assert masks["nose"]["spread"] == pytest.approx(np.std(values[2], ddof=1))
            assert 0 < masks["nose"]["mean"] < 1
        assert 0.1 < arrays[f"active_{layer}"].mean() < 0.99  # behind a ReLU, where some are exactly 0


def test_one_mask_again_by_plain_loops(place, inputs, done):
    """The nose, picture by picture through the network, from the files of the prepared set."""
    arrays, about = done
    prepared = PreparedSet(inputs["images"])
    net, mean, _ = network_file.load(inputs["weights"])
    files = prepared.files("val").tolist()
    eps = []
    for entry in about["pictures"]:
        index = files.index(entry["file"])
        boxes = prepared.parts()
        box = boxes[(boxes.image == prepared.splits["val"][0] + index) & (boxes.part == "nose")].iloc[0]
        x, y = (box.x0 + box.x1) / 2 - 4, (box.y0 + box.y1) / 2 - 4  # the view begins 4 pixels in
        top, left = (min(max(round(middle - 4.5), 0), 64 - 9) for middle in (y, x))
        crop = prepared.images("val")[index][4:68, 4:68].astype(np.float32)
        masked = crop.copy()
        masked[top : top + 9, left : left + 9] = 124
        both = torch.from_numpy(np.stack([crop, masked]) - mean[4:68, 4:68]).permute(0, 3, 1, 2)
        with torch.no_grad():
            maps = net[: list(dict(net.named_children())).index("pool5") + 1](both).flatten(1)
        eps.append(torch.sign(maps[0] - maps[1]))
    expected = [[float((a != b).float().mean()) for b in eps] for a in eps]
    np.testing.assert_allclose(arrays["different_5"][2], expected, atol=0.02)  # passes of other shapes round otherwise
    active = about["samples"]["all"]["layers"]["5"]["active"]
    assert active == pytest.approx(arrays["active_5"].mean())


def test_same_input_same_bytes_and_another_seed_other_pictures(inputs, done, tmp_path):
    _, about = run(tmp_path / "a", inputs)
    run(tmp_path / "b", inputs)
    for file in ("correspondence.npz", "correspondence.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert about == done[1]
    _, other = run(tmp_path / "c", inputs, seed=1)
    assert other["pictures"] != about["pictures"]


def test_a_square_of_the_pictures_own_colour_changes_nothing(place, inputs, tmp_path):
    """Grey photographs under a grey square: not one bit of eps is left, whatever the batch."""
    rows = ["image,part,x0,y0,x1,y1"]
    for name in ("one", "two", "three"):
        Image.new("RGB", (72, 72), (124, 124, 124)).save(tmp_path / f"{name}.png")
        rows += [f"{name}.png,{part},{10 + 15 * i},20,{20 + 15 * i},30" for i, part in enumerate(PARTS)]
    (tmp_path / "parts.csv").write_text("\n".join(rows))
    arrays, about = run(tmp_path / "out", inputs, annotations=tmp_path / "parts.csv", batch=2)
    for layer in (5, 7):
        assert not arrays[f"different_{layer}"].any()
        assert (arrays[f"unchanged_{layer}"] == 1).all()
        nose = about["samples"]["all"]["layers"][str(layer)]["masks"]["nose"]
        assert (nose["mean"], nose["opposite"]) == (0, None)


def test_marked_photographs_give_what_the_same_pictures_of_the_set_give(place, inputs, done, tmp_path):
    arrays, about = done
    prepared = PreparedSet(inputs["images"])
    files, boxes, first = prepared.files("val").tolist(), prepared.parts(), prepared.splits["val"][0]
    rows = ["image,part,x0,y0,x1,y1"]
    for entry in about["pictures"]:
        index = files.index(entry["file"])
        name = f"{index}.png"
        Image.fromarray(np.array(prepared.images("val")[index])).save(tmp_path / name)
        for row in boxes[(boxes.image == first + index) & boxes.part.isin(PARTS)].itertuples():
            rows.append(f"{name},{row.part},{row.x0},{row.y0},{row.x1},{row.y1}")
    (tmp_path / "parts.csv").write_text("\n".join(rows))
    marked_arrays, marked_record = run(tmp_path / "out", inputs, annotations=tmp_path / "parts.csv")
    for layer in (5, 7):
        assert np.array_equal(marked_arrays[f"different_{layer}"][:3], arrays[f"different_{layer}"][:3])
    assert np.array_equal(marked_arrays["inputs"], arrays["inputs"])
    assert np.array_equal(marked_arrays["places"][:, :3], arrays["places"][:, :3])
    assert marked_record["marked_by_hand"]
    assert marked_record["pictures"][0]["class"] is None


def test_pictures_of_one_class(inputs, tmp_path):
    _, about = run(tmp_path, inputs, classes=("dog",))
    assert {entry["class"] for entry in about["pictures"]} == {"dog"}
    assert about["samples"]["all"]["pictures"] == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"square": 65}, r"correspondence.square: 65 px, but the network's input is 64 px"),
        ({"classes": ("dog",), "annotations": "parts.csv"}, r"leave `classes` or `annotations` out"),
        ({"annotations": "none.csv"}, r"none.csv: no such annotation file"),
    ],
)
def test_bad_settings_are_named_and_nothing_is_written(inputs, tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path, inputs, **settings)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"classes": ("wolf",)}, r"the set has no class wolf of correspondence.classes; there are cat, dog"),
        ({"classes": ("car",)}, r"0 images of split val show right eye, left eye, nose .*docs/annotations.md"),
        ({"split": "test"}, r"the set has no split test; it has train, val"),
    ],
)
def test_what_the_images_do_not_show_is_recorded(inputs, tmp_path, settings, reason):
    arrays, about = run(tmp_path, inputs, **settings)
    assert not arrays
    assert list(about) == ["not_measured"]
    assert re.match(reason, about["not_measured"])


def test_a_square_too_large_for_a_photograph_is_named(inputs, tmp_path):
    rows = ["image,part,x0,y0,x1,y1"]
    for name in ("one", "two"):
        Image.new("RGB", (72, 72)).save(tmp_path / f"{name}.png")
        rows += [f"{name}.png,{part},{10 + 15 * i},30,{20 + 15 * i},40" for i, part in enumerate(PARTS)]
    (tmp_path / "parts.csv").write_text("\n".join(rows))
    with pytest.raises(UserError, match=r"parts.csv: in 2 images no random square of 60 px fits"):
        run(tmp_path / "out", inputs, annotations=tmp_path / "parts.csv", square=60)


def test_a_network_without_layer_7_or_with_wild_weights_is_named(place, inputs, tmp_path):
    with pytest.raises(UserError, match=r"layer 7: this network does not have it; .* choose a run that has both"):
        run(tmp_path / "out", {**inputs, "weights": place / "short/model.safetensors"})
    net, mean, description = network_file.load(inputs["weights"])
    with torch.no_grad():
        net.conv5.bias.fill_(float("nan"))
    network_file.save(tmp_path / "wild.safetensors", net.state_dict(), mean, description)
    with pytest.raises(
        UserError, match=r"wild.safetensors: conv5.bias: \d+ of \d+ weights are not finite; the network has diverged"
    ):
        run(tmp_path / "out", {**inputs, "weights": tmp_path / "wild.safetensors"})
    assert not (tmp_path / "out").exists()
