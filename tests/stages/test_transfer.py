"""Folds, features, probes and training from nothing, each on small drawn sets; bad input named."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from zfrepro.core import overlap
from zfrepro.errors import UserError
from zfrepro.stages import features, folds, prepare, probes, scratch, train
from zfrepro.storage import artifacts
from zfrepro.storage.fold_set import FoldedSet
from zfrepro.storage.prepared_set import PreparedSet

SMALL = {"network": {"base": "improved"}, "width": 0.08, "input_size": 64, "epochs": 1, "batch": 32, "init": "he"}
RECIPE = train.Spec.model_validate({**SMALL, "input_scale": 0.03125, "crops": "random", "precision": "float32"})
COMPARED = {"source": (16, 20), "caltech": (), "voc": ()}  # sizes of thumbnails
SPLIT = folds.Spec(per_class=(1, 2), test_per_class=2, folds=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """source/, caltech/, voc/ (prepared), network/ (trained), folds/<set>/"""
    folder = tmp_path_factory.mktemp("transfer")
    sets = {
        "source": {"set": "source", "train_per_class": 3, "val_per_class": 1},
        "caltech": {"set": "caltech101", "per_class": 5},
        "voc": {"set": "voc2012", "train_per_class": 3, "val_per_class": 2},
    }
    for name, options in sets.items():
        spec = prepare.Spec(dataset="scenes", size=72, options={"size": 72, **options}, thumbnails=COMPARED[name])
        prepare.run(spec, folder / "prepare" / name, workers=1)
    train.run(RECIPE, manifest(folder, "source"), folder / "network", name="tiny", device="cpu")
    for name in ("caltech", "voc"):
        folds.run(SPLIT, manifest(folder, name), manifest(folder, "source"), folder / "folds" / name, device="cpu")
    return folder


def manifest(folder, name):
    return folder / "prepare" / name / "manifest.json"


def copied(place, tmp_path, name="caltech"):
    """A set that a test may change."""
    shutil.copytree(place / "prepare" / name, tmp_path / "set")
    return tmp_path / "set/manifest.json"


def changed_images(path, change):
    images = np.load(path.with_name("images.npy"))
    change(images)
    np.save(path.with_name("images.npy"), images)
    return path


def split(place, images, out, **settings):
    folds.run(SPLIT.model_copy(update=settings), images, manifest(place, "source"), out, device="cpu")
    return artifacts.load_json(out / "folds.json")


def test_folds_hold_every_class_and_no_picture_twice(place):
    target = PreparedSet(manifest(place, "caltech"))
    folded = FoldedSet(place / "folds/caltech/folds.json", target)
    assert folded.sizes == (1, 2)
    assert folded.summary["test_pictures"] == {"1": 48, "2": 48}
    for k in folded.sizes:
        assert len(folded.folds(k)) == 2
        for fold in folded.folds(k):
            assert np.bincount(target.labels(None)[fold.train]).tolist() == [k] * 24
            assert not set(fold.train) & set(fold.test)


def test_folds_of_a_set_with_splits_of_its_own_are_these(place):
    target = PreparedSet(manifest(place, "voc"))
    folded = FoldedSet(place / "folds/voc/folds.json", target)
    assert folded.sizes == (None,)
    (fold,) = folded.folds(None)
    assert fold.train.tolist() == list(range(72))
    assert fold.test.tolist() == list(range(72, 120))


def test_a_picture_that_the_source_was_trained_on_is_left_out(place, tmp_path):
    trained_on = PreparedSet(manifest(place, "source")).images("train")

    def edit(images):
        images[7], images[8] = trained_on[11], trained_on[20, :, ::-1]  # one of them mirrored

    images = changed_images(copied(place, tmp_path), edit)
    record = split(place, images, tmp_path / "a")
    files, source = PreparedSet(images).files(None), PreparedSet(manifest(place, "source")).files("train")
    assert [(copy["file"], copy["source_file"]) for copy in record["overlap"]["left_out"]] == [
        (files[7], source[11]),
        (files[8], source[20]),
    ]
    assert record["used"] == 118
    folded = FoldedSet(tmp_path / "a/folds.json", PreparedSet(images))
    assert not {7, 8} & set(np.concatenate([part for f in folded.folds(2) for part in (f.train, f.test)]))
    pairs = artifacts.load_arrays(tmp_path / "a/overlap.npz")
    assert pairs["left_out"].tolist() == [True] * 2 + [False] * 10
    shown = pairs["files"].tolist().index([files[7], source[11]])
    assert shown < 2
    assert np.array_equal(pairs["pairs"][shown, 0], pairs["pairs"][shown, 1])
    assert [copy["file"] for copy in split(place, images, tmp_path / "b", mirrored=False)["overlap"]["left_out"]] == [
        files[7]
    ]


def test_a_cropped_copy_is_left_out_unless_only_wholes_are_compared(place, tmp_path):
    trained_on = PreparedSet(manifest(place, "source")).images("train")
    side = trained_on.shape[1]

    def edit(images):
        cut = Image.fromarray(trained_on[11][side // 20 :, side // 20 :])
        images[7] = np.asarray(cut.resize((images.shape[2], images.shape[1]), Image.Resampling.BICUBIC))

    images = changed_images(copied(place, tmp_path), edit)
    files = PreparedSet(images).files(None)
    left_out = split(place, images, tmp_path / "a")["overlap"]["left_out"]
    assert [image["file"] for image in left_out] == [files[7]]
    assert split(place, images, tmp_path / "b", crops=False, overlap=0.97)["overlap"]["left_out"] == []


def of_images(place, images, **settings):
    """The overlap as it was before there were thumbnails: of the stored images."""
    target, source = PreparedSet(images).all_images, PreparedSet(manifest(place, "source")).images("train")
    return overlap.find(target, source, **settings)


@pytest.mark.parametrize(("size", "crops"), [(16, True), (16, False), (20, True)])
def test_thumbnails_change_no_bit(place, tmp_path, size, crops):
    images = manifest(place, "caltech")
    split(place, images, tmp_path / "a", overlap_size=size, crops=crops)
    stored = artifacts.load_arrays(tmp_path / "a/folds.npz")
    correlation, match = of_images(place, images, size=size, mirrored=True, crops=crops)
    assert np.array_equal(stored["correlation"], correlation)
    assert np.array_equal(stored["source"], match)


def test_the_source_is_compared_by_its_thumbnails_alone(place, tmp_path, monkeypatch):
    """Only the target's 120 images are shrunk, besides those that are shown."""
    shrunk = []

    def counted(images, size, shrink=overlap.thumbnails):
        shrunk.append(len(images))
        return shrink(images, size)

    monkeypatch.setattr(overlap, "thumbnails", counted)
    split(place, manifest(place, "caltech"), tmp_path / "a", crops=False)
    assert shrunk == [120]


