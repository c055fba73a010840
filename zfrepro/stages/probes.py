"""Train linear classifiers on frozen features of a target set: softmax, linear SVM and sigmoids (Tables 4 to 7, Fig 9)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from zfrepro.core.average_precision import mean, of_classes
from zfrepro.core.finite import require_finite
from zfrepro.core.folds import Fold, mean_class_accuracy
from zfrepro.core.strengths import STRENGTHS
from zfrepro.errors import UserError
from zfrepro.spec import Base
from zfrepro.storage import artifacts
from zfrepro.storage.diverged import explain_not_finite
from zfrepro.storage.fold_set import FoldedSet
from zfrepro.storage.prepared_set import PreparedSet

if TYPE_CHECKING:
    import torch

    from zfrepro.core.probes import Kind

RESAMPLES = 200  # of the test images, for the interval of a mean average precision


class Settings(Base):
    """Shared by all features of an experiment."""

    softmax: tuple[float, ...] = Field(
        STRENGTHS["softmax"],
        min_length=1,
        description="values of C to try, the weight of the loss against the L2 penalty",
    )
    svm: tuple[float, ...] = Field(STRENGTHS["svm"], min_length=1, description="the same for the linear SVM")
    sigmoids: tuple[float, ...] = Field(
        STRENGTHS["sigmoids"], min_length=1, description="the same for one sigmoid per class"
    )
    inner: int = Field(3, ge=2, description="parts of the training images for the cross-validation that selects C")
    seed: int = Field(0, ge=0, description="selects these parts")


class Spec(Settings):
    curve: bool = Field(
        True, description="evaluate the deepest layer at every number of training images, not only at the largest"
    )


def run(
    spec: Spec, features: Path, folds: Path, images: Path, out: Path, device: str = "auto", threads: int = 1
) -> None:
    """features: features.json of one kind of features of the target set; folds: its folds.json; images: its manifest.json;
    out: the JSON file to write."""
    from zfrepro.models import devices

    target = PreparedSet(images)
    folded, about = FoldedSet(folds, target), artifacts.load_json(features)
    if about["digest"] != target.digest:
        raise UserError(
            f"{features}: computed from other images than those of {target.folder}; delete it and run again"
        )
    several = target.has_presence
    layers = _Layers(features.parent, about, target.count, devices.choose(device, threads))
    with explain_not_finite(features, f"delete {features.parent} and run again"):
        results = list((_precisions if several else _accuracies)(spec, layers, folded))
    summary = {
        "target": target.manifest["dataset"],
        "features": out.stem,
        "kind": about["kind"],
        "layers": about["layers"],
        "sizes": about["sizes"],
        "classes": len(folded.summary["classes"]),
        "class_names": folded.summary["classes"],
        "folds": folded.summary["folds"],
    }
    kinds = {"accuracies": [], "precisions": results} if several else {"accuracies": results, "precisions": []}
    artifacts.save_json(out, summary | kinds)


@dataclass(frozen=True)
class _Layers:
    """The files of one kind of features. about: their features.json; count: images."""

    folder: Path
    about: dict[str, Any]
    count: int
    device: torch.device

    def gram(self, layer: int) -> torch.Tensor:
        """Inner products of a layer's features. Raises UserError for a file that is gone or cut short."""
        from zfrepro.core.gram import gram_of_parts

        with explain_not_finite(self._path(layer), f"delete {self.folder} and run again"):
            return gram_of_parts(self._parts(layer), self.count, self.device)

    def _path(self, layer: int) -> Path:
        return self.folder / f"layer{layer}.npy"

    def _parts(self, layer: int) -> Iterator[np.ndarray]:
        """Columns. The file is mapped again for each part, so that what was read does not stay in memory."""
        from zfrepro.core.gram import COLUMNS

        path, size = self._path(layer), self.about["sizes"][str(layer)]
        for start in range(0, size, COLUMNS):
            try:
                stored = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise UserError(f"{path}: cannot be read ({error}); delete {self.folder} and run again") from error
            if stored.shape != (self.count, size):
                raise UserError(f"{path}: does not fit its features.json; delete {self.folder} and run again")
            yield stored[:, start : start + COLUMNS]


