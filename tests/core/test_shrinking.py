"""Means over equal areas, by hand; what an image becomes does not depend on those beside it."""

import numpy as np
import pytest
import torch

from zfrepro.core.shrinking import area_shares, thumbnails


def test_areas_by_hand():
    assert area_shares(4, 2).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    np.testing.assert_allclose(area_shares(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], rtol=1e-6)
    image = np.arange(4, dtype=np.uint8)[None, :, None, None] * 10 + np.zeros((1, 4, 4, 3), np.uint8)
    assert thumbnails(image, 2)[0, :, 0, 0].tolist() == [5, 25]


def test_areas_of_a_part_by_hand():
    assert area_shares(4, 2, 0.25, 0.5).tolist() == [[0, 1, 0, 0], [0, 0, 1, 0]]
    np.testing.assert_allclose(area_shares(4, 1, 0.125, 0.5), [[0.25, 0.5, 0.25, 0]])


@pytest.mark.parametrize("side", [20, 37, 64, 72, 90, 256])
def test_images_shrink_alike_alone_and_together(side):
    images = np.random.default_rng(side).integers(0, 256, (70, side, side, 3)).astype(np.uint8)
    alone = torch.cat([thumbnails(images[i : i + 1], 16) for i in range(len(images))])
    assert torch.equal(thumbnails(images, 16), alone)


def test_no_images_give_no_thumbnails():
    assert thumbnails(np.zeros((0, 20, 20, 3), np.uint8), 16).shape == (0, 16, 16, 3)


def test_images_do_not_grow():
    with pytest.raises(ValueError, match="20 pixels cannot be reduced to 32"):
        thumbnails(np.zeros((1, 20, 20, 3), np.uint8), 32)
