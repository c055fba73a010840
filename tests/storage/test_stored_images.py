"""Images of a file come by position, in any order and from any thread; a file that fails is named."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from zfrepro.errors import UserError
from zfrepro.storage.prepared_set import PreparedSet
from zfrepro.storage.stored_images import OpenFile, StoredImages

SIZE, COUNT = 6, 20


@pytest.fixture
def array():
    return np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def path(tmp_path, array):
    np.save(tmp_path / "images.npy", array)
    return tmp_path / "images.npy"


def opened(path):
    return StoredImages(OpenFile(path), np.load(path, mmap_mode="r").offset, COUNT, SIZE)


def read(images, *indices):
    out = np.zeros((len(indices), SIZE, SIZE, 3), dtype=np.uint8)
    images.read(np.array(indices, dtype=np.int64), out)
    return out


def test_they_are_indexed_like_an_array(path, array):
    part, where = opened(path).part(slice(4, 12)), np.array([7, 0, 0])
    assert part.shape == array[4:12].shape
    np.testing.assert_array_equal(part[where], array[4:12][where])
    with pytest.raises(IndexError, match="images 8 to 8 of 8"):
        part[np.array([8])]


@pytest.mark.parametrize("indices", [(3,), (0, 1, 2), (5, 4, 3), (19, 0, 7, 7), tuple(range(COUNT))])
def test_images_come_as_they_are_in_the_file(path, array, indices):
    np.testing.assert_array_equal(read(opened(path), *indices), array[list(indices)])


def test_a_split_counts_from_its_first_image(path, array):
    images = opened(path).part(slice(4, 9))
    assert (len(images), images.size) == (5, SIZE)
    np.testing.assert_array_equal(read(images, 4, 0), array[[8, 4]])
    np.testing.assert_array_equal(read(images, 1, 2, 3), array[5:8])
    np.testing.assert_array_equal(read(images.part(slice(2, 4)), 1), array[[7]])


@pytest.mark.parametrize("index", [-1, 5])
def test_images_of_the_next_split_are_not_reached(path, index):
    with pytest.raises(IndexError, match="of 5"):
        read(opened(path).part(slice(4, 9)), 0, index)


def test_no_images_are_read_for_no_positions(path):
    assert read(opened(path)).shape == (0, SIZE, SIZE, 3)


def test_many_threads_read_at_once(path, array):
    images = opened(path)
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda n: read(images, n % COUNT, (7 * n) % COUNT), range(200)))
    for number, part in enumerate(parts):
        np.testing.assert_array_equal(part, array[[number % COUNT, (7 * number) % COUNT]])


@pytest.mark.parametrize("least", [1, 100])
def test_a_system_that_returns_fewer_bytes_is_asked_again(path, array, monkeypatch, least):
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, buffers, start: preadv(file, [buffers[0][:least]], start))
    np.testing.assert_array_equal(read(opened(path), 9, 2), array[[9, 2]])


def test_without_preadv_the_bytes_are_the_same(path, array, monkeypatch):
    monkeypatch.delattr(os, "preadv")
    np.testing.assert_array_equal(read(opened(path), 9, 2, 3), array[[9, 2, 3]])


@pytest.mark.parametrize("preadv", [True, False])
@pytest.mark.parametrize("lost", [1, 4 * SIZE * SIZE * 3])
def test_a_file_that_becomes_shorter_is_named(path, monkeypatch, preadv, lost):
    """With a memory map the process would be killed by SIGBUS."""
    images = opened(path)
    if not preadv:
        monkeypatch.delattr(os, "preadv")
    os.truncate(path, path.stat().st_size - lost)
    np.testing.assert_array_equal(read(images, 0), read(images, 0))
    message = rf"images\.npy: has become shorter while it was read, .* ends before image 20; delete {path.parent}"
    with pytest.raises(UserError, match=message):
        read(images.part(slice(15, COUNT)), 4)


def test_a_disk_that_fails_is_named(path, monkeypatch):
    images = opened(path)

    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(UserError, match=r"images\.npy: cannot be read \(Input/output error\); check the disk"):
        read(images, 1)


def test_a_file_that_is_gone_is_named(path):
    path.unlink()
    with pytest.raises(UserError, match=r"images\.npy: cannot be read \(No such file or directory\)"):
        OpenFile(path)


def test_a_file_put_in_its_place_does_not_count(path, array, tmp_path):
    np.save(tmp_path / "other.npy", 255 - array)
    source = PreparedSet.__new__(PreparedSet)  # without its manifest
    source.folder, source.size, source.splits = tmp_path, SIZE, {"train": (0, 12), "val": (12, COUNT)}
    np.testing.assert_array_equal(read(source.reader("train"), 3), array[[3]])
    (tmp_path / "other.npy").replace(path)
    np.testing.assert_array_equal(read(source.reader("val"), 3), array[[15]])


def is_open(path):
    return any(Path(f"/proc/self/fd/{number}").resolve() == path.resolve() for number in os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are not listed by this system")
def test_a_file_stays_open_as_long_as_a_part_is_used(path):
    images = StoredImages(OpenFile(path), 128, COUNT, SIZE)
    part = images.part(slice(2, 3))
    del images
    assert is_open(path)
    assert read(part, 0).any()
    del part
    assert not is_open(path)