def _accuracies(spec: Spec, layers: _Layers, folded: FoldedSet) -> Iterator[dict[str, Any]]:
    """The deepest layer's curve over training images per class, if asked for; every layer at the most of them, by both
    classifiers."""
    about, labels = layers.about, folded.target.labels(None)
    largest, deepest = folded.sizes[-1], max(about["layers"])
    for layer in about["layers"]:
        products = layers.gram(layer)
        for k in folded.sizes if spec.curve and layer == deepest else (largest,):
            kinds = classifiers(about["kind"], k == largest)
            yield from _measure(spec, products, labels, folded.folds(k), kinds, {"layer": layer, "per_class": k})


def classifiers(kind: str, largest: bool) -> tuple[Kind, ...]:
    """Those of features of a kind, `hog` or another, at the largest number of training images or at a smaller one."""
    if kind == "hog":
        return ("svm",)
    return ("softmax", "svm") if largest else ("softmax",)


def _measure(
    spec: Spec,
    products: torch.Tensor,
    labels: np.ndarray,
    folds: Sequence[Fold],
    kinds: Sequence[Kind],
    fields: dict[str, Any],
) -> list[dict[str, Any]]:
    from zfrepro.core import probes

    results = [{**fields, "classifier": kind, "folds": [], "strengths": []} for kind in kinds]
    for fold in folds:
        task = probes.task(products, labels, fold.train, fold.test, spec.inner, spec.seed)
        for result in results:
            prediction = probes.classify(task, result["classifier"], getattr(spec, result["classifier"]))
            result["folds"].append(mean_class_accuracy(prediction.predicted, labels[fold.test]))
            result["strengths"].append(prediction.strength)
    for result in results:
        print(json.dumps({**result, "folds": [round(value, 2) for value in result["folds"]]}), flush=True)
    return results


def _precisions(spec: Spec, layers: _Layers, folded: FoldedSet) -> Iterator[dict[str, Any]]:
    """Softmax over one label per image, and one sigmoid per class, on the deepest layer."""
    from zfrepro.core import probes

    layer, target = max(layers.about["layers"]), folded.target
    labels, presence = target.labels(None), target.presence(None)
    products = layers.gram(layer)
    (fold,) = folded.folds(folded.sizes[0])
    several = probes.task(products, presence, fold.train, fold.test, spec.inner, spec.seed)
    odds, strength = probes.sigmoids(several, spec.sigmoids)
    labelled = fold.train[presence[fold.train, labels[fold.train]] == 1]  # others show difficult objects only
    exclusive = probes.task(products, labels, labelled, fold.test, spec.inner, spec.seed)
    prediction = probes.classify(exclusive, "softmax", spec.softmax)
    scores = np.full(
        odds.shape, prediction.scores.min() - 1
    )  # a class that no training image is labelled with comes last
    scores[:, prediction.classes] = prediction.scores
    for name, scored, best_strength in (("softmax", scores, prediction.strength), ("sigmoids", odds, strength)):
        precisions = _average_precisions(scored, presence[fold.test], spec.seed)
        yield {"layer": layer, "classifier": name, "strength": best_strength, **precisions}
        print(
            json.dumps({"classifier": name, "strength": best_strength, "mean": round(precisions["mean"], 2)}),
            flush=True,
        )


def _average_precisions(scores: np.ndarray, presence: np.ndarray, seed: int) -> dict[str, Any]:
    """Percent, by class and their mean; the mean's 95 % interval over resampled test images."""
    precisions = 100 * of_classes(scores, presence)
    generator = np.random.default_rng(seed)
    resamples = (generator.integers(len(scores), size=len(scores)) for _ in range(RESAMPLES))
    means = [100 * mean(of_classes(scores[indices], presence[indices])) for indices in resamples]
    require_finite(np.array(means), "mean average precisions")  # max(0, NaN) is 0
    half = 1.96 * float(np.std(means))  # their mean is too high: an image that is drawn twice stands next to itself
    average = mean(precisions)
    classes = [None if np.isnan(value) else float(value) for value in precisions]
    return {"classes": classes, "mean": average, "low": max(0.0, average - half), "high": min(100.0, average + half)}
