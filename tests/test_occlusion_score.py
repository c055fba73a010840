"""The table of occlusion scores: its numbers are the toy's, its intervals bracket them, too few pictures are told."""

import numpy as np
import pytest
import toy_results

from zfrepro import artifacts
from zfrepro.exhibits import occlusion_score


@pytest.fixture
def files(tmp_path):
    toy_results.write(tmp_path)
    return {label: tmp_path / path for label, path in occlusion_score.needs(toy_results.config()).items()}


def shown(files):
    return {row.cells[0]: row.cells[1:] for row in occlusion_score.build(files).rows}


def test_numbers_are_those_of_the_pictures(files):
    rows = shown(files)
    value, expected, count = rows["Difference, on the object less elsewhere"]
    assert (value.texts()["text"], value.texts()["low"], value.texts()["high"]) == ("-0.200", "-0.200", "-0.200")
    assert (expected.value, count.value) == (0, 39)  # one box covers every position
    value, expected, count = rows["Pointing game (% of pictures)"]
    assert (value.value, expected.value, count.value) == (75, 50, 40)
    assert 55 < value.low < 75 < value.high < 90
    assert rows["Lower on the object (% of pictures)"][0].value == 100


def test_no_picture_with_a_box(files):
    stored = artifacts.load_arrays(files["scores"])
    artifacts.save_arrays(files["scores"], **{key: values[:0] for key, values in stored.items()})
    built = occlusion_score.build(files)
    assert "no picture" in built.rows[0].cells[0]
    assert built.png[1:4] == b"PNG"
    assert built.highlights == ()


def test_a_single_picture_has_no_interval(files):
    stored = artifacts.load_arrays(files["scores"])
    artifacts.save_arrays(files["scores"], **{key: values[1:2] for key, values in stored.items()})
    value, _, count = shown(files)["P(true class), uncovered"]
    assert value.low is None
    assert count.value == 1


def test_a_row_that_no_picture_allows_is_empty(files):
    stored = artifacts.load_arrays(files["scores"])
    artifacts.save_arrays(files["scores"], **{**stored, "outside": np.full(40, np.nan)})
    value, _, count = shown(files)["P(true class), square elsewhere"]
    assert value is None
    assert count.value == 0
