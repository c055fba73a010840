"""Sign changes against counting by hand and by plain loops; masks on pictures small enough to draw."""

import itertools

import numpy as np
import pytest
import torch

from zfrepro.core.architecture import Network
from zfrepro.core.correspondence import (
    Comparison,
    below_random,
    centre_on,
    compare,
    cover,
    estimate,
    features,
    free_positions,
    pair_values,
    resample_means,
    signs,
    squares,
)
from zfrepro.core.nets import build, initialise

CHILDREN = {5: "pool5", 7: "relu7"}


def test_three_pictures_by_hand():
    # unit:         1  2   3  4   5
    a, b, c = [1, 0, -1, 0, 1], [1, 0, 1, 0, 0], [0, 0, -1, 1, -1]
    comparison_of_signs = compare(torch.tensor([a, b, c], dtype=torch.int8))
    # a, b differ in units 3 and 5; a, c in 1, 4 and 5; b, c in 1, 3, 4 and 5: whatever the two values, each counts once
    assert (5 * comparison_of_signs.different).round(9).tolist() == [[0, 2, 3], [2, 0, 4], [3, 4, 0]]
    # 0 in both: units 2 and 4 of a and b, unit 2 of the other pairs; alone a has two zeros, b three, c two
    assert (5 * comparison_of_signs.unchanged).round(9).tolist() == [[2, 2, 1], [2, 3, 1], [1, 1, 2]]
    # 1 against -1: a, b in unit 3; a, c in unit 5; b, c in unit 3
    assert (5 * comparison_of_signs.opposite).round(9).tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    # not 0 in both: a, b units 1 and 3; a, c 3 and 5; b, c 3 alone
    assert (5 * comparison_of_signs.changed_in_both).round(9).tolist() == [[3, 2, 2], [2, 2, 1], [2, 1, 3]]
    # a, b: half of a's two are 1, both of b's: 2 (1/2 x 0 + 1/2 x 1) = 1; a, c likewise; b, c: 1 (1 x 1) = 1
    assert (5 * comparison_of_signs.by_chance).round(9)[np.triu_indices(3, 1)].tolist() == [1, 1, 1]


def test_a_sign_is_that_of_clean_minus_masked_and_0_its_own():
    clean, masked = torch.tensor([2.0, 0.0, 1e-45, -0.0, 3.0]), torch.tensor([1.0, 1.0, 0.0, 0.0, 3.0])
    assert signs(clean, masked).tolist() == [1, -1, 1, 0, 0]


@pytest.mark.parametrize(("pictures", "units"), [(2, 1), (7, 203), (12, 300)])
def test_equals_a_loop_over_pairs_and_units(pictures, units):
    clean, masked = torch.randint(0, 3, (2, pictures, units), generator=torch.Generator().manual_seed(units)).float()
    result = compare(signs(clean, masked))
    eps = (clean - masked).sign().int().tolist()
    for i, j in itertools.product(range(pictures), repeat=2):
        pairs = list(zip(eps[i], eps[j], strict=True))
        assert result.different[i, j] == sum(p != q for p, q in pairs) / units
        assert result.unchanged[i, j] == sum(p == q == 0 for p, q in pairs) / units
        assert result.opposite[i, j] == sum(p * q == -1 for p, q in pairs) / units
        both = [(p, q) for p, q in pairs if p and q]
        expected = sum((p != q) for p, _ in both for _, q in both) / max(len(both), 1)  # every sign with every sign
        assert result.by_chance[i, j] == pytest.approx(expected / units, abs=1e-12)


@pytest.fixture(scope="module")
def net():
    net = build(Network(base="improved"), 224, classes=6, width=1 / 12).eval()
    initialise(net, "he", 0)
    return net.to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)


def inputs(crops):
    return torch.from_numpy(crops.astype(np.float32) - 120).permute(0, 3, 1, 2)


def test_covering_with_the_own_pixels_changes_no_bit(net, crops):
    clean, again = features(net, inputs(crops), CHILDREN), features(net, inputs(crops.copy()), CHILDREN)
    assert {layer: values.shape for layer, values in clean.items()} == {5: (3, 864), 7: (3, 344)}
    for layer, values in clean.items():
        assert not signs(values, again[layer]).any()
        assert 0 < (values > 0).float().mean() < 1


