"""How a network is trained, as numbers: the settings of stochastic gradient descent, the learning rate at every step, and
how far the weights that training begins with have faded at its end. No torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FLOOR = 0.01  # of the first learning rate, where the cosine ends
LEAST_FALL = 0.1  # points of validation error that count as progress (stall)
DROPS = 3  # times that the learning rate is annealed at most (stall)


@dataclass(frozen=True)
class Recipe:
    """How to train. Lengths in pixels or epochs; the defaults are the paper's, see stages.train.Spec for the reasons.

    `fade`, where given, takes the place of `weight_decay`: see `weight_decay_for`.
    """

    input_size: int = 224
    epochs: int = 70
    batch: int = 128
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    fade: float | None = None
    filter_rms: float | None = 0.1
    crops: str = "ten"
    input_scale: float = 1.0
    schedule: str = "stall"
    warmup: float = 0.0
    patience: int = 5
    factor: float = 0.1
    seed: int = 0


def steps_per_epoch(images: int, batch: int) -> int:
    return -(-images // batch)


def rate_at(recipe: Recipe, step: int, per_epoch: int) -> float:
    """The learning rate of a step, counted from 0; `per_epoch` steps make an epoch.

    It rises linearly over the first `warmup` epochs. `cosine` then falls at every step, half a cosine from the first rate to
    a hundredth of it. `constant` stays, and so does `stall`, whose falls depend on the validation error (see `Stall`).
    """
    rate, total = recipe.learning_rate, recipe.epochs * per_epoch
    if recipe.schedule == "cosine":
        rate *= FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * step / total)) / 2
    elif recipe.schedule not in ("constant", "stall"):
        raise ValueError(f"unknown schedule {recipe.schedule!r}")
    rising = recipe.warmup * per_epoch
    return rate * min(1.0, (step + 1) / rising) if rising else rate


def rate_sum(recipe: Recipe, per_epoch: int) -> float:
    """The learning rates of all steps added up; for `stall` as if the validation error never stalled."""
    return math.fsum(rate_at(recipe, step, per_epoch) for step in range(recipe.epochs * per_epoch))


def faded_to(weight_decay: float, momentum: float, rates: float) -> float:
    """Share of the first weights left in a layer's weights after steps whose learning rates add up to `rates`.

    Every step takes rate x weight decay / (1 - momentum) of a weight away, whatever the gradients add: the share falls as
    exp(-steps x mean rate x weight decay / (1 - momentum)). The paper's own training leaves nothing; a short one with its
    weight decay leaves most, and the filters then look like the noise they began with.
    """
    return math.exp(-rates * weight_decay / (1 - momentum))


def weight_decay_for(fade: float, momentum: float, rates: float) -> float:
    """The weight decay with which `faded_to` is `fade`."""
    return -math.log(fade) * (1 - momentum) / rates


def weight_decay_of(recipe: Recipe, per_epoch: int) -> float:
    """The recipe's weight decay: as given, or what its `fade` asks for."""
    if recipe.fade is None:
        return recipe.weight_decay
    return weight_decay_for(recipe.fade, recipe.momentum, rate_sum(recipe, per_epoch))


@dataclass
class Stall:
    """The paper's schedule: a factor on the learning rate that falls each time the validation error stops falling.

    Progress is a fall by more than LEAST_FALL points below the best so far; after more than `patience` epochs without, the
    rate is annealed, DROPS times at most.
    """

    factor: float
    patience: int
    best: float = math.inf
    waited: int = 0
    drops: int = 0

    @property
    def scale(self) -> float:
        return self.factor**self.drops

    def end_epoch(self, validation_error: float) -> None:
        if validation_error < self.best - LEAST_FALL:
            self.best, self.waited = validation_error, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.waited, self.drops = 0, min(self.drops + 1, DROPS)
