"""Train the same network from scratch on a target set, to compare pretraining with (Tables 4, 5)."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, PositiveInt

from zfrepro.core.architecture import Network, describe
from zfrepro.core.folds import Fold, mean_class_accuracy
from zfrepro.errors import UserError
from zfrepro.spec import Base
from zfrepro.storage import artifacts, computing_code
from zfrepro.storage.checkpoints import Store, key
from zfrepro.storage.fold_set import FoldedSet
from zfrepro.storage.prepared_set import PreparedSet

if TYPE_CHECKING:
    import torch

    from zfrepro.core.loading import Images
    from zfrepro.core.training import Training


class Settings(Base):
    """Shared by all sets of an experiment."""

    steps: int = Field(
        10_000,
        ge=1,
        description="mini-batches per training, rounded up to whole epochs; enough for the training error to level off. The paper "
        "does not say how it trained from scratch; all other settings are those of pretraining",
    )
    folds: int = Field(5, ge=1, description="number of folds used, the first ones; the paper: 5")


class Spec(Settings):
    per_class: tuple[PositiveInt, ...] = Field(
        (15, 30, 45, 60),
        min_length=1,
        description="training images per class, if the folds have them; the paper's tables",
    )


def run(
    spec: Spec, network: Path, folds: Path, images: Path, out: Path, device: str = "auto", threads: int = 1
) -> None:
    """network: network.json of the run whose network and settings are used; folds: folds.json of the target set; images:
    its manifest.json; out: the JSON file to write."""
    import torch

    from zfrepro.models import devices

    target = PreparedSet(images)
    folded, training = FoldedSet(folds, target), artifacts.load_json(network)["spec"]
    if training["input_size"] > target.size:
        raise UserError(
            f"{target.folder}: images of {target.size} px, the network sees {training['input_size']}; prepare larger images"
        )
    scratch = _Scratch(spec, training, target, devices.choose(device, threads))
    versions = (torch.__version__, *devices.describe(scratch.device, training["precision"]))
    store = Store(out.parent / ".state" / out.stem, key(*_decisive(spec, training, target), versions))
    sizes = [k for k in folded.sizes if k in spec.per_class or k is None]
    with store.only_writer():
        accuracies = [
            {"per_class": k, **_measure_folds(scratch, store, k, folded.folds(k)[: spec.folds], out.stem)}
            for k in sizes
        ]
    artifacts.save_json(
        out,
        {
            "target": target.manifest["dataset"],
            "classes": len(folded.summary["classes"]),
            "steps": spec.steps,
            "folds": min(spec.folds, folded.summary["folds"]),
            "accuracies": accuracies,
        },
    )


def _decisive(spec: Spec, training: dict[str, Any], target: PreparedSet) -> tuple[Any, ...]:
    """What decides the accuracy of any fold; which folds are asked for does not."""
    settings = spec.model_dump(mode="json", exclude={"per_class", "folds"})
    return settings, training, target.digest, computing_code.digest(["stages.scratch.run"])[0]


def _measure_folds(
    scratch: _Scratch, store: Store, per_class: int | None, folds: list[Fold], name: str
) -> dict[str, list[float]]:
    """What was measured of each fold, by name; kept as soon as it is known: a job that dies goes on after its last fold.

    Raises UserError naming the set, fold and step where a training diverges.
    """
    from zfrepro.core.training import Diverged

    measured = (store.load_state() or {"measured": {}})["measured"]
    results = []
    for number, fold in enumerate(folds):
        label = f"{number} {key(fold.train.tolist(), fold.test.tolist())}"
        if label not in measured:
            try:
                measured[label] = scratch.measure(fold, number)
            except (Diverged, FloatingPointError) as error:
                raise UserError(
                    f"scratch of {name}, {per_class} images per class, fold {number}: training diverged ({error}); lower the "
                    "learning rate of train.recipe and run again"
                ) from error
            store.save_state({"measured": measured})
            rounded = {quantity: round(value, 2) for quantity, value in measured[label].items()}
            print(json.dumps({"per_class": per_class, "fold": number, **rounded}), flush=True)
        results.append(measured[label])
    columns = {"folds": "accuracy", "train_error": "train_error", "still_falling": "still_falling"}
    return {name: [result[quantity] for result in results] for name, quantity in columns.items()}


def fall_at_end(errors: list[float]) -> float:
    """Points by which the error of each epoch fell over the last fifth: mean of the tenth before it less that of the last tenth."""
    tenth = max(1, len(errors) // 10)
    before = errors[-3 * tenth : -2 * tenth] or errors[:1]
    return float(np.mean(before) - np.mean(errors[-tenth:]))


@dataclass(frozen=True)
class _Scratch:
    spec: Spec
    training: dict[str, Any]  # settings of the run whose network is taken
    target: PreparedSet
    device: torch.device

    def measure(self, fold: Fold, number: int) -> dict[str, float]:
        """accuracy: mean per-class accuracy (%) on the centre view of the fold's test images; train_error: running top-1
        training error (%) of the last epoch; still_falling: see fall_at_end."""
        from zfrepro.core import crops, evaluation
        from zfrepro.core.loading import Subset

        images, labels, size = self.target.reader(None), self.target.labels(None), self.training["input_size"]
        classes, train_labels = np.unique(labels[fold.train], return_inverse=True)
        training, errors = self._train(Subset(images, fold.train), train_labels, len(classes), number)
        view = crops.centre_view(self.target.size, size)
        predicted = evaluation.probabilities(
            training.net, Subset(images, fold.test), training.subtract, size, [view], dtype=training.dtype
        ).argmax(1)
        return {
            "accuracy": mean_class_accuracy(classes[predicted], labels[fold.test]),
            "train_error": errors[-1],
            "still_falling": fall_at_end(errors),
        }

    def _train(self, images: Images, labels: np.ndarray, classes: int, number: int) -> tuple[Training, list[float]]:
        """The training, done, and its running top-1 error (%) of every epoch. Without validation images it is the training
        error that has to stall before the schedule `stall` anneals."""
        from zfrepro.core import nets
        from zfrepro.core.loading import mean_image
        from zfrepro.core.recipe import Recipe, steps_per_epoch
        from zfrepro.core.training import Training, TrainingImages
        from zfrepro.models import devices

        settings = self.training
        network = Network.model_validate(settings["network"])
        net = nets.build(network, settings["input_size"], classes, settings["width"], settings["dropout"])
        nets.initialise(net, settings["init"], 1000 * (settings["seed"] + 1) + number, nets.fan_ins(describe(network)))
        shared = {field.name for field in dataclasses.fields(Recipe)} & set(settings) - {"epochs", "seed"}
        recipe = Recipe(
            epochs=-(-self.spec.steps // steps_per_epoch(len(images), settings["batch"])),
            seed=settings["seed"] + number,
            **{field: settings[field] for field in shared},
        )
        data = TrainingImages(images, labels, mean_image(images))
        dtype = devices.precision(settings["precision"], self.device)
        work = Training(nets.to_device(net, self.device), data, recipe, self.device, dtype)
        errors = []
        while work.epoch < recipe.epochs:
            while not work.epoch_done:
                work.step()
            error = 100 * float(work.misclassified) / len(labels)
            errors.append(work.end_epoch(error)["train_top1_error"])
        return work, errors
