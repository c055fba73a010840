"""The drawn set with several objects per picture: what is listed is what is drawn, inside its box."""

from itertools import combinations

import numpy as np
import pytest

from zfrepro.datasets import scenes
from zfrepro.datasets.base import Item
from zfrepro.datasets.drawing.catalogue import SETS
from zfrepro.datasets.drawing.composition import draw_several
from zfrepro.datasets.drawing.rng import Rng
from zfrepro.errors import UserError
from zfrepro.stages import prepare
from zfrepro.storage.prepared_set import PreparedSet

SPEC = scenes.Spec(set="voc2012", size=64, train_per_class=20, val_per_class=3)
RECIPES = SETS["source"]


def drawn(index: int, small: list[bool]):
    rng = Rng(0, "test", index)
    names = [rng.pick(list(RECIPES)) for _ in small]
    return draw_several([RECIPES[name](rng) for name in names], small, rng, 64)


def longer(box) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def test_every_class_gives_the_label_as_often_as_any_other():
    listing = scenes.listing(SPEC)
    assert listing.classes == list(RECIPES)
    assert {split: len(items) for split, items in listing.splits.items()} == {"train": 480, "val": 72}
    assert np.bincount([item.label for item in listing.splits["train"]]).tolist() == [20] * 24
    items = listing.splits["train"] + listing.splits["val"]
    assert len({item.key for item in items}) == len(items)


def test_present_and_difficult_are_the_objects_drawn():
    items = scenes.listing(SPEC).splits["train"]
    for item in items:
        objects = scenes._objects(SPEC, item.key)
        names = list(RECIPES)
        assert (names[item.label], False) == objects[0]
        assert {names[c] for c in item.present} == {name for name, small in objects if not small}
        assert {names[c] for c in item.difficult} == {name for name, _ in objects} - {names[c] for c in item.present}
    assert {len(scenes._objects(SPEC, item.key)) for item in items} == {1, 2, 3, 4}
    assert 0.05 < np.mean([bool(item.difficult) for item in items]) < 0.25


def test_counts_do_not_change_what_is_in_a_picture():
    more = scenes.listing(SPEC.model_copy(update={"train_per_class": 25})).splits["train"]
    assert set(scenes.listing(SPEC).splits["train"]) < set(more)


@pytest.mark.parametrize("index", range(12))
def test_objects_lie_apart_and_the_first_is_the_largest(index):
    small = [False, False, index % 2 == 0, False][: 2 + index % 3]
    image, boxes = drawn(index, small)
    assert image.size == (64, 64)
    assert len(boxes) == len(small)
    for box in boxes:
        assert min(box) >= 0
        assert max(box) <= 64
    for first, second in combinations(boxes, 2):
        assert min(first[2], second[2]) <= max(first[0], second[0]) or min(first[3], second[3]) <= max(
            first[1], second[1]
        )
    assert longer(boxes[0]) > max(map(longer, boxes[1:]))
    if len(small) > 2 and small[2]:
        assert longer(boxes[2]) < 0.18 * 64
        assert longer(boxes[2]) < longer(boxes[1])


def test_one_object_is_drawn_as_large_as_in_the_other_sets():
    assert 0.58 * 64 <= longer(drawn(0, [False])[1][0]) <= 0.96 * 64


def test_a_box_is_where_the_object_is():
    """Edges are denser inside the boxes than around them."""
    denser = 0
    for index in range(12):
        image, boxes = drawn(index, [False, False])
        inside = np.zeros((64, 64), bool)
        for x0, y0, x1, y1 in np.round(boxes).astype(int):
            inside[y0:y1, x0:x1] = True
        edges = np.abs(np.diff(np.asarray(image.convert("L"), float), axis=1, prepend=128))[:, 1:]
        denser += edges[inside[:, 1:]].mean() > edges[~inside[:, 1:]].mean()
    assert denser >= 11


def test_a_class_that_it_has_not_is_refused():
    with pytest.raises(UserError, match="the set voc2012 has no class 'panda'"):
        scenes.load(SPEC, Item("train/panda/00000", 0))


def test_the_stage_stores_presence(tmp_path):
    options = {"set": "voc2012", "size": 32, "train_per_class": 1, "val_per_class": 1}
    prepare.run(prepare.Spec(dataset="scenes", size=16, options=options), tmp_path, workers=1)
    stored = PreparedSet(tmp_path / "manifest.json")
    items = scenes.listing(scenes.Spec(**options)).splits["val"]
    presence = stored.presence("val")
    assert presence.shape == (24, 24)
    assert [tuple(np.flatnonzero(row == 1)) for row in presence] == [item.present for item in items]
    assert [tuple(np.flatnonzero(row == -1)) for row in presence] == [item.difficult for item in items]
    assert (presence[np.arange(24), stored.labels("val")] == 1).all()
