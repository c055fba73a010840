"""Histograms of oriented gradients on gratings and edges whose answer is known, and against a plain loop."""

import math

import numpy as np
import pytest

from zfrepro.core.hog import CUT, cells, gradients, hog, normalise_blocks


def grating(degrees, side=32, period=16):
    """uint8 (1, side, side, 3), brightness changes along `degrees` (0 = along a row, 90 = down a column)."""
    y, x = np.mgrid[:side, :side]
    along = x * math.cos(math.radians(degrees)) + y * math.sin(math.radians(degrees))
    grey = np.round(128 + 100 * np.sin(2 * np.pi * along / period)).astype(np.uint8)
    return np.repeat(grey[None, :, :, None], 3, axis=3)


@pytest.mark.parametrize("number", range(9))
def test_a_grating_votes_into_its_direction(number):
    votes = cells(grating(20 * number))[0, 1:-1, 1:-1].sum((0, 1))
    assert votes.argmax() == number
    assert votes[number] > 0.85 * votes.sum()
    opposite = cells(grating(20 * number + 180))[0, 1:-1, 1:-1].sum((0, 1))
    assert opposite.argmax() == number


def test_a_direction_between_two_is_shared():
    votes = cells(grating(30))[0, 1:-1, 1:-1].sum((0, 1))
    assert sorted(votes.argsort()[-2:]) == [1, 2]
    assert votes[1] == pytest.approx(votes[2], rel=0.15)


def test_a_vertical_edge_by_hand():
    image = np.zeros((1, 16, 16, 3), np.uint8)
    image[:, :, 4:] = 90  # columns 3 and 4 see a difference of 90, rows 0 and 15 see it too
    votes = cells(image)[0]
    assert votes[0, 0].tolist() == [8 * 2 * 90] + [0] * 8
    assert votes[1, 0].tolist() == [8 * 2 * 90] + [0] * 8
    assert not votes[:, 1].any()
    # two cells of the block hold all: 0.707 each, cut to 0.2, and 0.707 again
    np.testing.assert_allclose(normalise_blocks(votes[None])[0, 0, 0, :, 0], [0.5**0.5, 0, 0.5**0.5, 0], rtol=1e-6)


def test_the_strongest_channel_decides():
    image = np.zeros((1, 16, 16, 3), np.uint8)
    image[:, :, 8:, 0] = 10  # faint vertical edge in red
    image[:, 8:, :, 2] = 50  # strong horizontal edge in blue
    down, across = gradients(image)
    assert (down[0, 8, 8], across[0, 8, 8]) == (50, 0)
    assert (down[0, 3, 8], across[0, 3, 8]) == (0, 10)


def test_equals_a_plain_loop():
    image = np.random.default_rng(0).integers(0, 256, (1, 27, 27, 3)).astype(np.uint8)
    down, across = gradients(image)
    expected = np.zeros((3, 3, 9))
    for row in range(24):
        for column in range(24):
            y, x = float(down[0, row + 1, column + 1]), float(across[0, row + 1, column + 1])
            place = math.degrees(math.atan2(y, x)) % 180 / 20
            share = place - int(place)
            expected[row // 8, column // 8, int(place) % 9] += math.hypot(y, x) * (1 - share)
            expected[row // 8, column // 8, (int(place) + 1) % 9] += math.hypot(y, x) * share
    np.testing.assert_allclose(cells(image)[0], expected, rtol=1e-4, atol=0.05)
    block = expected[1:3, 0:2].reshape(4, 9)
    block = np.minimum(block / np.sqrt((block**2).sum()), CUT)
    block /= np.sqrt((block**2).sum())
    np.testing.assert_allclose(hog(image).reshape(2, 2, 4, 9)[1, 0], block, rtol=1e-4, atol=1e-5)


def test_brightness_and_contrast_do_not_matter():
    image = np.random.default_rng(1).integers(0, 100, (1, 24, 24, 3)).astype(np.uint8)
    np.testing.assert_allclose(hog(image), hog(2 * image + 30), atol=1e-5)


def test_pictures_do_not_touch_one_another_and_flat_ones_are_0():
    images = np.random.default_rng(2).integers(0, 256, (70, 24, 24, 3)).astype(np.uint8)
    images[3] = 9
    descriptors = hog(images)
    assert (descriptors.shape, descriptors.dtype) == ((70, 2 * 2 * 4 * 9), np.float32)
    assert not descriptors[3].any()
    np.testing.assert_array_equal(descriptors[40], hog(images[40:41])[0])
    assert hog(images[:0]).shape == (0, 144)


def test_a_picture_smaller_than_a_block_is_refused():
    with pytest.raises(ValueError, match="15 pixels are smaller than a block of 16"):
        hog(np.zeros((1, 15, 15, 3), np.uint8))