def copied_source(place, tmp_path):
    shutil.copytree(place / "prepare/source", tmp_path / "source")
    return tmp_path / "source/manifest.json"


def compare(place, source, out):
    folds.run(SPLIT, manifest(place, "caltech"), source, out, device="cpu")


def test_a_source_without_thumbnails_is_named_with_what_to_do(place, tmp_path):
    with pytest.raises(
        UserError, match=r"voc: was prepared without thumbnails of 16 pixels \(thumbnails16.npy\).*`thumbnails: \[16\]`"
    ):
        compare(place, manifest(place, "voc"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("length", [0, 60, 4000])
def test_thumbnails_that_are_cut_short_are_named(place, tmp_path, length):
    source = copied_source(place, tmp_path)
    os.truncate(source.with_name("thumbnails16.npy"), length)
    with pytest.raises(UserError, match=r"source/thumbnails16.npy: cannot be read .*; delete .*source and run again"):
        compare(place, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_thumbnails_of_other_images_are_named(place, tmp_path):
    source = copied_source(place, tmp_path)
    np.save(source.with_name("thumbnails16.npy"), np.zeros((5, 16, 16, 3), np.float32))
    with pytest.raises(UserError, match=r"source/thumbnails16.npy: does not fit its manifest.json"):
        compare(place, source, tmp_path / "out")


def test_a_thumbnail_that_is_not_finite_stops_the_search(place, tmp_path):
    source = copied_source(place, tmp_path)
    stored = np.load(source.with_name("thumbnails16.npy"))
    stored[5, 0, 0, 0] = np.nan
    np.save(source.with_name("thumbnails16.npy"), stored)
    with pytest.raises(UserError, match=r"1 of 72 small copies are not finite; prepare it and .*source again"):
        compare(place, source, tmp_path / "out")


def test_the_same_picture_twice_stops_or_is_dropped(place, tmp_path):
    def edit(images):
        images[9] = images[3]

    images = changed_images(copied(place, tmp_path), edit)
    files = PreparedSet(images).files(None)
    with pytest.raises(UserError, match=f"{files[9]} is the same image as {files[3]}; .*`duplicates: drop`"):
        split(place, images, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    record = split(place, images, tmp_path / "a", duplicates="drop")
    assert [(copy["file"], copy["of"]) for copy in record["duplicates"]] == [(files[9], files[3])]
    assert record["used"] == 119


def test_a_class_too_small_stops_or_is_dropped(place, tmp_path):
    images = manifest(place, "caltech")
    with pytest.raises(
        UserError, match=r"these classes have fewer than 5 training images and one test image: panda \(5\), mouse \(5\)"
    ):
        split(place, images, tmp_path / "a", per_class=(2, 5))
    with pytest.raises(UserError, match="5 training images"):  # none would be left
        split(place, images, tmp_path / "a", per_class=(2, 5), small="drop")
    assert not (tmp_path / "a").exists()
    trained_on = PreparedSet(manifest(place, "source")).images("train")

    def edit(images):
        images[5:8] = trained_on[5:8]  # of the second class two pictures are left

    smaller = changed_images(copied(place, tmp_path), edit)
    record = split(place, smaller, tmp_path / "a", small="drop")
    assert record["dropped"] == {"mouse": 2}
    assert len(record["classes"]) == 23
    assert "mouse" not in record["classes"]
    target = PreparedSet(smaller)
    for fold in FoldedSet(tmp_path / "a/folds.json", target).folds(1):
        assert 1 not in target.labels(None)[np.concatenate([fold.train, fold.test])]


def test_a_picture_in_both_halves_of_a_fold_is_named(place, tmp_path):
    shutil.copytree(place / "folds/caltech", tmp_path / "folds")
    arrays = artifacts.load_arrays(tmp_path / "folds/folds.npz")
    arrays["test2"][1, 0] = arrays["train2"][1, 5]
    artifacts.save_arrays(tmp_path / "folds/folds.npz", **arrays)
    target = PreparedSet(manifest(place, "caltech"))
    folded = FoldedSet(tmp_path / "folds/folds.json", target)
    folded.folds(1)
    file = target.files(None)[arrays["train2"][1, 5]]
    with pytest.raises(UserError, match=f"{file} is a training and a test image of fold 1"):
        folded.folds(2)


def compute_features(place, out, kind="network", target="caltech", **settings):
    weights = None if kind == "hog" else place / "network/model.safetensors"
    features.run(features.Spec(kind=kind, **settings), manifest(place, target), out, weights, device="cpu")
    return artifacts.load_json(out / "features.json")


def probed(place, made_in, out, target="caltech", **settings):
    summary = place / "folds" / target / "folds.json"
    probes.run(
        probes.Spec(inner=2, **settings), made_in / "features.json", summary, manifest(place, target), out, "cpu"
    )
    return artifacts.load_json(out)


def test_features_of_all_layers_are_kept_as_half_floats(place, tmp_path):
    record = compute_features(place, tmp_path / "a", batch=50)
    assert record["layers"] == [1, 2, 3, 4, 5, 7]
    for layer in record["layers"]:
        stored = np.load(tmp_path / f"a/layer{layer}.npy", mmap_mode="r")
        assert (stored.dtype, stored.shape) == (np.float16, (120, record["sizes"][str(layer)]))
        assert 0 < np.abs(stored).max() < np.inf
        assert stored[-1].any()
    compute_features(place, tmp_path / "b", batch=7)
    first, second = (np.load(tmp_path / name / "layer7.npy").astype(float) for name in "ab")
    np.testing.assert_allclose(first, second, rtol=0.01, atol=1e-3 * first.max())


def test_random_features_are_not_those_of_the_network(place, tmp_path):
    compute_features(place, tmp_path / "a", layers=(7,))
    record = compute_features(place, tmp_path / "b", kind="random")
    assert (record["kind"], record["layers"]) == ("random", [7])
    first, second = (np.load(tmp_path / name / "layer7.npy") for name in "ab")
    assert first.shape == second.shape
    assert not np.allclose(first, second, rtol=0.5)


def test_every_layer_fold_and_classifier_is_measured(place, tmp_path):
    compute_features(place, tmp_path / "a", layers=(2, 7))
    record = probed(place, tmp_path / "a", tmp_path / "a.json")
    measured = {
        (entry["layer"], entry["classifier"], entry["per_class"]): entry["folds"] for entry in record["accuracies"]
    }
    assert set(measured) == {
        (2, "softmax", 2), (2, "svm", 2), (7, "softmax", 1), (7, "softmax", 2), (7, "svm", 2),
    }  # fmt: skip
    assert all(len(values) == 2 and 0 <= min(values) <= max(values) <= 100 for values in measured.values())
    assert np.mean(measured[2, "svm", 2]) > 2 * 100 / 24
    assert record["precisions"] == []
    again = probed(place, tmp_path / "a", tmp_path / "b.json")
    assert again == {**record, "features": "b"}


def test_hog_features_are_classified_by_the_svm_only(place, tmp_path):
    assert compute_features(place, tmp_path / "a", kind="hog")["layers"] == [0]
    record = probed(place, tmp_path / "a", tmp_path / "a.json")
    assert [(entry["classifier"], entry["per_class"]) for entry in record["accuracies"]] == [("svm", 1), ("svm", 2)]
    assert np.mean(record["accuracies"][1]["folds"]) > 2 * 100 / 24


def test_a_set_with_several_classes_a_picture_has_average_precisions(place, tmp_path):
    compute_features(place, tmp_path / "a", layers=(7,), target="voc")
    record = probed(place, tmp_path / "a", tmp_path / "a.json", target="voc")
    assert record["accuracies"] == []
    assert [entry["classifier"] for entry in record["precisions"]] == ["softmax", "sigmoids"]
    for entry in record["precisions"]:
        assert len(entry["classes"]) == 24
        assert entry["low"] <= entry["mean"] <= entry["high"]
        measured = [value for value in entry["classes"] if value is not None]
        assert entry["mean"] == pytest.approx(np.mean(measured))


def test_pictures_of_difficult_objects_alone_do_not_train_the_softmax(place, tmp_path):
    images = copied(place, tmp_path, "voc")
    index = artifacts.load_arrays(images.with_name("index.npz"))
    labels, presence = index["labels"], index["presence"]
    presence[0:3, labels[0]] = -1  # all training pictures of the first class
    artifacts.save_arrays(images.with_name("index.npz"), **index)
    compute_features(place, tmp_path / "a", layers=(7,), target="voc")
    summary = place / "folds/voc/folds.json"
    probes.run(probes.Spec(inner=2), tmp_path / "a/features.json", summary, images, tmp_path / "a.json", "cpu")
    softmax, _ = artifacts.load_json(tmp_path / "a.json")["precisions"]
    shown = presence[72:, labels[0]]
    counted = np.flatnonzero(shown[shown >= 0] == 1) + 1
    in_order = np.arange(1, len(counted) + 1) / counted  # equal scores keep their order: its class is never named
    envelope = np.maximum.accumulate(in_order[::-1])[::-1]
    assert softmax["classes"][labels[0]] == pytest.approx(100 * envelope.mean())


def trained_alone(place, out, **settings):
    spec = scratch.Spec(**{"steps": 1, "per_class": (1, 2, 15), "folds": 2, **settings})
    network, summary = place / "network/network.json", place / "folds/caltech/folds.json"
    scratch.run(spec, network, summary, manifest(place, "caltech"), out, device="cpu")
    return artifacts.load_json(out)


def test_training_from_scratch_measures_each_requested_fold_once(place, tmp_path, capsys):
    record = trained_alone(place, tmp_path / "a.json", folds=1)
    assert [(entry["per_class"], len(entry["folds"])) for entry in record["accuracies"]] == [(1, 1), (2, 1)]
    assert capsys.readouterr().out.count('"fold"') == 2
    more = trained_alone(place, tmp_path / "a.json")
    assert capsys.readouterr().out.count('"fold"') == 2  # the first fold is known
    assert [entry["folds"][0] for entry in more["accuracies"]] == [entry["folds"][0] for entry in record["accuracies"]]


def test_few_pictures_are_seen_for_longer(place, tmp_path, monkeypatch):
    from zfrepro.core import training

    steps = []
    step = training.Training.step
    monkeypatch.setattr(training.Training, "step", lambda work: (steps.append(work.epoch), step(work)))
    trained_alone(place, tmp_path / "a.json", folds=1, per_class=(1,), steps=3)  # 24 images are one batch of 32
    assert steps == [0, 1, 2]


def test_the_fall_of_the_error_over_the_last_fifth_by_hand():
    """Of 20 epochs the tenth before the last fifth are the 15th and 16th, the last tenth the 19th and 20th."""
    errors = [90.0] * 14 + [20.0, 18.0, 15.0, 12.0, 11.0, 9.0]
    assert scratch.fall_at_end(errors) == pytest.approx((20 + 18) / 2 - (11 + 9) / 2)
    assert scratch.fall_at_end([50.0, 30.0]) == 20
    assert scratch.fall_at_end([50.0]) == 0


def test_training_from_scratch_takes_the_recipe_of_pretraining(place, tmp_path, monkeypatch):
    from zfrepro.core import training

    recipes = []
    built = training.Training.__init__
    monkeypatch.setattr(
        training.Training,
        "__init__",
        lambda work, *arguments: (recipes.append(arguments[2]), built(work, *arguments))[1],
    )
    record = trained_alone(place, tmp_path / "a.json", folds=1, per_class=(1,), steps=3)
    settings = artifacts.load_json(place / "network/network.json")["spec"]
    for field in ("learning_rate", "momentum", "weight_decay", "fade", "batch", "crops", "schedule", "filter_rms"):
        assert getattr(recipes[0], field) == settings[field]
    assert recipes[0].epochs == 3
    assert [len(record["accuracies"][0][what]) for what in ("folds", "train_error", "still_falling")] == [1, 1, 1]


def test_a_training_from_scratch_that_diverges_is_named(place, tmp_path):
    about = artifacts.load_json(place / "network/network.json")
    about["spec"] |= {"learning_rate": 1e6, "filter_rms": None, "init": "he", "input_scale": 1.0}
    artifacts.save_json(tmp_path / "network.json", about)
    spec, folds = scratch.Spec(steps=40, per_class=(1,), folds=1), place / "folds/caltech/folds.json"
    with pytest.raises(
        UserError, match=r"scratch of caltech101, 1 images per class, fold 0: training diverged \(epoch"
    ):
        scratch.run(
            spec,
            tmp_path / "network.json",
            folds,
            manifest(place, "caltech"),
            tmp_path / "caltech101.json",
            device="cpu",
        )


def test_folds_and_features_of_other_pictures_are_refused(place, tmp_path):
    compute_features(place, tmp_path / "a", layers=(7,))
    with pytest.raises(UserError, match=r"features\.json: computed from other images than"):
        probes.run(
            probes.Spec(),
            tmp_path / "a/features.json",
            place / "folds/voc/folds.json",
            manifest(place, "voc"),
            tmp_path / "x",
        )
    with pytest.raises(UserError, match=r"folds\.json: made for other images than"):
        probes.run(
            probes.Spec(),
            tmp_path / "a/features.json",
            place / "folds/voc/folds.json",
            manifest(place, "caltech"),
            tmp_path / "x",
        )


def test_a_damaged_layer_is_named(place, tmp_path):
    compute_features(place, tmp_path / "a", layers=(7,))
    path = tmp_path / "a/layer7.npy"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"layer7\.npy: cannot be read"):
        probed(place, tmp_path / "a", tmp_path / "a.json")
    path.unlink()
    with pytest.raises(UserError, match=r"layer7\.npy: cannot be read"):
        probed(place, tmp_path / "a", tmp_path / "a.json")
    assert not (tmp_path / "a.json").exists()


def test_a_network_that_diverged_is_named_and_leaves_nothing(place, tmp_path):
    tensors, about = artifacts.load_weights(place / "network/model.safetensors")
    tensors["full6.bias"] += 1e6
    artifacts.save_weights(tmp_path / "model.safetensors", tensors, about)
    with pytest.raises(
        UserError, match=r"model.safetensors: layer 7: \d+ of \d+ features exceed 65504, .* network has diverged"
    ):
        features.run(
            features.Spec(layers=(7,)),
            manifest(place, "caltech"),
            tmp_path / "a",
            tmp_path / "model.safetensors",
            device="cpu",
        )
    assert list((tmp_path / "a").iterdir()) == []


def test_weights_are_asked_for(place, tmp_path):
    with pytest.raises(UserError, match="--weights: give the file of a trained network"):
        features.run(features.Spec(), manifest(place, "caltech"), tmp_path / "a", device="cpu")


def test_a_network_without_the_layers_asked_for_is_named(place, tmp_path):
    short = train.Spec.model_validate({**RECIPE.model_dump(), "network": {"base": "improved", "remove": (6, 7)}})
    train.run(short, manifest(place, "source"), tmp_path / "short", name="short", device="cpu")
    weights = tmp_path / "short/model.safetensors"
    with pytest.raises(UserError, match="has none of the layers 7"):
        features.run(features.Spec(layers=(7,)), manifest(place, "caltech"), tmp_path / "a", weights, device="cpu")
    assert not (tmp_path / "a").exists()
