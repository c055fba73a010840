"""Occlusion scores on maps small enough to work out by hand."""

import math

import numpy as np

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
    there = np.zeros((3, 3), bool)
    assert math.isnan(localisation.mean_where(MAP, there))
    there[0] = True
    assert math.isclose(localisation.mean_where(MAP, there), 2.6 / 3)


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


def test_minima_apart():
    other = MAP.copy()
    other[0, 0] = 0
    assert localisation.distance_of_minima(MAP, MAP, 3) == 0
    assert math.isclose(localisation.distance_of_minima(MAP, other, 3), 3 * 2**0.5)


def test_positions_that_touch_a_box():
    # 10 px, square 4, stride 3: corners 0, 3, 6 cover 0-4, 3-7, 6-10
    expected = [[False, False, False], [True, True, False], [True, True, False]]
    assert localisation.touching(10, 4, 3, (0, 4, 6, 7)).tolist() == expected
    assert not localisation.touching(10, 4, 3, (0, 12, 10, 14)).any()


def test_the_scores_of_one_picture():
    box, kept = (4, 2, 8, 6), np.array([[True, True, True], [True, False, True], [True, True, True]])
    found = localisation.scores(MAP, 0.9, 10 * MAP, np.ones((10, 10)), kept, box, square=4, stride=3)
    assert math.isclose(found["inside"], 0.5)  # 0.9 and 0.1
    assert math.isclose(found["outside"], (0.9 + 0.8 + 0.9 + 0.5 + 0.9 + 1.0 + 0.9) / 7)
    # corners 0, 3, 6, so columns 0-4, 3-7, 6-10: the last two touch 4-8; rows 0-4 and 3-7 touch 2-6
    assert math.isclose(found["touching"], (0.9 + 0.8 + 0.1 + 0.5) / 4)
    assert math.isclose(found["elsewhere"], (0.9 + 0.9 + 0.9 + 1.0 + 0.9) / 5)
    assert math.isclose(found["energy"], 0.8 / 1.3)
    assert (found["pointing"], found["area"], found["kept"]) == (1, 2 / 9, 8 / 9)
    assert math.isclose(found["projection"], 1)
    assert found["minima"] == 0
    assert tuple(found) == localisation.SCORES
