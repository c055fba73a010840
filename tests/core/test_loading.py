"""Images are read ahead in order, whole, and at most once; what a reading thread raises reaches the caller."""

import threading

import numpy as np
import pytest
import torch

from zfrepro.core import loading
from zfrepro.core.crops import MeanSubtraction
from zfrepro.core.loading import ArrayImages, Subset, Threads, fixed_view_batches, mean_image, read_ahead

CPU = torch.device("cpu")


def numbered(count, size=4):
    """Image p holds 16 p + 4 y + x in all channels."""
    values = np.arange(count * size * size, dtype=np.uint8).reshape(count, size, size, 1)
    return np.broadcast_to(values, (count, size, size, 3)).copy()


class Watched(ArrayImages):
    """Notes which images are read, and fails at one of them."""

    def __init__(self, array, broken=None):
        super().__init__(array)
        object.__setattr__(self, "positions", [])
        object.__setattr__(self, "broken", broken)
        object.__setattr__(self, "lock", threading.Lock())

    def read(self, indices, out):
        with self.lock:
            self.positions.extend(indices.tolist())
        if self.broken in indices:
            raise OSError("disk gone")
        super().read(indices, out)


def collect(images, order, batch):
    """A copy of every mini-batch: the tensor itself is overwritten."""
    return [(where, pixels.clone().numpy()) for where, pixels in read_ahead(images, order, batch, CPU)]


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 50])
def test_every_image_comes_once_in_the_order_asked_for(batch):
    array, order = numbered(11), np.random.default_rng(0).permutation(11)
    images = Watched(array)
    parts = collect(images, order, batch)
    assert [where.start for where, _ in parts] == list(range(0, 11, batch))
    assert parts[-1][0].stop == 11
    np.testing.assert_array_equal(np.concatenate([pixels for _, pixels in parts]), array[order])
    assert sorted(images.positions) == list(range(11))


def test_no_images_give_no_batches():
    assert collect(ArrayImages(numbered(0)), np.arange(0), 3) == []


def test_reading_goes_on_while_a_batch_is_used_but_not_without_end():
    """Two mini-batches of three images have room on a CPU: the one in use and the next."""
    images = Watched(numbered(12))
    batches = read_ahead(images, np.arange(12), 3, CPU)
    next(batches)
    for _ in range(200):
        if len(images.positions) == 6:
            break
        threading.Event().wait(0.01)
    threading.Event().wait(0.05)
    assert sorted(images.positions) == list(range(6))
    batches.close()


def test_the_batch_in_use_is_not_overwritten():
    array = numbered(40)
    for where, pixels in read_ahead(ArrayImages(array), np.arange(40), 2, CPU):
        before = pixels.clone()
        threading.Event().wait(0.005)  # time for the next ones to be read
        assert torch.equal(pixels, before)
        assert np.array_equal(pixels.numpy(), array[where])


def test_an_error_of_a_reading_thread_comes_with_its_batch():
    batches = read_ahead(Watched(numbered(6), broken=4), np.arange(6), 2, CPU)
    assert [next(batches)[0].start for _ in range(2)] == [0, 2]
    with pytest.raises(OSError, match="disk gone"):
        next(batches)


def test_no_thread_is_left_when_the_batches_are_given_up():
    before = set(threading.enumerate())
    batches = read_ahead(ArrayImages(numbered(12)), np.arange(12), 2, CPU)
    next(batches)
    readers = set(threading.enumerate()) - before
    assert readers
    batches.close()
    assert not any(thread.is_alive() for thread in readers)


def test_a_subset_counts_on_its_own():
    array = numbered(6)
    chosen = Subset(Subset(ArrayImages(array), np.array([5, 1, 3])), np.array([2, 0]))
    assert (len(chosen), chosen.size) == (2, 4)
    np.testing.assert_array_equal(collect(chosen, np.array([1, 0]), 9)[0][1], array[[5, 3]])


def test_the_mean_image_by_hand():
    array = np.zeros((5, 2, 2, 3), dtype=np.uint8)
    array[:, 0, 0] = np.array([0, 255, 255, 255, 254], dtype=np.uint8)[:, None]
    mean = mean_image(Subset(ArrayImages(array), np.array([0, 1, 4])))
    assert mean.dtype == np.float32
    assert mean[0, 0].tolist() == [np.float32(509 / 3)] * 3
    assert not mean[1].any()


def test_the_mean_image_is_that_of_all_at_once(monkeypatch):
    monkeypatch.setattr(loading, "MEAN_BATCH", 3)
    array = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    expected = array.mean(0, dtype=np.float64).astype(np.float32)
    assert np.array_equal(mean_image(ArrayImages(array)), expected)


def test_batches_of_a_fixed_view_cover_everything_once():
    images = numbered(5)
    subtract = MeanSubtraction(np.zeros((4, 4, 3), dtype=np.float32), CPU)
    batches = list(fixed_view_batches(images, subtract, (1, 2, True), 2, batch=2))
    assert [(where.start, where.stop) for where, _ in batches] == [(0, 2), (2, 4), (4, 5)]
    everything = torch.cat([inputs for _, inputs in batches])
    assert everything[:, 0].tolist() == [[[16 * p + 7, 16 * p + 6], [16 * p + 11, 16 * p + 10]] for p in range(5)]


def test_threads_are_added_only_while_mini_batches_come_late():
    """The first two, ahead of which nothing was read, may be late."""
    threads = Threads(count=2, most=16, allowance=2)
    counts = []
    for in_time in (False, False, True, False, True, False, False, False, True):
        threads.note(in_time)
        counts.append(threads.count)
    assert counts == [2, 2, 2, 4, 4, 8, 16, 16, 16]
