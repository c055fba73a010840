"""Resize and crop against pictures and boxes whose answer can be worked out by hand."""

import numpy as np
import pytest
from PIL import Image

from zfrepro.core.images import centre_square, stored_box, stored_pixels


def picture(array) -> Image.Image:
    return Image.fromarray(np.asarray(array, np.uint8))


@pytest.mark.parametrize(
    ("width", "height", "square"),
    [(8, 4, (2, 0, 4)), (4, 8, (0, 2, 4)), (5, 5, (0, 0, 5)), (7, 4, (1, 0, 4)), (1, 9, (0, 4, 1))],
)
def test_the_square_is_centred_on_whole_pixels(width, height, square):
    assert centre_square(width, height) == square


def test_a_picture_of_the_stored_size_is_cropped_and_not_resampled():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3))
    np.testing.assert_array_equal(stored_pixels(picture(pixels), 6), pixels[:, 1:7])


def test_halving_keeps_columns_in_their_order_and_channels_apart():
    red, green = (200, 0, 0), (0, 100, 0)
    wide = np.array([[(9, 9, 9)] * 8 + [red] * 16 + [green] * 16 + [(9, 9, 9)] * 8] * 32)  # 32 high, 48 wide
    stored = stored_pixels(picture(wide), 16)
    assert stored.shape == (16, 16, 3)
    assert stored.dtype == np.uint8
    # the filter reaches two stored pixels far, so columns 2-5 see red only
    np.testing.assert_array_equal(stored[:, 2:6], np.broadcast_to(red, (16, 4, 3)))
    np.testing.assert_array_equal(stored[:, 10:14], np.broadcast_to(green, (16, 4, 3)))
    assert stored[:, 7, 0].min() > 100 > stored[:, 8, 0].max()


@pytest.mark.parametrize("size", [1, 3, 40])
def test_an_even_picture_stays_even_at_any_size(size):
    stored = stored_pixels(picture(np.full((10, 7, 3), 77)), size)
    np.testing.assert_array_equal(stored, np.full((size, size, 3), 77))


@pytest.mark.parametrize(
    ("box", "stored"),
    [
        ((60, 20, 100, 60), (10, 20, 50, 60)),  # 200 x 100 -> 100: fifty columns go on each side
        ((0, 0, 200, 100), (0, 0, 100, 100)),  # the whole picture
        ((30, -5, 70, 50), (0, 0, 20, 50)),  # reaches out to the left and above
        ((0, 0, 50, 100), None),  # touches the crop, nothing inside
        ((160, 10, 190, 40), None),
    ],
)
def test_boxes_of_a_wide_picture(box, stored):
    assert stored_box(box, 200, 100, 100) == stored


def test_boxes_of_a_tall_picture_are_scaled_after_the_crop():
    # 40 x 80 -> square from y = 20, 40 wide, to 100: times 2.5
    assert stored_box((10, 30, 20, 100), 40, 80, 100) == (25, 25, 50, 100)


def test_a_box_and_the_pixels_in_it_land_at_the_same_place():
    pixels = np.zeros((30, 50, 3))
    pixels[6:12, 19:28] = 255  # rows, columns
    stored = stored_pixels(picture(pixels), 90)  # times 3, ten columns go
    x0, y0, x1, y1 = stored_box((19, 6, 28, 12), 50, 30, 90)
    assert (x0, y0, x1, y1) == (27, 18, 54, 36)
    bright = np.argwhere(stored[..., 0] > 127)
    assert bright.min(0).tolist() == [y0, x0]
    assert (bright.max(0) + 1).tolist() == [y1, x1]
