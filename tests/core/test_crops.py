"""Crops, flips and mean subtraction on pictures small enough to write down."""

import numpy as np
import pytest
import torch

from zfrepro.core.crops import (
    MeanSubtraction,
    centre_view,
    cut,
    epoch_order,
    ten_views,
    training_views,
)

CPU = torch.device("cpu")


def numbered(count=1, size=4):
    """Picture p holds 16 p + 4 y + x in all channels."""
    values = np.arange(count * size * size, dtype=np.uint8).reshape(count, size, size, 1)
    return np.broadcast_to(values, (count, size, size, 3)).copy()


def test_ten_views_by_hand():
    # 4x4: 0123 / 4567 / 89ab / cdef, cut to 2x2
    views = ten_views(4, 2)
    crops = cut(numbered(), np.zeros(10, dtype=int), np.array(views), 2)
    plain = [
        [[0, 1], [4, 5]],
        [[2, 3], [6, 7]],
        [[8, 9], [12, 13]],
        [[10, 11], [14, 15]],
        [[5, 6], [9, 10]],
    ]
    mirrored = [[row[::-1] for row in view] for view in plain]
    assert crops[..., 0].tolist() == plain + mirrored
    assert crops.dtype == np.uint8


def test_cut_by_hand():
    crops = cut(numbered(3), np.array([2, 0]), np.array([[1, 0, 0], [0, 1, 1]]), 3)
    assert crops[0, ..., 1].tolist() == [[36, 37, 38], [40, 41, 42], [44, 45, 46]]
    assert crops[1, ..., 2].tolist() == [[3, 2, 1], [7, 6, 5], [11, 10, 9]]


def test_channels_stay_in_order():
    picture = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(cut(picture, np.array([0]), np.array([[0, 0, 1]]), 4)[0], picture[0, :, ::-1])


def test_centre_view():
    assert centre_view(256, 224) == (16, 16, False)
    assert centre_view(7, 4) == (1, 1, False)
    assert centre_view(5, 5) == (0, 0, False)


@pytest.mark.parametrize("kind", ["ten", "random", "centre"])
def test_training_views_follow_from_seed_epoch_and_index(kind):
    views = training_views(kind, 50, 8, 5, seed=1, epoch=2)
    assert views.shape == (50, 3)
    np.testing.assert_array_equal(views, training_views(kind, 50, 8, 5, seed=1, epoch=2))
    if kind == "centre":
        assert (views == [1, 1, 0]).all()
        return
    assert (views != training_views(kind, 50, 8, 5, seed=1, epoch=3)).any()
    assert (views != training_views(kind, 50, 8, 5, seed=2, epoch=2)).any()


def test_random_views_reach_every_place():
    views = training_views("random", 2000, 8, 6, seed=0, epoch=0)
    assert set(map(tuple, views.tolist())) == {(y, x, m) for y in range(3) for x in range(3) for m in range(2)}


def test_ten_kind_draws_the_ten_views():
    views = training_views("ten", 500, 8, 6, seed=0, epoch=0)
    assert {(y, x, bool(m)) for y, x, m in views.tolist()} == set(ten_views(8, 6))


def test_unknown_kind():
    with pytest.raises(ValueError, match="unknown kind of crop 'five'"):
        training_views("five", 1, 8, 6, 0, 0)


def test_epoch_order_is_a_permutation_of_its_own():
    orders = [epoch_order(100, 3, epoch) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert (orders[0] != orders[1]).any()
    np.testing.assert_array_equal(orders[0], epoch_order(100, 3, 0))


def test_the_mean_is_cut_and_mirrored_like_the_picture():
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3), dtype=np.uint8)
    mean = np.random.default_rng(1).random((6, 6, 3), dtype=np.float32) * 255
    indices, views = np.array([2, 0, 2, 1]), np.array([[0, 2, 1], [1, 1, 0], [0, 2, 1], [2, 0, 1]])
    inputs = MeanSubtraction(mean, CPU)(cut(images, indices, views, 4), views)
    assert inputs.shape == (4, 3, 4, 4)
    assert inputs.dtype == torch.float32
    for row, (index, (top, left, mirrored)) in enumerate(zip(indices, views, strict=True)):
        freed = (images[index].astype(np.float32) - mean)[top : top + 4, left : left + 4]
        expected = freed[:, ::-1] if mirrored else freed
        np.testing.assert_allclose(inputs[row].permute(1, 2, 0).numpy(), expected, rtol=1e-6)


def test_a_picture_equal_to_the_mean_becomes_zero_in_every_view():
    images = numbered()
    subtract = MeanSubtraction(images[0].astype(np.float32), CPU)
    views = np.array(ten_views(4, 3))
    assert not subtract(cut(images, np.zeros(10, dtype=int), views, 3), views).any()


def test_scale_multiplies_what_the_mean_leaves():
    images, views = numbered(2), np.array([[0, 0, 0], [1, 1, 1]])
    crops, mean = cut(images, np.array([0, 1]), views, 3), np.full((4, 4, 3), 10, dtype=np.float32)
    plain, scaled = (MeanSubtraction(mean, CPU, scale)(crops, views) for scale in (1.0, 0.25))
    assert plain[0, 0].tolist() == [[-10, -9, -8], [-6, -5, -4], [-2, -1, 0]]
    torch.testing.assert_close(scaled, plain / 4)


def cut_in_the_plainest_way(images, mean, views, size, scale):
    """float64 (B, 3, size, size): from the definition, pixel by pixel of each view."""
    inputs = []
    for image, (top, left, mirrored) in zip(images.astype(np.float64), views.tolist(), strict=True):
        window = (scale * (image - mean))[top : top + size, left : left + size]
        inputs.append((window[:, ::-1] if mirrored else window).transpose(2, 0, 1))
    return np.stack(inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["ten", "random", "centre"])
@pytest.mark.parametrize("scale", [1.0, 1 / 32, 0.3])
def test_inputs_of_whole_images_are_those_of_cut_ones_bit_by_bit(scale, kind, dtype):
    """On the way of a CPU, image by image, and on that of a GPU, all at once; both channels last."""
    images = np.random.default_rng(0).integers(0, 256, (9, 40, 40, 3), dtype=np.uint8)
    mean = np.random.default_rng(1).uniform(0, 255, (40, 40, 3)).astype(np.float32)
    views, subtract = training_views(kind, 9, 40, 31, 0, 0), MeanSubtraction(mean, CPU, scale)
    expected = subtract(cut(images, np.arange(9), views, 31), views, dtype)
    plain = cut_in_the_plainest_way(images, mean, views, 31, scale)
    np.testing.assert_allclose(expected.double().numpy(), plain, rtol=1e-2, atol=1e-4 if dtype == torch.float32 else 1)
    for way in (subtract.from_stored, subtract._cut_all):
        inputs = way(torch.from_numpy(images), torch.from_numpy(views), 31, dtype)
        assert torch.equal(inputs, expected)
        assert inputs.dtype == dtype
        assert inputs.stride() == expected.stride()
        assert inputs.is_contiguous(memory_format=torch.channels_last)
