"""Occlusion scores on maps small enough to work out by hand."""

import math

import numpy as np
import pytest

from zfrepro.core import localisation

# 10 px, square 4, stride 3: corners 0, 3, 6, middles 2, 5, 8
MAP = np.array([[0.9, 0.9, 0.8], [0.9, 0.1, 0.5], [0.9, 1.0, 0.9]])  # uncovered: 0.9; falls 0.1, 0.8, 0.4


def test_middles_of_the_square():
    assert localisation.centres(10, 4, 3).tolist() == [2, 5, 8]
    inside = localisation.centred_in(10, 4, 3, (4, 2, 8, 6))  # x in 4-8, y in 2-6: the right and lower edge are out
    assert inside.tolist() == [[False, True, False], [False, True, False], [False, False, False]]


def test_share_of_the_fall_in_the_box():
    inside = np.zeros((3, 3), bool)
    inside[1, 1] = True
    assert math.isclose(localisation.energy_share(MAP, 0.9, inside), 0.8 / 1.3)
    assert math.isclose(localisation.energy_share(MAP, 0.9, ~inside), 0.5 / 1.3)
    assert math.isnan(localisation.energy_share(MAP, 0.05, inside))


def test_pointing():
    inside = np.zeros((3, 3), bool)
    assert not localisation.points_inside(MAP, inside)
    inside[1, 1] = True
    assert localisation.points_inside(MAP, inside)


def test_means_where_there_is_something():
    inside = np.zeros((3, 3), bool)
    assert math.isnan(localisation.mean_where(MAP, inside))
    inside[0] = True
    assert math.isclose(localisation.mean_where(MAP, inside), 2.6 / 3)


def test_covered_energy_is_the_sum_under_the_square():
    energy = np.random.default_rng(0).random((10, 10))
    covered = localisation.covered_energy(energy, 4, 3)
    expected = [[energy[y : y + 4, x : x + 4].sum() for x in (0, 3, 6)] for y in (0, 3, 6)]
    np.testing.assert_allclose(covered, expected, rtol=1e-12)


def test_ratio_of_weighted_to_plain_mean():
    values, weights = np.array([[4.0, 2.0], [0.0, 2.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    assert localisation.weighted_ratio(values, weights) == 0.5  # (2 + 0) / 2 against a mean of 2
    assert math.isnan(localisation.weighted_ratio(values, 0 * weights))
    assert math.isnan(localisation.weighted_ratio(0 * values, weights))


def test_the_minimum_and_its_rival():
    """Median 0.9. The minimum falls by 0.8 of it; of positions more than 4 pixels away, the corners, the best falls by 0.1."""
    minimum = localisation.minimum(MAP, square=4, stride=3)
    assert (minimum.top, minimum.left) == (3, 3)
    assert math.isclose(minimum.fall, 0.8 / 0.9)
    assert math.isclose(minimum.rival, 0.1 / 0.8)
    rival = MAP.copy()
    rival[2, 0] = 0.3  # sqrt(2) * 3 pixels away, more than the square's side; falls by 0.6
    assert math.isclose(localisation.minimum(rival, square=4, stride=3).rival, 0.6 / 0.8)
    assert localisation.minimum(rival, square=5, stride=3).rival == 0  # the square's side reaches it


def test_a_flat_map_has_no_clear_minimum():
    flat = localisation.minimum(np.full((3, 3), 0.5), square=4, stride=3)
    assert (flat.top, flat.left, flat.fall) == (0, 0, 0)
    assert math.isnan(flat.rival)
    silent = np.zeros((3, 3))
    assert math.isnan(localisation.minimum(silent, square=4, stride=3).fall)
    with pytest.raises(ValueError, match="not finite"):
        localisation.minimum(np.where(MAP > 0.9, math.nan, MAP), square=4, stride=3)


def test_room_beside_the_object():
    # 10 px, square 4, stride 3: corners 0, 3, 6, middles 2, 5, 8
    assert localisation.leaves_room(10, 4, 3, (4, 2, 8, 6))
    assert not localisation.leaves_room(10, 4, 3, (3, 3, 7, 7))  # the square touches it at all nine positions
    assert not localisation.leaves_room(10, 4, 3, (0, 0, 1, 1))  # no middle lies in it
    assert not localisation.leaves_room(10, 4, 3, (0, 0, 10, 10))


def test_positions_that_touch_a_box():
    # 10 px, square 4, stride 3: corners 0, 3, 6 cover 0-4, 3-7, 6-10
    expected = [[False, False, False], [True, True, False], [True, True, False]]
    assert localisation.touching(10, 4, 3, (0, 4, 6, 7)).tolist() == expected
    assert not localisation.touching(10, 4, 3, (0, 12, 10, 14)).any()


def test_the_scores_of_one_picture():
    box, correct = (4, 2, 8, 6), np.array([[True, True, True], [True, False, True], [True, True, True]])
    scores = localisation.scores(MAP, 0.9, 10 * MAP, np.ones((10, 10)), correct, box, square=4, stride=3)
    assert math.isclose(scores["inside"], 0.5)  # 0.9 and 0.1
    assert math.isclose(scores["outside"], (0.9 + 0.8 + 0.9 + 0.5 + 0.9 + 1.0 + 0.9) / 7)
    # corners 0, 3, 6, so columns 0-4, 3-7, 6-10: the last two touch 4-8; rows 0-4 and 3-7 touch 2-6
    assert math.isclose(scores["touching"], (0.9 + 0.8 + 0.1 + 0.5) / 4)
    assert math.isclose(scores["elsewhere"], (0.9 + 0.9 + 0.9 + 1.0 + 0.9) / 5)
    assert math.isclose(scores["energy"], 0.8 / 1.3)
    assert (scores["pointing"], scores["area"], scores["kept"]) == (1, 2 / 9, 8 / 9)
    assert math.isclose(scores["projection"], 1)
    assert (scores["map_top"], scores["map_left"], scores["true_top"], scores["true_left"]) == (3, 3, 3, 3)
    assert math.isclose(scores["map_fall"], 0.8 / 0.9)  # ten times as high, the same share
    assert math.isclose(scores["true_rival"], 0.1 / 0.8)
    assert tuple(scores) == localisation.SCORES
