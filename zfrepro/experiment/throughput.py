"""How fast this machine trains a network of an experiment, measured on noise, so that no data need be there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zfrepro.core.architecture import describe
from zfrepro.datasets.published import WHOLE
from zfrepro.experiment import cost
from zfrepro.experiment.config import SOURCE, Config

if TYPE_CHECKING:
    from zfrepro.core.training import Training

SECONDS = 10.0  # that the clock runs, at least; one step at least
BATCHES = 4  # of noise, seen again and again


@dataclass(frozen=True)
class Throughput:
    """Of one run's network and settings, in training."""

    run: str
    device: str
    precision: str
    images_per_second: float
    operations_per_second: float


def measure(config: Config, run: str, device: str = "auto") -> Throughput:
    """Train the run's network for some seconds, one mini-batch uncounted before. All cores are used.

    Where the source set's classes are not known, they are taken to be as many as ImageNet's.
    """
    import numpy as np
    import torch

    from zfrepro.core import nets
    from zfrepro.core.recipe import Recipe
    from zfrepro.core.training import Pictures, Training
    from zfrepro.models import devices

    spec, chosen, source = config.training(run), devices.choose(device), cost.count_images(config, SOURCE)
    classes = source.classes if source else WHOLE["imagenet"].classes
    dtype = devices.precision(spec.precision, chosen)
    stored, count = config.prepare[SOURCE].size, BATCHES * spec.batch
    noise = np.random.default_rng(0).integers(256, size=(count, stored, stored, 3), dtype=np.uint8)
    pictures = Pictures(noise, np.arange(count) % classes, np.full(noise.shape[1:], 128, np.float32))
    net = nets.build(spec.network, spec.input_size, classes, spec.width, spec.dropout)
    nets.initialise(net, "he", spec.seed)
    recipe = Recipe(input_size=spec.input_size, batch=spec.batch, input_scale=1 / 32, crops=spec.crops)
    net = net.to(chosen, memory_format=torch.channels_last)
    training = Training(net, pictures, recipe, chosen, dtype)
    _step(training)
    steps, started = 0, time.monotonic()
    while not steps or time.monotonic() - started < SECONDS:
        _step(training)
        steps += 1
    speed = steps * spec.batch / (time.monotonic() - started)
    rows = describe(spec.network, spec.input_size, classes, spec.width)
    precision = str(dtype).removeprefix("torch.")
    return Throughput(run, str(chosen), precision, speed, speed * cost.PASSES * cost.forward_operations(rows))


def _step(training: Training) -> None:
    """One mini-batch, done when this returns."""
    if training.epoch_done:
        training.end_epoch(0.0)
    training.step()
    float(training.loss_sum)  # waits for the device
