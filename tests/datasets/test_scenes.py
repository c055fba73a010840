"""`scenes`: the same pictures everywhere, boxes that fit, and classes distinguished by shape, not by colour."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zfrepro.datasets import scenes
from zfrepro.datasets.base import DecodedImage, Item
from zfrepro.datasets.drawing.catalogue import FACES, SETS
from zfrepro.errors import UserError

SPLIT = {"source": "train", "caltech101": "all", "caltech256": "all"}
EVERY_CLASS = [(set_, name) for set_, classes in SETS.items() for name in classes]
WITH_NOSE = [(s, name) for s, names in FACES.items() for name in names if name not in ("owl", "elephant", "frog")]
WHEELED = {"car": 2, "bus": 2, "truck": 2, "bicycle": 2, "motorcycle": 2, "train": 2, "tractor": 2}


@cache
def picture(set_: str, name: str, index: int, size: int = 64) -> DecodedImage:
    return scenes.load(scenes.Spec(set=set_, size=size), Item(f"{SPLIT[set_]}/{name}/{index:05d}", 0))


def pictures(set_: str, name: str, count: int = 6) -> list[DecodedImage]:
    return [picture(set_, name, i) for i in range(count)]


def fingerprint(image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def inside(part, outer, slack: float = 1.5) -> bool:
    return all(p >= w - slack for p, w in zip(part[:2], outer[:2], strict=True)) and all(
        p <= w + slack for p, w in zip(part[2:], outer[2:], strict=True)
    )


def test_listing_counts_and_unique_keys():
    spec = scenes.Spec(train_per_class=3, val_per_class=2)
    listing = scenes.listing(spec)
    items = [item for split in listing.splits.values() for item in split]
    assert {split: len(items) for split, items in listing.splits.items()} == {"train": 72, "val": 48}
    assert len({item.key for item in items}) == len(items)
    assert all(item.key.split("/")[1] == listing.classes[item.label] for item in items)
    assert list(scenes.listing(scenes.Spec(set="caltech101", per_class=4)).splits) == ["all"]


def test_sets_are_large_enough_and_share_no_class():
    names = [name for classes in SETS.values() for name in classes]
    assert len(names) == len(set(names))
    assert {set_: len(classes) for set_, classes in SETS.items()} == {"source": 24, "caltech101": 24, "caltech256": 24}


def test_the_same_in_another_process():
    code = (
        "import hashlib; from zfrepro.datasets import scenes; from zfrepro.datasets.base import Item;"
        "p = scenes.load(scenes.Spec(size=64), Item('train/owl/00003', 0));"
        "print(hashlib.sha256(p.image.tobytes()).hexdigest(), p.box)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    expected = scenes.load(scenes.Spec(size=64), Item("train/owl/00003", 0))
    assert out == f"{fingerprint(expected.image)} {expected.box}"


def test_counts_do_not_change_pictures_but_seed_split_and_index_do():
    def draw(key="train/cat/00001", **options):
        return fingerprint(scenes.load(scenes.Spec(size=64, **options), Item(key, 0)).image)

    assert draw() == draw(train_per_class=999, val_per_class=1)
    assert len({draw(), draw(seed=1), draw("val/cat/00001"), draw("train/cat/00002"), draw("train/dog/00001")}) == 5


@pytest.mark.parametrize(("set_", "name"), EVERY_CLASS)
def test_every_class_draws_with_boxes_that_fit(set_, name):
    for drawn in pictures(set_, name, 3):
        object_box = drawn.box
        assert drawn.image.size == (64, 64)
        assert drawn.image.mode == "RGB"
        assert np.asarray(drawn.image).std() > 8
        assert 0.58 * 64 <= max(object_box[2] - object_box[0], object_box[3] - object_box[1]) <= 0.96 * 64
        assert len(drawn.parts) >= 2
        for part in drawn.parts.values():
            assert part[0] < part[2]
            assert part[1] < part[3]
            assert inside(part, object_box)
            assert inside(part, (0, 0, 64, 64), slack=0)


@pytest.mark.parametrize(("set_", "name"), WITH_NOSE)
def test_faces_have_their_own_right_eye_on_our_left(set_, name):
    for drawn in pictures(set_, name, 12):
        right, left, nose = (drawn.parts[part] for part in ("right eye", "left eye", "nose"))
        assert right[0] + right[2] < left[0] + left[2]
        assert nose[1] + nose[3] > min(right[1] + right[3], left[1] + left[3])


def test_enough_source_classes_have_a_face():
    assert len([name for set_, name in WITH_NOSE if set_ == "source"]) >= 6


@pytest.mark.parametrize("set_", list(SETS))
def test_vehicles_have_wheels_below_their_middle(set_):
    for name in WHEELED.keys() & SETS[set_].keys():
        for drawn in pictures(set_, name):
            wheels = [box for part, box in drawn.parts.items() if part.endswith("wheel")]
            assert len(wheels) == WHEELED[name]
            assert all(box[3] > (drawn.box[1] + drawn.box[3]) / 2 for box in wheels)


def test_part_boxes_hold_what_they_name():
    """The nose of a bear is near black; the fur around it is not as dark."""
    darker = 0
    for drawn in pictures("source", "bear", 12):
        grey = np.asarray(drawn.image.convert("L"), float)
        x0, y0, x1, y1 = (round(v) for v in drawn.parts["nose"])
        hx0, hy0, hx1, hy1 = (round(v) for v in drawn.parts["head"])
        darker += grey[y0:y1, x0:x1].mean() < grey[hy0:hy1, hx0:hx1].mean()
    assert darker >= 10


def test_another_size_is_the_same_scene():
    small, large = picture("source", "house", 1), picture("source", "house", 1, size=128)
    assert large.image.size == (128, 128)
    assert np.allclose(np.array(large.box) / 2, small.box, atol=1.5)
    reduced = np.asarray(large.image.reduce(2), float)
    assert np.corrcoef(reduced.ravel(), np.asarray(small.image, float).ravel())[0, 1] > 0.8


def test_a_class_of_another_set_is_refused():
    with pytest.raises(UserError, match="no class 'panda'"):
        scenes.load(scenes.Spec(), Item("train/panda/00000", 0))


def colour_features(image: np.ndarray) -> np.ndarray:
    """Mean and spread of RGB, and a 4 x 4 x 4 colour histogram."""
    pixels = image.reshape(-1, 3)
    histogram = np.bincount((pixels // 64) @ np.array([16, 4, 1]), minlength=64) / len(pixels)
    return np.concatenate([pixels.mean(0) / 255, pixels.std(0) / 255, np.sqrt(histogram)])


def gradient_features(image: np.ndarray, cell: int = 8, turns: int = 6) -> np.ndarray:
    """Histograms of gradient direction, weighted by strength, in 8 x 8 pixel cells."""
    down, across = np.gradient(image.max(2).astype(np.float32))
    strength, angle = np.hypot(down, across), (np.arctan2(down, across) % np.pi) / np.pi
    n = image.shape[0] // cell
    histogram = np.zeros((n, n, turns))
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] // cell
    np.add.at(histogram, (rows, columns, (angle * turns).astype(int) % turns), strength)
    return np.sqrt(histogram.ravel() / (histogram.sum() + 1e-9))


def score(features, images: np.ndarray, labels: np.ndarray) -> float:
    rows = np.array([features(image) for image in images])
    model = make_pipeline(StandardScaler(), RidgeClassifier(alpha=300))
    return float(cross_val_score(model, rows, labels, cv=3).mean())


def test_classes_differ_in_shape_and_not_in_colour():
    names = list(SETS["source"])
    images = np.array([np.asarray(picture("source", name, i).image) for name in names for i in range(30)])
    labels = np.repeat(np.arange(len(names)), 30)
    chance = 1 / len(names)
    by_colour, by_shape = (score(features, images, labels) for features in (colour_features, gradient_features))
    assert by_colour < 3 * chance
    assert by_shape > max(6 * chance, 2.5 * by_colour)
