"""Sizes, parameter counts and receptive fields that the paper's figures and tables imply."""

import pytest
from pydantic import ValidationError

from zfrepro.core.architecture import Conv, Network, describe, parameter_count, scaled


def test_figure_3_sizes():
    sizes = {row.name: row.size for row in describe(Network(base="improved"))}
    names = ["conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5"]
    assert [sizes[name] for name in names] == [110, 55, 26, 13, 13, 13, 13, 6]


def test_krizhevsky_sizes():
    sizes = {row.name: row.size for row in describe(Network(base="baseline"))}
    names = ["conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5"]
    assert [sizes[name] for name in names] == [55, 27, 27, 13, 13, 13, 13, 6]


def test_parameters_of_each_layer():
    counts = {row.name: row.parameters for row in describe(Network(base="improved")) if row.parameters}
    assert counts == {
        "conv1": 14_208,
        "conv2": 614_656,
        "conv3": 885_120,
        "conv4": 1_327_488,
        "conv5": 884_992,
        "full6": 37_752_832,
        "full7": 16_781_312,
        "full8": 4_097_000,
    }


def test_parameters_in_all():
    assert parameter_count(describe(Network(base="improved"))) == 62_357_608
    assert parameter_count(describe(Network(base="baseline"))) == 62_378_344


TABLE_3 = [
    ({"base": "baseline", "remove": (3, 4)}, 59.9),
    ({"base": "baseline", "remove": (7,)}, 45.6),
    ({"base": "baseline", "remove": (6, 7)}, 13.0),
    ({"base": "baseline", "remove": (3, 4, 6, 7)}, 10.5),
    ({"base": "baseline", "units": 2048}, 28.9),
    ({"base": "baseline", "units": 8192}, 154.6),
    ({"base": "improved", "units": 2048}, 28.8),
    ({"base": "improved", "units": 8192}, 154.5),
    ({"base": "improved", "maps": (512, 1024, 512)}, 107.6),
    ({"base": "improved", "maps": (512, 1024, 512), "units": 8192}, 237.6),
]


@pytest.mark.parametrize(("variant", "millions"), TABLE_3)
def test_table_3_variants(variant, millions):
    assert round(parameter_count(describe(Network(**variant))) / 1e6, 1) == millions


def test_removed_layers_leave_their_neighbours_connected():
    rows = {row.name: row for row in describe(Network(base="baseline", remove=(3, 4, 6, 7)))}
    assert rows["conv5"].inputs == 256
    assert rows["full8"].inputs == 6 * 6 * 256
    without_5 = {row.name: row for row in describe(Network(base="improved", remove=(5,)))}
    assert [name for name in without_5 if name.endswith("4")] == ["conv4", "pool4"]
    assert without_5["full6"].inputs == 6 * 6 * 384


def test_receptive_fields():
    rows = {row.name: (row.field, row.jump) for row in describe(Network(base="improved"))}
    assert [rows[f"conv{n}"] for n in range(1, 6)] == [(7, 2), (27, 8), (75, 16), (107, 16), (139, 16)]
    assert [rows[f"pool{n}"] for n in (1, 2, 5)] == [(11, 4), (43, 16), (171, 32)]
    baseline = {row.name: row.field for row in describe(Network(base="baseline"))}
    assert [baseline[f"conv{n}"] for n in range(1, 6)] == [11, 51, 99, 131, 163]


@pytest.mark.parametrize(
    ("base", "size", "layer"), [("improved", 6, 1), ("improved", 8, 1), ("improved", 20, 2), ("improved", 40, 5)]
)
def test_too_small_an_input_names_the_layer(base, size, layer):
    with pytest.raises(ValueError, match=f"^layer {layer} has an input of"):
        describe(Network(base=base), input_size=size)


def test_smallest_input_that_fits():
    assert min(row.size for row in describe(Network(base="improved"), input_size=60)) == 1


def test_widths_are_multiples_of_eight():
    assert [scaled(96, width) for width in (1, 0.5, 0.25, 0.1, 0.01)] == [96, 48, 24, 8, 8]
    maps = [row.outputs for row in describe(Network(base="improved"), width=1 / 3) if isinstance(row.op, Conv)]
    assert maps == [32, 88, 128, 128, 88]


@pytest.mark.parametrize("remove", [(1,), (2, 3), (8,), (3, 3)])
def test_layers_that_cannot_be_removed(remove):
    with pytest.raises(ValidationError, match="only layers 3, 4, 5, 6 and 7"):
        Network(base="improved", remove=remove)