def test_what_a_square_does_not_reach_keeps_its_bits(net, crops):
    """A square in the first picture's first corner: the other pictures and the far corner of layer 5 are as they were."""
    masked = crops.copy()
    masked[0, :10, :10] = 124
    clean, covered = features(net, inputs(crops), CHILDREN), features(net, inputs(masked), CHILDREN)
    changes = signs(clean[5], covered[5]).unflatten(1, (24, 6, 6))
    assert changes[0, :, 0, 0].any()
    assert not changes[0, :, 5, 5].any()  # its field begins at pixel 10 x 16 - 3 x 16 = 112
    assert not changes[1:].any()
    assert not signs(clean[7], covered[7])[1:].any()


def test_a_missing_layer_is_named(crops):
    with pytest.raises(ValueError, match="has no relu7"):
        features(build(Network(base="improved", remove=(7,)), 64, 6, 0.1), inputs(crops), CHILDREN)


def test_the_square_stands_where_it_should():
    crops = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    masked = cover(crops, np.array([[0, 1], [2, 2]]), 2, 9)
    assert masked[0, :, :, 0].tolist() == [[0, 9, 9, 0], [0, 9, 9, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert masked[1, :, :, 2].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 9, 9], [0, 0, 9, 9]]
    assert not crops.any()


@pytest.mark.parametrize(
    ("box", "corner"),
    [((4, 6, 8, 10), (6, 4)), ((4.4, 6.1, 8.4, 10.1), (6, 4)), ((0, 0, 2, 2), (0, 0)), ((18, 19, 20, 20), (16, 16))],
)
def test_a_square_of_4_is_centred_on_a_box_and_moved_inside_20_pixels(box, corner):
    assert centre_on(box, 4, 20) == corner


def test_free_places_by_hand():
    # 4 px, square 2: corners 0, 1, 2 each way; a box on pixel (0, 0) is touched from corner (0, 0) alone
    everywhere = {(top, left) for top in range(3) for left in range(3)}
    assert set(map(tuple, free_positions((0, 0, 4, 4), [(0, 0, 1, 1)], 2, 4).tolist())) == everywhere - {(0, 0)}
    assert free_positions((1, 0, 3.5, 3), [], 2, 4).tolist() == [[0, 1], [1, 1]]  # x 1 ... 3.5, y 0 ... 3
    assert free_positions((0, 0, 4, 4), [(1.5, 1.5, 2.5, 2.5)], 2, 4).tolist() == []
    assert free_positions((0, 0, 4, 4), [(0, 2, 4, 3)], 2, 4).tolist() == [
        [0, 0],
        [0, 1],
        [0, 2],
    ]  # edge on edge is no touch
    assert free_positions((-9, -9, 99, 99), [(2, 0, 3, 4)], 2, 4).tolist() == [[0, 0], [1, 0], [2, 0]]


def test_random_squares_lie_in_the_object_and_beside_the_parts():
    parts, object_box = [(8.0, 8.0, 12.0, 12.0), (16.0, 8.0, 20.0, 12.0), (12.0, 16.0, 17.0, 20.0)], (5, 5, 26, 26)
    corners = squares(parts, object_box, 5, 32, 200, np.random.default_rng(0))
    assert corners[:3].tolist() == [[8, 8], [8, 16], [16, 12]]
    tops, lefts = corners[3:].T
    assert (tops >= 5).all() and (lefts >= 5).all() and (tops + 5 <= 26).all() and (lefts + 5 <= 26).all()  # noqa: PT018
    for x0, y0, x1, y1 in parts:
        assert not ((lefts < x1) & (lefts + 5 > x0) & (tops < y1) & (tops + 5 > y0)).any()
    assert len({tuple(place) for place in corners[3:].tolist()}) > 20


def test_random_squares_lie_anywhere_if_the_object_has_no_room_and_nowhere_if_the_picture_has_none():
    part = [(4.0, 4.0, 6.0, 6.0)]
    for object_box in (None, (3, 3, 7, 7)):
        corners = squares(part, object_box, 3, 10, 300, np.random.default_rng(1))[1:]
        assert set(map(tuple, corners.tolist())) == set(
            map(tuple, free_positions((0, 0, 10, 10), part, 3, 10).tolist())
        )
    assert squares(part, None, 8, 10, 1, np.random.default_rng(1)) is None


def test_pairs_are_counted_once():
    assert pair_values(np.array([[9, 1, 2], [1, 9, 3], [2, 3, 9]])).tolist() == [1, 2, 3]


