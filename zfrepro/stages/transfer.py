"""Use a network on another set: softmax on its frozen layers, or the same network trained there from nothing (Table 4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from zfrepro import artifacts
from zfrepro.errors import UserError
from zfrepro.prepared import PreparedSet
from zfrepro.spec import Base

if TYPE_CHECKING:
    import torch

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
    net, mean, description = trained.load(weights, devices.choose(device))
    labels = target.labels("all")
    splits = {k: _splits(spec, target, k) for k in spec.per_class}
    if spec.method == "scratch":
        training = artifacts.load_json(network)["spec"]
        accuracies = {
            k: [
                _from_nothing(spec, training, target, fold, number, description, net)
                for number, fold in enumerate(found)
            ]
            for k, found in splits.items()
        }
    else:
        found = _features(spec, net, mean, description, target, labels)
        accuracies = {k: [_softmax(found, labels, fold, spec) for fold in kept] for k, kept in splits.items()}
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


def _features(
    spec: Spec, net: Any, mean: np.ndarray, description: Description, target: PreparedSet, labels: np.ndarray
) -> np.ndarray:
    from zfrepro.core import crops, nets, transfer

    if spec.method == "random":
        nets.initialise(net, "he", spec.seed + 1)
    device: torch.device = next(net.parameters()).device
    subtract = crops.MeanSubtraction(_resized(mean, target.size), device)
    return transfer.features(net, target.images("all"), subtract, description.input_size, spec.layer, spec.batch)


def _resized(mean: np.ndarray, size: int) -> np.ndarray:
    """The source's mean image at the target's stored size: cut or repeated at the border, they differ by pixels at most."""
    extra = size - mean.shape[0]
    if extra > 0:
        return np.pad(mean, ((extra // 2, extra - extra // 2),) * 2 + ((0, 0),), mode="edge")
    start = -extra // 2
    return mean[start : start + size, start : start + size]


def _softmax(features: np.ndarray, labels: np.ndarray, fold: Fold, spec: Spec) -> float:
    from zfrepro.core import transfer

    accuracy = transfer.softmax_accuracy(features, labels, fold, spec.seed)
    print(json.dumps({"method": spec.method, "train": len(fold.train), "accuracy": round(accuracy, 2)}), flush=True)
    return accuracy


def _from_nothing(
    spec: Spec,
    training: dict[str, Any],
    target: PreparedSet,
    fold: Fold,
    number: int,
    description: Description,
    like: Any,
) -> float:
    """Mean per-class accuracy (%) of the same network trained on the fold's training pictures alone."""
    import torch

    from zfrepro import devices
    from zfrepro.core import crops, evaluation, nets, transfer
    from zfrepro.core.architecture import describe
    from zfrepro.core.training import Pictures, Recipe, Training

    device = next(like.parameters()).device
    images, labels = target.images("all"), target.labels("all")
    net = nets.build(
        description.network, description.input_size, len(target.classes), description.width, training["dropout"]
    )
    nets.initialise(net, training["init"], 1000 * (spec.seed + 1) + number, nets.fan_ins(describe(description.network)))
    train = images[fold.train]
    pictures = Pictures(train, labels[fold.train], train.mean(0, dtype=np.float64).astype(np.float32))
    recipe = Recipe(
        input_size=description.input_size,
        epochs=spec.scratch_epochs,
        batch=training["batch"],
        learning_rate=spec.scratch_learning_rate,
        momentum=training["momentum"],
        weight_decay=training["weight_decay"],
        filter_rms=training["filter_rms"],
        crops=training["crops"],
        schedule="cosine",
        seed=spec.seed + number,
    )
    work = Training(
        net.to(device, memory_format=torch.channels_last),
        pictures,
        recipe,
        device,
        devices.precision(training["precision"], device),
    )
    while work.epoch < spec.scratch_epochs:
        while not work.epoch_done:
            work.step()
        work.end_epoch(0.0)
    said = evaluation.probabilities(
        net,
        images[fold.test],
        work.subtract,
        description.input_size,
        [crops.centre_view(target.size, description.input_size)],
    )
    accuracy = transfer.mean_class_accuracy(said.argmax(1), labels[fold.test])
    print(
        json.dumps({"method": "scratch", "train": len(fold.train), "fold": number, "accuracy": round(accuracy, 2)}),
        flush=True,
    )
    return accuracy


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
