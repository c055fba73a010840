"""Use a network on another set: softmax on its frozen layers, or the same network trained there from nothing (Table 4)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from zfrepro import artifacts, sources
from zfrepro.checkpoints import Store, key
from zfrepro.core.architecture import describe
from zfrepro.errors import UserError
from zfrepro.prepared import PreparedSet
from zfrepro.spec import Base

if TYPE_CHECKING:
    import torch

    from zfrepro.core.training import Training
    from zfrepro.core.transfer import Fold
    from zfrepro.trained import Description


class Spec(Base):
    method: Literal["pretrained", "random", "scratch"] = Field(
        description="pretrained: frozen features; random: the same with random weights; scratch: all layers trained on the new set"
    )
    per_class: tuple[int, ...] = Field((15, 30), description="training pictures a class; the paper: 15 and 30")
    test_per_class: int = Field(50, ge=1, description="test pictures a class, at most; the paper: 50")
    folds: int = Field(5, ge=1, description="random splits; the paper: 5")
    seed: int = Field(0, ge=0, description="decides the splits, the same for every method")
    layer: int = Field(7, ge=1, le=7, description="features after this layer; the paper: 7")
    scratch_epochs: int = Field(70, ge=1, description="epochs of training from nothing (scratch)")
    scratch_learning_rate: float = Field(0.01, gt=0, description="of training from nothing (scratch)")
    batch: int = Field(128, ge=1, description="pictures")


def run(
    spec: Spec, weights: Path, network: Path, images: Path, out: Path, device: str = "auto", threads: int = 1
) -> None:
    """weights, network: of the run to transfer; images: manifest.json of the target set; out: the JSON file to write."""
    import torch

    from zfrepro import devices, trained

    torch.set_num_threads(threads)
    target = PreparedSet(images)
    splits = {k: _splits(spec, target, k) for k in spec.per_class}
    net, mean, description = trained.load(weights, devices.choose(device))
    if spec.method == "scratch":
        training = artifacts.load_json(network)["spec"]
        scratch = _Scratch(spec, training, description, target, next(net.parameters()).device)
        parts = (spec.model_dump_json(), training, sources.digest("stages.transfer"), target.digest, torch.__version__)
        measure = _remembered(scratch, Store(out.parent / ".state" / out.stem, key(*parts)))
    else:
        measure = _Frozen(spec, net, mean, description, target)
    accuracies = {k: [measure(fold, k, number) for number, fold in enumerate(found)] for k, found in splits.items()}
    artifacts.save_json(out, _result(spec, target, splits, accuracies))


def _splits(spec: Spec, target: PreparedSet, per_class: int) -> list[Fold]:
    from zfrepro.core import transfer

    try:
        return transfer.folds(target.labels("all"), per_class, spec.test_per_class, spec.folds, spec.seed)
    except ValueError as error:
        counts = np.bincount(target.labels("all"), minlength=len(target.classes))
        small = [name for name, count in zip(target.classes, counts, strict=True) if count <= per_class]
        raise UserError(
            f"transfer.per_class: {per_class} training pictures a class and one to test are more than these hold: {', '.join(small)}"
        ) from error


class _Frozen:
    """Accuracy of a softmax on one layer's features; those are computed once."""

    def __init__(self, spec: Spec, net: Any, mean: np.ndarray, description: Description, target: PreparedSet):
        from zfrepro.core import crops, nets, transfer

        if spec.method == "random":
            nets.initialise(net, "he", spec.seed + 1)
        device: torch.device = next(net.parameters()).device
        subtract = crops.MeanSubtraction(_resized(mean, target.size), device)
        self.spec, self.labels = spec, target.labels("all")
        self.features = transfer.features(
            net, target.images("all"), subtract, description.input_size, spec.layer, spec.batch
        )

    def __call__(self, fold: Fold, per_class: int, number: int) -> float:
        from zfrepro.core import transfer

        accuracy = transfer.softmax_accuracy(self.features, self.labels, fold, self.spec.seed)
        _log(method=self.spec.method, per_class=per_class, fold=number, accuracy=round(accuracy, 2))
        return accuracy


