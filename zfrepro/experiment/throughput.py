"""Measure how fast this machine trains a network of an experiment, on random images, so that no data are needed."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zfrepro.core.architecture import describe
from zfrepro.datasets.published import COUNTS
from zfrepro.experiment import cost
from zfrepro.experiment.config import Config
from zfrepro.graph import SOURCE
from zfrepro.storage import guards, machine
from zfrepro.storage.stored_images import OpenFile, StoredImages

if TYPE_CHECKING:
    import torch

    from zfrepro.core.loading import Images
    from zfrepro.core.training import Training
    from zfrepro.stages import train

SECONDS = 10.0  # shortest time to measure; at least one step is taken
WARM_UP = {
    "cpu": 1,
    "cuda": 20,
}  # mini-batches before, in which libraries choose their kernels and the reading gets ahead
BATCHES = 4  # mini-batches of random images in the file that is read
EPOCH = 2**20  # images of an epoch, which none of the measurements reaches the end of


@dataclass(frozen=True)
class Throughput:
    """Training speed of one run's network with its settings."""

    run: str
    device: str
    precision: str
    images_per_second: float
    operations_per_second: float


def measure(config: Config, run: str, device: str = "auto") -> Throughput:
    """Train the run's network for SECONDS, after a few mini-batches to warm up. All cores that this process may use are used.

    The images are read from a temporary file, as in a run from a file that is in memory; validation and checkpoints are not in
    the figure. If the number of classes of the source set is unknown, ImageNet's is taken.
    """
    from zfrepro.models import devices

    spec, torch_device, source = (
        config.training(run),
        devices.choose(device, machine.cores()),
        cost.count_images(config, SOURCE),
    )
    classes = source.classes if source else COUNTS["imagenet"].classes
    dtype = devices.precision(spec.precision, torch_device)
    with tempfile.TemporaryDirectory(prefix="zfrepro-") as folder, guards.report_disk_full(Path(folder)):
        images = Repeated(_write_noise(Path(folder), BATCHES * spec.batch, config.prepare[SOURCE].size), EPOCH)
        speed = spec.batch * _steps_per_second(_training(spec, images, classes, torch_device, dtype))
    rows = describe(spec.network, spec.input_size, classes, spec.width)
    precision = str(dtype).removeprefix("torch.")
    return Throughput(run, str(torch_device), precision, speed, speed * cost.PASSES * cost.forward_operations(rows))


@dataclass(frozen=True)
class Repeated:
    """`count` images that are a few, again and again."""

    images: Images
    count: int

    @property
    def size(self) -> int:
        return self.images.size

    def __len__(self) -> int:
        return self.count

    def read(self, indices: np.ndarray, out: np.ndarray) -> None:
        self.images.read(indices % len(self.images), out)


def _write_noise(folder: Path, count: int, size: int) -> StoredImages:
    """So many images of uint8 noise, `size` pixels wide, as a prepared set stores them but without the header."""
    random, path = np.random.default_rng(0), folder / "images"
    with open(path, "wb") as file:
        for _ in range(count):
            file.write(random.bytes(3 * size**2))
    return StoredImages(OpenFile(path), 0, count, size)


def _training(spec: train.Spec, images: Images, classes: int, device: torch.device, dtype: torch.dtype) -> Training:
    """The run's network in training on such images; with a learning rate at which noise does not let it diverge."""
    from zfrepro.core import nets
    from zfrepro.core.recipe import Recipe
    from zfrepro.core.training import Training, TrainingImages

    mean = np.full((images.size, images.size, 3), 128, np.float32)
    data = TrainingImages(images, np.arange(len(images)) % classes, mean)
    net = nets.build(spec.network, spec.input_size, classes, spec.width, spec.dropout)
    nets.initialise(net, "he", spec.seed)
    same = {name: getattr(spec, name) for name in ("input_size", "batch", "crops", "filter_rms")}
    recipe = Recipe(learning_rate=1e-4, input_scale=1 / 32, **same)
    return Training(nets.to_device(net, device), data, recipe, device, dtype)


def _steps_per_second(training: Training) -> float:
    """Steps follow each other as in a run: the device is waited for before and after, not between."""
    for _ in range(WARM_UP.get(training.device.type, WARM_UP["cpu"])):
        _step(training)
    training.require_finite_loss()
    steps, started = 0, time.monotonic()
    while not steps or time.monotonic() - started < SECONDS:
        _step(training)
        steps += 1
    training.require_finite_loss()
    return steps / (time.monotonic() - started)


def _step(training: Training) -> None:
    if training.epoch_done:
        training.end_epoch(0.0)
    training.step()
