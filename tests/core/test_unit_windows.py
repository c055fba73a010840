"""Windows of units, cut to the maps, against cases worked out by hand."""

import pytest
from torch import nn

from zfrepro.core.unit_windows import Level, Part, groups, index, levels, map_sizes, whole_fields

# 9 pixels -> conv 3, pad 1 -> 9 -> pool 2, stride 2 -> 4 -> conv 3, pad 1 -> 4
CHAIN = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3, padding=1)]
SIZES = [(9, 9), (9, 9), (9, 9), (4, 4), (4, 4)]


def test_sizes_of_the_maps():
    assert map_sizes(CHAIN, (9, 9)) == SIZES
    assert map_sizes([nn.MaxPool2d(2, ceil_mode=True)], (9, 8)) == [(9, 8), (5, 4)]


def test_what_of_a_window_is_outside_its_map():
    # windows of 4 rows and 3 columns of a map of 5 x 5: at (-1, 4) a row before it and two columns behind, at (1, 2) nothing,
    # at (-5, 0) all rows
    level = Level([(-1, 4), (1, 2), (-5, 0)], (4, 3), (5, 5))
    assert level.outside() == [[(0, 0, 1), (1, 1, 2)], [], [(0, 0, 4)]]


def test_windows_of_one_unit_are_cut_to_the_maps():
    # row 0, column 2 of the last map reads rows -1 ... 1 and columns 1 ... 3 of the pooled map; of its rows 0 ... 1 are there,
    # which pool rows 0 ... 3, columns 2 ... 7; those read rows -1 ... 4, columns 1 ... 8 of the image
    last, pooled, rectified, image = (levels(CHAIN, [(0, 2)], SIZES)[child] for child in (4, 3, 2, 0))
    assert last == Level([(0, 2)], (1, 1), (4, 4))
    assert pooled == Level([(0, 1)], (2, 3), (4, 4), (1, 0, 0, 0))
    assert rectified == Level([(0, 2)], (4, 6), (9, 9))
    assert image == Level([(0, 1)], (5, 8), (9, 9), (1, 0, 0, 0))
    assert pooled.with_border == (3, 3)
    assert image.with_border == (6, 8)


def test_windows_of_several_units_keep_what_one_of_them_needs():
    # the second unit, row 3, reads rows 2 ... 4 of 4, so that neither end is outside for both
    pooled = levels(CHAIN, [(0, 2), (3, 2)], SIZES)[3]
    assert pooled == Level([(-1, 1), (2, 1)], (3, 3), (4, 4))
    assert pooled.outside() == [[(0, 0, 1)], [(0, 2, 1)]]


@pytest.mark.parametrize("place", [0, 6])
def test_one_position_stays_of_windows_that_lie_outside(place):
    # conv 2, pad 3, over 2 pixels: output 0 reads pixels -3 and -2, output 6 reads 3 and 4, of 2
    chain = [nn.Conv2d(1, 1, 2, padding=3)]
    (image, _) = levels(chain, [(place, place)], map_sizes(chain, (2, 2)))
    assert image.side == (1, 1)
    assert image.with_border == (2, 2)
    assert image.outside() == [[(0, 0, 1), (1, 0, 1)]]


def test_whole_fields_are_not_cut():
    # three outputs of the last convolution read 3 pooled positions, 6 pixels of the first maps, 8 of the image
    assert whole_fields(CHAIN, [(0, 2), (3, 3)], SIZES) == Level([(-3, 1), (3, 3)], (8, 8), (9, 9))


def test_where_cut_windows_lie_in_whole_fields():
    field = whole_fields(CHAIN, [(0, 2), (3, 3)], SIZES)
    assert index(levels(CHAIN, [(0, 2)], SIZES)[0], [0], field) == ([0], slice(None), slice(3, 8), slice(0, 8))
    assert index(levels(CHAIN, [(3, 3)], SIZES)[0], [1], field) == ([1], slice(None), slice(0, 6), slice(0, 6))


FIELDS = Level([(-4, 0), (-4, 1), (5, 5), (0, 0)], (10, 10), (11, 11))  # 60, 60, 36 and 100 pixels inside


def test_units_whose_fields_lie_alike_go_together():
    assert groups(FIELDS, 0) == [[3], [0, 1], [2]]
    # with unit 2, that of unit 3 grows by 100 pixels, instead of 36 and those of a group
    assert groups(FIELDS, 50) == [[3, 0, 1], [2]]
    assert groups(FIELDS, 64) == [[3, 0, 1, 2]]
    assert groups(Level([], (10, 10), (11, 11)), 0) == []


def test_a_part_around_two():
    assert Part(4, 10, 0, 10).around(Part(0, 6, 1, 6)) == (0, 10, 0, 10)
    assert Part(4, 10, 0, 10).area == 60