@dataclass(frozen=True)
class _Scratch:
    """Accuracy of the same network, trained on the fold's training pictures alone."""

    spec: Spec
    training: dict[str, Any]  # settings of the run that is transferred
    description: Description
    target: PreparedSet
    device: torch.device

    def __call__(self, fold: Fold, per_class: int, number: int) -> float:
        from zfrepro.core import crops, evaluation, transfer

        images, labels, size = self.target.images("all"), self.target.labels("all"), self.description.input_size
        work = self._trained(images[fold.train], labels[fold.train], number)
        view = crops.centre_view(self.target.size, size)
        said = evaluation.probabilities(work.net, images[fold.test], work.subtract, size, [view])
        accuracy = transfer.mean_class_accuracy(said.argmax(1), labels[fold.test])
        _log(method="scratch", per_class=per_class, fold=number, accuracy=round(accuracy, 2))
        return accuracy

    def _trained(self, images: np.ndarray, labels: np.ndarray, number: int) -> Training:
        import torch

        from zfrepro import devices
        from zfrepro.core import nets
        from zfrepro.core.training import Pictures, Recipe, Training

        told, settings = self.description, self.training
        net = nets.build(told.network, told.input_size, len(self.target.classes), told.width, settings["dropout"])
        nets.initialise(
            net, settings["init"], 1000 * (self.spec.seed + 1) + number, nets.fan_ins(describe(told.network))
        )
        shared = ("batch", "momentum", "weight_decay", "filter_rms", "crops", "input_scale")
        recipe = Recipe(
            input_size=told.input_size,
            epochs=self.spec.scratch_epochs,
            learning_rate=self.spec.scratch_learning_rate,
            schedule="cosine",
            seed=self.spec.seed + number,
            **{field: settings[field] for field in shared},
        )
        pictures = Pictures(images, labels, images.mean(0, dtype=np.float64).astype(np.float32))
        dtype = devices.precision(settings["precision"], self.device)
        net = net.to(self.device, memory_format=torch.channels_last)
        work = Training(net, pictures, recipe, self.device, dtype)
        while work.epoch < recipe.epochs:
            while not work.epoch_done:
                work.step()
            work.end_epoch(0.0)
        return work


def _remembered(measure: _Scratch, store: Store) -> Any:
    """The same measurement, each fold kept as soon as it is known: a job that dies goes on after its last fold."""
    known = (store.load_state() or {"accuracies": {}})["accuracies"]

    def kept(fold: Fold, per_class: int, number: int) -> float:
        name = f"{per_class} {number}"
        if name not in known:
            known[name] = measure(fold, per_class, number)
            store.save_state({"accuracies": known})
        return known[name]

    return kept


def _resized(mean: np.ndarray, size: int) -> np.ndarray:
    """The source's mean image at the target's stored size: cut, or repeated at the border."""
    extra = size - mean.shape[0]
    if extra > 0:
        return np.pad(mean, ((extra // 2, extra - extra // 2),) * 2 + ((0, 0),), mode="edge")
    start = -extra // 2
    return mean[start : start + size, start : start + size]


def _log(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def _result(
    spec: Spec, target: PreparedSet, splits: dict[int, list[Fold]], accuracies: dict[int, list[float]]
) -> dict[str, Any]:
    return {
        "target": target.manifest["dataset"],
        "classes": len(target.classes),
        "method": spec.method,
        "per_class": list(spec.per_class),
        "folds": spec.folds,
        "test_per_class": spec.test_per_class,
        "test_images": {str(k): [len(fold.test) for fold in found] for k, found in splits.items()},
        "accuracies": {str(k): values for k, values in accuracies.items()},
    }
