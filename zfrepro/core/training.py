"""Stochastic gradient descent by the paper's recipe, resumable at any step.

Every random choice follows from (seed, epoch, image) or (seed, step). So on a CPU a run that stops anywhere and goes on from its
last state ends with the same bits as one that never stopped (same machine, versions and threads). On CUDA it sees the same images
with the same dropout, but other last digits: cuDNN adds up the gradients of convolutions in an order that changes from run to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.sgd import sgd

from zfrepro.core import crops, loading, nets, staging
from zfrepro.core.recipe import Recipe, Stall, faded_to, rate_at, steps_per_epoch, weight_decay_of

CHECK_EVERY = 50  # steps between two looks at the loss on a GPU, where a look waits for the device


class Diverged(ArithmeticError):
    """A loss, a weight or a validation score that is not a finite number; `epoch` and `step` (in it) are counted from 1."""

    def __init__(self, epoch: int, step: int, reason: str):
        super().__init__(f"epoch {epoch}, step {step}: {reason}")
        self.epoch, self.step, self.reason = epoch, step, reason


@dataclass(frozen=True)
class TrainingImages:
    """images uint8 (N, S, S, 3), in memory or read when needed; labels int64 (N,), mean float32 (S, S, 3)"""

    images: loading.Images | np.ndarray
    labels: np.ndarray
    mean: np.ndarray


class Training:
    """A network under training. Call `step()` until `epoch_done`, then `end_epoch(validation top-1 error)`.

    Raises Diverged as soon as the training loss is NaN or infinite: at that step on a CPU, within CHECK_EVERY steps on a GPU.
    """

    def __init__(
        self, net: nn.Sequential, data: TrainingImages, recipe: Recipe, device: torch.device, dtype: torch.dtype
    ):
        self.net, self.recipe, self.device, self.dtype = net, recipe, device, dtype
        self.images, self.labels = loading.as_images(data.images), torch.from_numpy(data.labels).to(device)
        self.subtract = crops.MeanSubtraction(data.mean, device, recipe.input_scale)
        self.weight_decay = weight_decay_of(recipe, self.batches_per_epoch)
        self.groups = _groups(net, self.weight_decay)
        self.stall = Stall(recipe.factor, recipe.patience)
        self.epoch = self.batch = 0  # what comes next
        self.rates = 0.0  # sum of the learning rates of all steps taken
        self.loss_sum = torch.zeros((), device=device, dtype=torch.float64)
        self.misclassified = torch.zeros((), device=device, dtype=torch.int64)
        self.finite = torch.zeros((), device=device, dtype=torch.int64)  # steps of the epoch with a finite loss
        self._batches: Iterator[tuple[Tensor, Tensor]] | None = None

    @property
    def batches_per_epoch(self) -> int:
        return steps_per_epoch(len(self.labels), self.recipe.batch)

    @property
    def images_seen(self) -> int:
        """In this epoch; the last mini-batch may hold fewer images than the others."""
        return min(self.batch * self.recipe.batch, len(self.labels))

    @property
    def mean_loss(self) -> float:
        """Over the images seen in this epoch."""
        return float(self.loss_sum) / self.images_seen

    @property
    def epoch_done(self) -> bool:
        return self.batch == self.batches_per_epoch

    @property
    def learning_rate(self) -> float:
        """Of the step that comes next."""
        step = self.epoch * self.batches_per_epoch + self.batch
        scale = self.stall.scale if self.recipe.schedule == "stall" else 1.0
        return scale * rate_at(self.recipe, step, self.batches_per_epoch)

    @property
    def faded_to(self) -> float:
        """Share of the first weights that the steps taken so far have left, see recipe.faded_to."""
        return faded_to(self.weight_decay, self.recipe.momentum, self.rates)

    def step(self) -> None:
        """One mini-batch: forward, backward, update, filters clipped."""
        if self._batches is None:
            self._batches = self._prefetch(self.epoch, self.batch)
        inputs, labels = next(self._batches)
        torch.manual_seed(_step_seed(self.recipe.seed, self.epoch, self.batch))  # dropout
        self.net.train()
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            scores = nets.scores(self.net, inputs)
        loss = functional.cross_entropy(scores.float(), labels)
        torch.autograd.backward(loss)
        rate = self.learning_rate
        for group in self.groups:
            group.update(rate, self.recipe.momentum)
        if self.recipe.filter_rms is not None:
            nets.clip_filters(self.net, self.recipe.filter_rms)
        self.loss_sum += loss.detach() * len(labels)
        self.misclassified += (scores.detach().argmax(1) != labels).sum()
        self.finite += torch.isfinite(self.loss_sum)
        self.rates += rate
        self.batch += 1
        if self.device.type == "cpu" or self.batch % CHECK_EVERY == 0:
            self.require_finite_loss()

    def require_finite_loss(self) -> None:
        """Raise Diverged, naming the first step whose loss was not finite."""
        if not torch.isfinite(self.loss_sum):
            loss = "NaN" if torch.isnan(self.loss_sum) else "infinite"
            raise Diverged(self.epoch + 1, int(self.finite) + 1, f"the training loss is {loss}")

    def end_epoch(self, validation_error: float) -> dict[str, float]:
        """Close the epoch: its last learning rate, mean loss and running top-1 error (%), both over its own steps."""
        self.require_finite_loss()
        self.batch -= 1
        record = {
            "learning_rate": self.learning_rate,
            "train_loss": float(self.loss_sum) / len(self.labels),
            "train_top1_error": 100 * float(self.misclassified) / len(self.labels),
        }
        self.stall.end_epoch(validation_error)
        self.epoch, self.batch, self._batches = self.epoch + 1, 0, None
        for sum_ in (self.loss_sum, self.misclassified, self.finite):
            sum_.zero_()
        return record

    def weights(self) -> dict[str, Tensor]:
        """The network's state_dict for inputs of scale 1, on the CPU: layer 1 takes over the input scale.

        Raises Diverged for a weight that is not finite.
        """
        scale = {"conv1.weight": self.recipe.input_scale}
        weights = {name: tensor.detach().cpu() * scale.get(name, 1.0) for name, tensor in self.net.state_dict().items()}
        for name, tensor in weights.items():
            if not torch.isfinite(tensor).all():
                raise Diverged(self.epoch + 1, self.batch, f"{name} holds weights that are not finite")
        return weights

    def state(self) -> dict[str, Any]:
        """Everything needed to go on, of plain types and tensors on the CPU; steps taken later do not change it."""
        self.require_finite_loss()
        state = {
            "net": dict(self.net.state_dict()),
            "velocities": [group.velocities for group in self.groups],
            "stall": {"best": self.stall.best, "waited": self.stall.waited, "drops": self.stall.drops},
            "epoch": self.epoch,
            "batch": self.batch,
            "rates": self.rates,
            "loss_sum": self.loss_sum,
            "wrong": self.misclassified,
        }
        copies: dict[str, Any] = staging.copy_to_host(state)
        return copies

    def restore(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        for group, velocities in zip(self.groups, state["velocities"], strict=True):
            group.velocities = [v.to(self.device) if v is not None else None for v in velocities]
        self.stall = Stall(self.recipe.factor, self.recipe.patience, **state["stall"])
        self.epoch, self.batch, self.rates = state["epoch"], state["batch"], state["rates"]
        self.loss_sum.copy_(state["loss_sum"])
        self.misclassified.copy_(state["wrong"])
        self.finite.fill_(self.batch)
        self._batches = None

    def _prefetch(self, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and labels of one epoch's batches from number `first` on; the images are read ahead."""
        recipe, images = self.recipe, self.images
        order = crops.epoch_order(len(images), recipe.seed, epoch)[first * recipe.batch :]
        drawn = crops.training_views(recipe.crops, len(images), images.size, recipe.input_size, recipe.seed, epoch)
        views = torch.from_numpy(drawn[order]).to(self.device)
        labels = self.labels[torch.from_numpy(order).to(self.device)]
        for where, pixels in loading.read_ahead(images, order, recipe.batch, self.device):
            yield self.subtract.from_stored(pixels, views[where], recipe.input_size, self.dtype), labels[where]


