"""The speed that `plan --measure` prints is a run's: images come from a file, and steps follow each other without a wait."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.small_experiment import config

from zfrepro.core import loading
from zfrepro.core.training import Training
from zfrepro.experiment import throughput
from zfrepro.storage.stored_images import StoredImages


class SlowDevice:
    """In place of a Training: a GPU that takes 10 ms for a step, which the host prepares in 1 ms, at most three ahead of it."""

    device, epoch_done = torch.device("cuda"), False

    def __init__(self):
        self.now, self.free_at, self.steps, self.waits = 0.0, 0.0, 0, 0

    def step(self):
        self.steps += 1
        self.now = max(self.now + 0.001, self.free_at - 0.030)
        self.free_at = max(self.free_at, self.now) + 0.010

    def require_finite_loss(self):
        self.waits += 1
        self.now = max(self.now, self.free_at)


def test_the_speed_is_the_devices_and_not_the_hosts(monkeypatch):
    """A wait after every step would make it 1 / 11 ms."""
    work = SlowDevice()
    monkeypatch.setattr(throughput, "time", SimpleNamespace(monotonic=lambda: work.now))
    assert throughput._steps_per_second(work) == pytest.approx(100, rel=0.01)
    assert work.waits == 2
    assert work.steps == pytest.approx(1000 + throughput.WARM_UP["cuda"], abs=5)


def test_the_measured_training_reads_a_file_in_one_go(monkeypatch):
    """Stored images of 72 px in batches of 32, one of which is in the file; one reading ahead serves all steps."""
    reads, starts, steps, step = [], [], [], Training.step
    read, read_ahead = StoredImages.read, loading.read_ahead
    monkeypatch.setattr(throughput, "BATCHES", 1)
    monkeypatch.setattr(throughput, "SECONDS", 2.0)
    monkeypatch.setattr(throughput, "time", SimpleNamespace(monotonic=lambda: len(steps)))  # a step takes a second
    monkeypatch.setattr(Training, "step", lambda self: steps.append(self.batch) or step(self))
    monkeypatch.setattr(
        StoredImages,
        "read",
        lambda self, indices, out: reads.append((self.file.path, indices)) or read(self, indices, out),
    )
    monkeypatch.setattr(loading, "read_ahead", lambda *arguments: starts.append(1) or read_ahead(*arguments))
    speed = throughput.measure(config(), "improved", "cpu")
    assert speed.images_per_second == 32
    assert len(starts) == 1
    assert steps == [0, 1, 2]  # the first to warm up
    positions = np.concatenate([indices for _, indices in reads])
    assert len(positions) >= 32 * len(steps)
    assert positions.max() < 32
    (folder,) = {path.parent for path, _ in reads}
    assert not Path(folder).exists()


def test_few_images_stand_for_many():
    array = np.arange(3 * 12, dtype=np.uint8).reshape(3, 2, 2, 3)
    images = throughput.Repeated(loading.ArrayImages(array), 100)
    assert (len(images), images.size) == (100, 2)
    out = np.empty((4, 2, 2, 3), dtype=np.uint8)
    images.read(np.array([99, 0, 4, 5]), out)
    assert np.array_equal(out, array[[0, 0, 1, 2]])


def test_noise_is_as_large_as_stored_images_and_unlike(tmp_path):
    images = throughput._write_noise(tmp_path, 6, 40)
    out = np.empty((6, 40, 40, 3), dtype=np.uint8)
    images.read(np.arange(6), out)
    assert (tmp_path / "images").stat().st_size == 6 * 40 * 40 * 3
    assert out.mean() == pytest.approx(127.5, abs=255 / math.sqrt(12 * out.size) * 4)
    assert len(np.unique(out.reshape(6, -1), axis=0)) == 6


def test_a_full_disk_is_named(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(throughput, "_write_noise", full)
    with pytest.raises(throughput.guards.UserError, match="the disk is full"):
        throughput.measure(config(), "improved", "cpu")
