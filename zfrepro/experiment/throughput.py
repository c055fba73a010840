"""Measure how fast this machine trains a network of an experiment, on random images, so that no data are needed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zfrepro.core.architecture import describe
from zfrepro.datasets.published import COUNTS
from zfrepro.experiment import cost
from zfrepro.experiment.config import Config
from zfrepro.graph import SOURCE
from zfrepro.storage import machine

if TYPE_CHECKING:
    import torch

    from zfrepro.core.training import Training
    from zfrepro.stages import train

SECONDS = 10.0  # shortest time to measure; at least one step is taken
BATCHES = 4  # mini-batches of random images, used again and again


@dataclass(frozen=True)
class Throughput:
    """Training speed of one run's network with its settings."""

    run: str
    device: str
    precision: str
    images_per_second: float
    operations_per_second: float


def measure(config: Config, run: str, device: str = "auto") -> Throughput:
    """Train the run's network for SECONDS, after one mini-batch to warm up. All cores that this process may use are used.

    If the number of classes of the source set is unknown, ImageNet's is taken.
    """
    from zfrepro.models import devices

    spec, torch_device, source = (
        config.training(run),
        devices.choose(device, machine.cores()),
        cost.count_images(config, SOURCE),
    )
    classes = source.classes if source else COUNTS["imagenet"].classes
    dtype = devices.precision(spec.precision, torch_device)
    speed = spec.batch * _steps_per_second(_training(spec, config.prepare[SOURCE].size, classes, torch_device, dtype))
    rows = describe(spec.network, spec.input_size, classes, spec.width)
    precision = str(dtype).removeprefix("torch.")
    return Throughput(run, str(torch_device), precision, speed, speed * cost.PASSES * cost.forward_operations(rows))


def _training(spec: train.Spec, stored: int, classes: int, device: torch.device, dtype: torch.dtype) -> Training:
    """The run's network in training on uint8 noise; stored: side of the images in pixels."""
    import numpy as np

    from zfrepro.core import nets
    from zfrepro.core.recipe import Recipe
    from zfrepro.core.training import Training, TrainingImages

    count = BATCHES * spec.batch
    noise = np.random.default_rng(0).integers(256, size=(count, stored, stored, 3), dtype=np.uint8)
    images = TrainingImages(noise, np.arange(count) % classes, np.full(noise.shape[1:], 128, np.float32))
    net = nets.build(spec.network, spec.input_size, classes, spec.width, spec.dropout)
    nets.initialise(net, "he", spec.seed)
    recipe = Recipe(input_size=spec.input_size, batch=spec.batch, input_scale=1 / 32, crops=spec.crops)
    return Training(nets.to_device(net, device), images, recipe, device, dtype)


def _steps_per_second(training: Training) -> float:
    _step(training)
    steps, started = 0, time.monotonic()
    while not steps or time.monotonic() - started < SECONDS:
        _step(training)
        steps += 1
    return steps / (time.monotonic() - started)


def _step(training: Training) -> None:
    """Train on one mini-batch and wait until the device has finished it."""
    if training.epoch_done:
        training.end_epoch(0.0)
    training.step()
    float(training.loss_sum)  # waits for the device