@dataclass
class _Group:
    """Parameters that share a weight decay, and the velocity of each: momentum x velocity + gradient + decay x weight.

    The same update as torch.optim.SGD's, whose class takes a second to import what only compiled networks need.
    """

    parameters: list[nn.Parameter]
    weight_decay: float
    velocities: list[Tensor | None]

    def update(self, rate: float, momentum: float) -> None:
        """Take one step and drop the gradients."""
        gradients = {i: parameter.grad for i, parameter in enumerate(self.parameters) if parameter.grad is not None}
        velocities = [self.velocities[i] for i in gradients]
        with torch.no_grad():
            sgd(
                [self.parameters[i] for i in gradients],
                list(gradients.values()),
                velocities,
                fused=True,
                weight_decay=self.weight_decay,
                momentum=momentum,
                lr=rate,
                dampening=0.0,
                nesterov=False,
                maximize=False,
            )
        for i, velocity in zip(gradients, velocities, strict=True):
            self.velocities[i], self.parameters[i].grad = velocity, None


def _groups(net: nn.Module, weight_decay: float) -> list[_Group]:
    """Weights decay, biases do not."""
    parameters = list(net.named_parameters())
    kinds = {"weight": weight_decay, "bias": 0.0}
    members = {kind: [parameter for name, parameter in parameters if name.endswith(kind)] for kind in kinds}
    return [_Group(group, kinds[kind], [None] * len(group)) for kind, group in members.items()]


def _step_seed(seed: int, epoch: int, batch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch, batch, 2]).generate_state(1, np.uint64)[0] >> 1)
