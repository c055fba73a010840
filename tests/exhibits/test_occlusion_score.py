"""The table of occlusion scores: its numbers are the toy's, of the same images in every row."""

import shutil

import numpy as np
import pytest
from helpers import toy_results

from zfrepro.errors import UserError
from zfrepro.exhibits import occlusion_score
from zfrepro.exhibits.kit.image_numbers import share_number
from zfrepro.exhibits.occlusion_score import Scores
from zfrepro.measurements.estimate import NotMeasured
from zfrepro.storage import artifacts


@pytest.fixture
def files(toy_stages, tmp_path):
    shutil.copytree(toy_stages / "occlusion", tmp_path / "occlusion")
    return {label: tmp_path / path for label, path in occlusion_score.needs(toy_results.config()).items()}


def shown(files):
    return {row.label: (row["value"], row["expected"], row["images"]) for row in occlusion_score.build(files).rows}


def change(files, **arrays):
    artifacts.save_arrays(files["scores"], **{**artifacts.load_arrays(files["scores"]), **arrays})


def keep(files, images):
    stored = artifacts.load_arrays(files["scores"])
    artifacts.save_arrays(files["scores"], **{key: values[images] for key, values in stored.items()})


def test_numbers_are_those_of_the_images(files):
    rows = shown(files)
    value, expected, count = rows["Difference, on the object minus elsewhere"]
    assert value.texts() == {"text": "-0.200"}  # the same in all images: no interval
    assert (expected.value, count.value) == (0, 39)
    value, expected, count = rows["Pointing game (% of images)"]
    assert (value.value, expected.value) == (pytest.approx(100 * 30 / 39), 50)
    assert (value.low, value.high) == pytest.approx((61.7, 87.4), abs=0.1)  # Wilson's, 30 of 39
    value = rows["Lower on the object (% of images)"][0]
    assert (value.value, round(value.low, 1)) == (100, 91.0)  # 39 of 39 is not certainty
    value = rows["Positions that change the label, on the object minus elsewhere (points)"][0]
    assert value.texts()["text"] == "+30.0"


def test_all_rows_are_about_the_same_images(files):
    """The first image has no share of its fall: it is in no row, also in those that it allows."""
    built = occlusion_score.build(files)
    conditions = {
        "The same, half of the images with the highest P(true class) (%)": 20,
        "These minima more than 14 pixels apart (% of images with both clear)": 30,
    }
    assert {row.label: row["images"].value for row in built.rows if row["images"].value != 39} == conditions
    assert "39 images of the val split, the same in every row unless it states a condition" in built.caption
    assert (
        "(120) and with positions of the square on and beside it (40). Left out because a quantity is undefined: 1."
        in built.caption
    )
    change(files, clean=np.append(1000.0, artifacts.load_arrays(files["scores"])["clean"][1:]))
    assert shown(files)["P(true class), uncovered"][0].value < 1


def test_minima_against_those_of_other_images(files):
    """30 images with clear minima, in 12 of them 18 pixels apart, the square 14."""
    value, expected, count = shown(files)["These minima more than 14 pixels apart (% of images with both clear)"]
    assert (value.value, count.value) == (40, 30)
    scores = Scores.load(files)
    distances = scores.distant_minima()
    assert np.diag(distances).tolist() == [False] * 18 + [True] * 12
    places = [
        np.stack([scores.values[f"{key}_top"], scores.values[f"{key}_left"]], 1)[scores.clear]
        for key in ("map", "true")
    ]
    pairs = [np.linalg.norm(places[0][i] - places[1][j]) > 14 for i in range(30) for j in range(30) if i != j]
    assert expected.value == pytest.approx(100 * np.mean(pairs))


def test_minima_by_hand(files):
    """Two images. Map (b) is lowest at 0, 0 and at 0, 20; P(true class) at 0, 0 and at 0, 0. Off the diagonal, one of two is apart."""
    keep(files, slice(20, 22))
    zero = np.zeros(2)
    change(files, map_top=zero, map_left=np.array([0, 20]), true_top=zero, true_left=zero)
    distances = Scores.load(files).distant_minima()
    assert distances.tolist() == [[False, False], [True, True]]
    assert occlusion_score.share_by_chance(distances) == 50
    with pytest.raises(ValueError, match="two images"):
        occlusion_score.share_by_chance(distances[:1, :1])


@pytest.mark.parametrize(
    ("name", "value", "clear"),
    [("map_fall", 0.2, True), ("map_fall", 0.19, False), ("true_fall", 0.1, False), ("map_rival", 0.8, True),
     ("map_rival", 0.81, False), ("true_rival", 0.9, False), ("map_rival", float("nan"), False)],
)  # fmt: skip
def test_which_minima_are_clear(files, name, value, clear):
    keep(files, slice(20, 22))
    change(files, **{name: np.array([value, 0.5])})
    assert Scores.load(files).clear.tolist() == [clear, True]


def test_numbers_that_are_not_finite_are_named(files):
    change(files, inside=np.append(np.inf, np.full(39, 0.5)))
    with pytest.raises(UserError, match=r"scores\.npz: inside holds values that are not finite"):
        occlusion_score.build(files)
    change(files, inside=np.full(40, 0.5), clean=np.append(np.nan, np.full(39, 0.5)))
    with pytest.raises(UserError, match="clean holds"):
        occlusion_score.build(files)


def test_no_image_with_a_box(files):
    keep(files, slice(0))
    about = artifacts.load_json(files["about"]) | {"split": "val", "split_correct": 1234}
    artifacts.save_json(files["about"], about | {"correct_with_box": 0, "correct_with_room": 0})
    with pytest.raises(NotMeasured, match=r"^of 1,234 correctly classified images of split val, 0 have a known box"):
        occlusion_score.build(files)


def test_a_single_image_has_no_interval_of_its_mean(files):
    keep(files, slice(1, 2))
    rows = shown(files)
    value, _, count = rows["P(true class), uncovered"]
    assert value.low is None
    assert count.value == 1
    assert not any(label.startswith("These minima") for label in rows)


def test_shares():
    hits = np.arange(10) < 5
    assert (share_number(hits).low, share_number(hits).high) == pytest.approx((23.66, 76.34), abs=0.01)  # Wilson's
    assert share_number(hits[:0]) is None