def test_a_resample_is_the_mean_over_its_pairs_of_different_pictures():
    generator = np.random.default_rng(0)
    pairs = generator.random((5, 5))
    pairs += pairs.T
    drawn = generator.integers(5, size=(40, 5))
    drawn[0] = 3  # one picture only
    counts = np.stack([np.bincount(row, minlength=5) for row in drawn])
    expected = [
        np.mean([pairs[i, j] for i, j in itertools.permutations(row, 2) if i != j]) for row in drawn[1:].tolist()
    ]
    assert resample_means(pairs, counts) == pytest.approx(expected)
    assert resample_means(pairs, np.ones((1, 5))) == pytest.approx([pair_values(pairs).mean()])


def comparison(different, unchanged, opposite, by_chance):
    """One mask, two draws, three pictures, the same share in all pairs of a draw but the first pair's difference."""
    arrays = [
        np.stack([np.full((3, 3), share) for share in both]) for both in (different, unchanged, opposite, by_chance)
    ]
    arrays[0][:, 0, 1] += 0.03
    arrays[0][:, 1, 0] += 0.03
    return Comparison(*arrays)


def test_the_numbers_of_a_mask_by_hand():
    numbers = estimate(comparison((0.2, 0.4), (0.6, 0.4), (0.1, 0.1), (0.15, 0.15)), np.ones((3, 3)))
    assert numbers["mean"] == pytest.approx(0.31)  # 0.2 and 0.4 give 0.3, one pair of three has 0.03 more
    assert numbers["spread"] == pytest.approx(0.03 / 3**0.5)  # of 0.03, 0, 0 over the pairs of one draw
    assert (numbers["unchanged"], numbers["changed"]) == pytest.approx((0.5, 0.5))
    # changed in both: 1 - 0.5 - (0.31 - 0.1) = 0.29
    assert (numbers["opposite"], numbers["by_chance"]) == pytest.approx((0.1 / 0.29, 0.15 / 0.29))
    assert [numbers[name] for name in ("low", "high", "opposite_low", "opposite_high")] == [None] * 4  # nothing varies


def test_a_mask_that_changes_nothing_has_no_opposite_share():
    nothing = np.zeros((2, 3, 3))
    numbers = estimate(Comparison(nothing, nothing + 1, nothing, nothing), np.ones((1, 3)))
    assert (numbers["mean"], numbers["changed"]) == (0, 0)
    assert [numbers[name] for name in ("opposite", "by_chance", "opposite_low", "opposite_high")] == [None] * 4
    assert below_random(nothing, nothing[0], np.ones((1, 3))) == {"value": None, "low": None, "high": None}


def test_two_pictures_have_no_spread():
    pairs = np.full((1, 2, 2), 0.25)
    assert estimate(Comparison(pairs, pairs, pairs, pairs), np.ones((1, 2)))["spread"] is None


def test_parts_below_random_by_hand():
    parts, random = np.stack([np.full((3, 3), share) for share in (0.1, 0.2, 0.3)]), np.full((3, 3), 0.4)
    numbers = below_random(parts, random, np.array([[1, 1, 1], [2, 1, 0]]))
    assert numbers == {"value": pytest.approx(0.5), "low": None, "high": None}  # 1 - 0.2 / 0.4, in any three images
    random[0, 1] = random[1, 0] = 0.5  # image 0 or 1 twice: 1 - 0.2 / 0.5 or, with 2, 1 - 0.2 / 0.4
    counts = np.array(
        [[2, 1, 0], [2, 0, 1], [0, 2, 1], [1, 2, 0]]
    )  # 0.6, 0.5, 0.5, 0.6: variance 0.0025, of three images 3/2
    numbers = below_random(parts, random, counts)
    assert numbers["value"] == pytest.approx(1 - 0.6 / 1.3)
    assert numbers["value"] - numbers["low"] == pytest.approx(4.302653 * (0.0025 * 3 / 2) ** 0.5)


def test_intervals_hold_the_mean_and_narrow_with_more_pictures():
    def interval(pictures):
        signs = torch.from_numpy(np.random.default_rng(3).integers(-1, 2, (pictures, 50)))
        counts = np.random.default_rng(4).multinomial(pictures, np.full(pictures, 1 / pictures), size=500)
        return estimate(Comparison.stack([compare(signs)]), counts)

    few, many = interval(8), interval(64)
    for numbers in (few, many):
        assert numbers["low"] < numbers["mean"] < numbers["high"]
        assert numbers["mean"] == pytest.approx(2 / 3, abs=0.05)  # three values, all alike likely
        assert numbers["opposite"] == pytest.approx(0.5, abs=0.08)
    assert many["high"] - many["low"] < few["high"] - few["low"]
