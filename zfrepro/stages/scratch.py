"""Train a network of the same kind on a target set alone, from nothing: what pretraining is compared with (Tables 4, 5)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, PositiveInt

from zfrepro import artifacts, sources
from zfrepro.checkpoints import Store, key
from zfrepro.core.architecture import Network, describe
from zfrepro.core.folds import Fold, mean_class_accuracy
from zfrepro.errors import UserError
from zfrepro.folded import FoldedSet
from zfrepro.prepared import PreparedSet
from zfrepro.spec import Base

if TYPE_CHECKING:
    import torch

    from zfrepro.core.training import Training


class Spec(Base):
    epochs: int = Field(70, ge=1, description="of training; the paper trains on ImageNet for 70")
    least_steps: int = Field(0, ge=0, description="mini-batches; train longer than `epochs` where pictures are so few")
    learning_rate: float = Field(0.01, gt=0, description="at the start of training")
    per_class: tuple[PositiveInt, ...] = Field(
        (15, 30, 45, 60),
        min_length=1,
        description="training pictures a class, of those that the folds have; the paper's tables",
    )
    folds: int = Field(5, ge=1, description="the first so many; the paper: 5")


def run(
    spec: Spec, network: Path, folds: Path, images: Path, out: Path, device: str = "auto", threads: int = 1
) -> None:
    """network: network.json of the run whose network and settings are taken; folds: folds.json of the target set; images:
    its manifest.json; out: the JSON file to write."""
    import torch

    from zfrepro import devices

    torch.set_num_threads(threads)
    target = PreparedSet(images)
    folded, training = FoldedSet(folds, target), artifacts.load_json(network)["spec"]
    if training["input_size"] > target.size:
        raise UserError(
            f"{target.folder}: pictures of {target.size} px, the network sees {training['input_size']}; prepare larger ones"
        )
    scratch = _Scratch(spec, training, target, devices.choose(device))
    store = Store(out.parent / ".state" / out.stem, key(*_decisive(spec, training, target), torch.__version__))
    sizes = [k for k in folded.sizes if k in spec.per_class or k is None]
    accuracies = [
        {"per_class": k, "folds": _remembered(scratch, store, k, folded.folds(k)[: spec.folds])} for k in sizes
    ]
    artifacts.save_json(
        out,
        {
            "target": target.manifest["dataset"],
            "classes": len(folded.summary["classes"]),
            "epochs": spec.epochs,
            "least_steps": spec.least_steps,
            "folds": min(spec.folds, folded.summary["folds"]),
            "accuracies": accuracies,
        },
    )


def _decisive(spec: Spec, training: dict[str, Any], target: PreparedSet) -> tuple[Any, ...]:
    """What decides the accuracy of any fold; which folds are asked for does not."""
    settings = spec.model_dump(mode="json", exclude={"per_class", "folds"})
    return settings, training, target.digest, sources.digest("stages.scratch")


def _remembered(scratch: _Scratch, store: Store, per_class: int | None, folds: list[Fold]) -> list[float]:
    """Each fold's accuracy, kept as soon as it is known: a job that dies goes on after its last fold."""
    known = (store.load_state() or {"accuracies": {}})["accuracies"]
    found = []
    for number, fold in enumerate(folds):
        name = f"{number} {key(fold.train.tolist(), fold.test.tolist())}"
        if name not in known:
            known[name] = scratch.accuracy(fold, number)
            store.save_state({"accuracies": known})
            print(json.dumps({"per_class": per_class, "fold": number, "accuracy": round(known[name], 2)}), flush=True)
        found.append(known[name])
    return found


@dataclass(frozen=True)
class _Scratch:
    spec: Spec
    training: dict[str, Any]  # settings of the run whose network is taken
    target: PreparedSet
    device: torch.device

    def accuracy(self, fold: Fold, number: int) -> float:
        """Mean per-class accuracy (%) on the centre view of the fold's test pictures."""
        from zfrepro.core import crops, evaluation

        images, labels, size = self.target.all_images, self.target.labels(None), self.training["input_size"]
        classes, known = np.unique(labels[fold.train], return_inverse=True)
        work = self._trained(images[fold.train], known, len(classes), number)
        view = crops.centre_view(self.target.size, size)
        said = evaluation.probabilities(work.net, images[fold.test], work.subtract, size, [view])
        return mean_class_accuracy(classes[said.argmax(1)], labels[fold.test])

    def _trained(self, images: np.ndarray, labels: np.ndarray, classes: int, number: int) -> Training:
        import torch

        from zfrepro import devices
        from zfrepro.core import nets
        from zfrepro.core.training import Pictures, Recipe, Training

        settings = self.training
        network = Network.model_validate(settings["network"])
        net = nets.build(network, settings["input_size"], classes, settings["width"], settings["dropout"])
        nets.initialise(net, settings["init"], 1000 * (settings["seed"] + 1) + number, nets.fan_ins(describe(network)))
        shared = ("input_size", "batch", "momentum", "weight_decay", "filter_rms", "crops", "input_scale")
        recipe = Recipe(
            epochs=max(self.spec.epochs, math.ceil(self.spec.least_steps * settings["batch"] / len(images))),
            learning_rate=self.spec.learning_rate,
            schedule="cosine",
            seed=settings["seed"] + number,
            **{field: settings[field] for field in shared},
        )
        pictures = Pictures(images, labels, images.mean(0, dtype=np.float64).astype(np.float32))
        dtype = devices.precision(settings["precision"], self.device)
        work = Training(net.to(self.device, memory_format=torch.channels_last), pictures, recipe, self.device, dtype)
        while work.epoch < recipe.epochs:
            while not work.epoch_done:
                work.step()
            work.end_epoch(0.0)
        return work
