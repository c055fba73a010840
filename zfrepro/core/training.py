"""Stochastic gradient descent by the paper's recipe, resumable at any step.

Every random choice follows from (seed, epoch, picture) or (seed, step), so a run that stops anywhere and goes on from its
last state ends with the same bits as one that never stopped (same machine, versions and threads).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from zfrepro.core import crops, nets


@dataclass(frozen=True)
class Recipe:
    """How to train. Lengths in pixels or epochs; the defaults are the paper's, see stages.train.Spec for the reasons."""

    input_size: int = 224
    epochs: int = 70
    batch: int = 128
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    filter_rms: float | None = 0.1
    crops: str = "ten"
    input_scale: float = 1.0
    schedule: str = "stall"
    patience: int = 5
    factor: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Pictures:
    """images uint8 (N, S, S, 3), labels int64 (N,), mean float32 (S, S, 3)"""

    images: np.ndarray
    labels: np.ndarray
    mean: np.ndarray


class Training:
    """A network under training. Call `step()` until `epoch_done`, then `end_epoch(validation top-1 error)`."""

    def __init__(
        self, net: nn.Sequential, pictures: Pictures, recipe: Recipe, device: torch.device, dtype: torch.dtype
    ):
        self.net, self.pictures, self.recipe, self.device, self.dtype = net, pictures, recipe, device, dtype
        self.labels = torch.from_numpy(pictures.labels).to(device)
        self.subtract = crops.MeanSubtraction(pictures.mean, device, recipe.input_scale)
        self.optimiser = torch.optim.SGD(
            _decayed(net, recipe.weight_decay), recipe.learning_rate, recipe.momentum, fused=True
        )
        self.schedule = _schedule(self.optimiser, recipe)
        self.epoch = self.batch = 0  # what comes next
        self.loss_sum = torch.zeros((), device=device, dtype=torch.float64)
        self.wrong = torch.zeros((), device=device, dtype=torch.int64)
        self._batches: Iterator[tuple[Tensor, Tensor]] | None = None

    @property
    def batches_per_epoch(self) -> int:
        return -(-len(self.labels) // self.recipe.batch)

    @property
    def epoch_done(self) -> bool:
        return self.batch == self.batches_per_epoch

    @property
    def learning_rate(self) -> float:
        return self.optimiser.param_groups[0]["lr"]

    def step(self) -> None:
        """One mini-batch: forward, backward, update, filters clipped."""
        if self._batches is None:
            self._batches = self._prefetched(self.epoch, self.batch)
        inputs, labels = next(self._batches)
        torch.manual_seed(_step_seed(self.recipe.seed, self.epoch, self.batch))  # dropout
        self.net.train()
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            scores = nets.scores(self.net, inputs)
        loss = functional.cross_entropy(scores.float(), labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        if self.recipe.filter_rms is not None:
            nets.clip_filters(self.net, self.recipe.filter_rms)
        self.loss_sum += loss.detach() * len(labels)
        self.wrong += (scores.detach().argmax(1) != labels).sum()
        self.batch += 1

    def end_epoch(self, validation_error: float) -> dict[str, float]:
        """Close the epoch, anneal the learning rate, and give the epoch's mean loss and running top-1 error (%)."""
        seen = {
            "learning_rate": self.learning_rate,
            "train_loss": float(self.loss_sum) / len(self.labels),
            "train_top1_error": 100 * float(self.wrong) / len(self.labels),
        }
        if self.recipe.schedule == "stall":
            self.schedule.step(validation_error)
        else:
            self.schedule.step()
        self.epoch, self.batch, self._batches = self.epoch + 1, 0, None
        self.loss_sum.zero_()
        self.wrong.zero_()
        return seen

    def weights(self) -> dict[str, Tensor]:
        """The network's state_dict for inputs of scale 1, on the CPU: layer 1 takes over the input scale."""
        scale = {"conv1.weight": self.recipe.input_scale}
        return {name: tensor.detach().cpu() * scale.get(name, 1.0) for name, tensor in self.net.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """Everything needed to go on, of plain types and tensors."""
        return {
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": {
                k: v for k, v in self.schedule.state_dict().items() if isinstance(v, int | float | str | list)
            },
            "epoch": self.epoch,
            "batch": self.batch,
            "loss_sum": self.loss_sum,
            "wrong": self.wrong,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.epoch, self.batch = state["epoch"], state["batch"]
        self.loss_sum.copy_(state["loss_sum"])
        self.wrong.copy_(state["wrong"])
        self._batches = None

    def _prefetched(self, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of one epoch from number `first` on; cut in a thread of its own, one to three ahead."""
        recipe, images = self.recipe, self.pictures.images
        order = crops.epoch_order(len(images), recipe.seed, epoch)
        views = crops.training_views(recipe.crops, len(images), images.shape[1], recipe.input_size, recipe.seed, epoch)

        def cut_all() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
            for start in range(first * recipe.batch, len(order), recipe.batch):
                indices = order[start : start + recipe.batch]
                yield indices, views[indices], crops.cut(images, indices, views[indices], recipe.input_size)

        for indices, chosen, cut in _ahead(cut_all(), 3 if self.device.type == "cuda" else 1):
            yield self.subtract(cut, chosen, self.dtype), self.labels[torch.from_numpy(indices).to(self.device)]


def _ahead(items: Iterator[Any], depth: int) -> Iterator[Any]:
    """Iterate in a thread that works `depth` items ahead; an exception there is raised here."""
    waiting: queue.Queue = queue.Queue(depth)
    stop, end = threading.Event(), object()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((end, None))
        except Exception as error:
            put((end, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stop.set()


def _decayed(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay, biases do not."""
    weights = [p for name, p in net.named_parameters() if name.endswith("weight")]
    biases = [p for name, p in net.named_parameters() if name.endswith("bias")]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]


def _schedule(optimiser: torch.optim.Optimizer, recipe: Recipe) -> Any:
    if recipe.schedule == "stall":
        lowest = recipe.learning_rate * recipe.factor**3
        return torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimiser,
            factor=recipe.factor,
            patience=recipe.patience,
            threshold=0.1,
            threshold_mode="abs",
            min_lr=lowest,
        )
    if recipe.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.epochs, recipe.learning_rate * 0.01)
    if recipe.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimiser, 1.0)
    raise ValueError(f"unknown schedule {recipe.schedule!r}")


def _step_seed(seed: int, epoch: int, batch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch, batch, 2]).generate_state(1, np.uint64)[0] >> 1)
