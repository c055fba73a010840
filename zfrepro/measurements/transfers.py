"""Accuracies on the sets that features are transferred to, fold by fold, and intervals of their differences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zfrepro.errors import UserError
from zfrepro.measurements import files as measured_files
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.intervals import MIN_UNITS, student, vary
from zfrepro.storage import artifacts

if TYPE_CHECKING:
    import pandas as pd

DEEPEST = 7  # the layer whose features Tables 4 to 6 and Fig 9 classify
HOG = "HOG, linear SVM"
RANDOM = "Random layers 1-7, only the softmax trained"
BASELINES = {"hog": HOG, "scratch": "the network trained from scratch"}
NAMES = {"caltech101": "Caltech-101", "caltech256": "Caltech-256", "voc2012": "PASCAL VOC"}


def needs(config: Any, target: str) -> dict[str, str]:
    """Label -> file: folds, scratch, and what classifiers reach on the features of each network: `pretrained` is the run
    that is named first, `run/<name>` any other, `random` and `hog` the baselines. Raises LookupError for no such target."""
    if target not in config.folds:
        raise LookupError(f"`folds.{target}`")
    if not config.features.runs:
        raise LookupError("a run in `features.runs`")
    first, *others = config.features.runs
    files = {"folds": f"folds/{target}/folds.json", "pretrained": f"probes/{target}/{first}.json"}
    files |= {f"run/{name}": f"probes/{target}/{name}.json" for name in others}
    files |= {name: f"probes/{target}/{name}.json" for name in config.features.baselines}
    if target in getattr(config.scratch, "sets", ()):
        files["scratch"] = f"scratch/{target}.json"
    return files


@dataclass(frozen=True)
class Folds:
    """How a target set was split (folds.json)."""

    target: str  # the data set that stands for it
    classes: int
    folds: int
    test_images: dict[int, int]  # training images per class -> test images, of all classes
    test_per_class: int  # at most

    @classmethod
    def load(cls, path: Path) -> Folds:
        record = artifacts.load_json(path)
        tested = {int(k): count for k, count in record["test_pictures"].items()}
        return cls(record["target"], len(record["classes"]), record["folds"], tested, record["test_per_class"])

    def text(self) -> str:
        """`scenes, 24 classes, 5 random splits, at most 50 test images per class`"""
        splits = f"{self.folds} random splits" if self.folds > 1 else "one random split"
        return f"{self.target}, {self.classes} classes, {splits}, at most {self.test_per_class} test images per class"


@dataclass(frozen=True)
class Target:
    """One set with its accuracies, a row a measurement, as `load_accuracies` gives them."""

    record: Mapping[str, Any]  # folds.json
    accuracies: pd.DataFrame

    @classmethod
    def load(cls, files: Mapping[str, Path], name: str) -> Target:
        """Of labels `<name>/<label of needs>`."""
        target_files = measured_files.select(files, name)
        return cls(artifacts.load_json(target_files["folds"]), load_accuracies(target_files))

    @property
    def largest_training(self) -> int:
        """Training images per class."""
        return int(max(self.record["per_class"]))

    def curve(self, method: str) -> dict[int, list[float]]:
        """Training images per class -> accuracy of each fold, of the classifier that Tables 4 and 5 show; empty: not run."""
        return shown_curve(self.accuracies, method)

    def folds(self, **values: Any) -> list[float] | None:
        """`select_folds` of this set."""
        return select_folds(self.accuracies, **values)

    def still_falling(self, per_class: int) -> float | None:
        """Points by which the training error from scratch fell over the last fifth of training, mean over folds; None: not known."""
        scratch = self.accuracies[self.accuracies["method"] == "scratch"]
        rows = scratch[scratch["per_class"] == per_class]
        falls = rows["still_falling"].iloc[0] if len(rows) else None
        return statistics.fmean(falls) if isinstance(falls, list) and falls else None

    def shared(self, first: str, second: str) -> list[int]:
        """Training images per class that both methods were measured with. Raises NotMeasured for none."""
        curves = [self.curve(method) for method in (first, second)]
        for method, curve in zip((first, second), curves, strict=True):
            if not curve:
                raise NotMeasured(f"The experiment does not measure {name_method(method)} on this set.")
        shared = sorted(set(curves[0]) & set(curves[1]))
        if not shared:
            raise NotMeasured(
                f"{name_method(first)} and {name_method(second)} were measured with different numbers of training images."
            )
        return shared

    def differences(self, first: str, second: str, prefix: str = "") -> dict[str, Estimate]:
        """`15 per class` -> first minus second, for all that are `shared`."""
        return {f"{prefix}{k} per class": self.difference(first, second, k) for k in self.shared(first, second)}

    def difference(self, first: str, second: str, per_class: int) -> Estimate:
        """first minus second, which were both measured with so many training images."""
        return self.sum([(1, self.curve(first)[per_class]), (-1, self.curve(second)[per_class])], per_class)

    def sum(
        self, terms: Sequence[tuple[float, Sequence[float]]], per_class: int, same_network: bool = False
    ) -> Estimate:
        """(weight, accuracy of each fold), fold by fold; the largest number of training images decides which test images
        the folds share. `same_network`: of classifiers and layers of one network, which mostly err on the same images."""
        tested = self.record["test_pictures"][str(per_class)]
        independent = None if same_network else tested
        return sum_over_folds(terms, tested / (self.record["used"] - tested), independent)


def load_targets(files: Mapping[str, Path], names: Sequence[str]) -> dict[str, Target]:
    """Those of the named sets that the experiment has and splits at random. Raises NotMeasured for none."""
    targets = {name: Target.load(files, name) for name in names if f"{name}/folds" in files}
    targets = {name: target for name, target in targets.items() if not target.record["own_splits"]}
    if not targets:
        raise NotMeasured(f"No set in this experiment stands in for {' or '.join(NAMES[name] for name in names)}.")
    return targets


def load_target(files: Mapping[str, Path], name: str) -> Target:
    return load_targets(files, (name,))[name]


def name_method(method: str) -> str:
    return BASELINES.get(method, "pretrained features")


def load_accuracies(files: Mapping[str, Path]) -> pd.DataFrame:
    """One row a measurement: method (a label of `needs`), layer (0: hand-crafted features; missing: trained from scratch),
    classifier, per_class, folds (list of mean per-class accuracies in percent).

    Of training from scratch besides, one a fold: train_error (percent, in the last epoch) and still_falling (points by which it
    fell over the last fifth of training); missing for the others. Raises UserError for an accuracy that is not finite.
    """
    import pandas as pd

    rows = [
        {"method": method, **_require_finite(accuracy, path)}
        for method, path in sorted(files.items())
        if method != "folds"
        for accuracy in artifacts.load_json(path)["accuracies"]
    ]
    columns = ["method", "layer", "classifier", "per_class", "folds", "train_error", "still_falling"]
    return pd.DataFrame(rows, columns=columns)


def _require_finite(accuracy: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    for name in ("folds", "train_error", "still_falling"):
        if not all(value is not None and math.isfinite(value) for value in accuracy.get(name, ())):
            raise UserError(
                f"{path}: {name} with {accuracy['per_class']} per class are not finite; delete it and run again"
            )
    return accuracy


def shown_curve(accuracies: pd.DataFrame, method: str) -> dict[int, list[float]]:
    """Training images per class -> accuracy of each fold, fewest first, as Tables 4, 5 and Fig 9 show it: the softmax on the
    deepest layer, the linear SVM on hand-crafted features. Empty where the method was not run."""
    rows = accuracies[accuracies["method"] == method]
    if method != "scratch":
        deepest, classifier = rows["layer"].max(), "svm" if method == "hog" else "softmax"
        rows = rows[(rows["layer"] == deepest) & (rows["classifier"] == classifier)]
    rows = rows.sort_values("per_class")
    return {int(k): list(folds) for k, folds in zip(rows["per_class"], rows["folds"], strict=True)}


def select_folds(accuracies: pd.DataFrame, **values: Any) -> list[float] | None:
    """Accuracy of each fold, of the one measurement that fits; None if it was not made.

    `select_folds(accuracies, method="pretrained", layer=7, classifier="softmax", per_class=15)`
    """
    fitting = np.flatnonzero(np.logical_and.reduce([accuracies[column].eq(value) for column, value in values.items()]))
    return list(accuracies["folds"].iloc[fitting[0]]) if len(fitting) else None


def subtract_folds(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """First minus second on the folds that both have."""
    return [accuracy - subtracted for accuracy, subtracted in zip(first, second, strict=False)]


def sum_over_folds(
    terms: Sequence[tuple[float, Sequence[float]]], test_share: float, independent: int | None = None
) -> Estimate:
    """Mean over folds of a weighted sum of accuracies in percent, in points: (weight, accuracy of each fold), on the same folds.

    Folds drawn again from the same images share training images, so the variance is that of Nadeau and Bengio (2003):
    (1/folds + test_share) times the variance between folds, test_share = test images / all others, which are the training
    images where every image is used.

    `independent`: test images of a fold, where the terms err independently, as different features or numbers of training
    images nearly do. A few folds may agree by luck: the variance between them then counts as no less than the binomial one.
    """
    shared = min(len(folds) for _, folds in terms)
    weights, values = np.array([weight for weight, _ in terms]), np.array([folds[:shared] for _, folds in terms])
    sums = weights @ values
    value = float(sums.mean())
    if shared < MIN_UNITS:
        return student(value, [], shared, "folds" if shared > 1 else "fold", "points")
    between = float(sums.var(ddof=1)) if vary(sums) else 0.0
    if independent is not None:
        means = values.mean(axis=1)
        between = max(between, float((weights**2 * means * (100 - means)).sum()) / independent)
    return student(value, [(between * (1 / shared + test_share), shared - 1)], shared, "folds", "points")
