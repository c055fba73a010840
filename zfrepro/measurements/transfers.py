"""What was measured on the sets that features are transferred to, found again for Tables 4 to 7 and Fig 9."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zfrepro.errors import UserError
from zfrepro.measurements.estimate import Number
from zfrepro.storage import artifacts

if TYPE_CHECKING:
    import pandas as pd

DEEPEST = 7  # the layer whose features Tables 4 to 6 and Fig 9 classify
HOG = "HOG, linear SVM"
RANDOM = "Random layers 1-7, only the softmax trained"


def needs(config: Any, target: str) -> dict[str, str]:
    """Label -> file: folds, scratch, and what classifiers reach on the features of each network: `pretrained` is the run
    that is named first, `run/<name>` any other, `random` and `hog` the baselines. Raises LookupError for no such target."""
    if target not in config.folds:
        raise LookupError(f"folds.{target}")
    if not config.features.runs:
        raise LookupError("features.runs")
    first, *others = config.features.runs
    files = {"folds": f"folds/{target}/folds.json", "pretrained": f"probes/{target}/{first}.json"}
    files |= {f"run/{name}": f"probes/{target}/{name}.json" for name in others}
    files |= {name: f"probes/{target}/{name}.json" for name in config.features.baselines}
    if target in getattr(config.scratch, "sets", ()):
        files["scratch"] = f"scratch/{target}.json"
    return files


@dataclass(frozen=True)
class Folds:
    """How a target set was split, as folds.json says it."""

    target: str  # the data set that stands for it
    classes: int
    folds: int
    test_pictures: dict[int, int]  # training pictures a class -> test pictures, of all classes
    test_per_class: int  # at most

    @classmethod
    def load(cls, path: Path) -> Folds:
        told = artifacts.load_json(path)
        tested = {int(k): count for k, count in told["test_pictures"].items()}
        return cls(told["target"], len(told["classes"]), told["folds"], tested, told["test_per_class"])

    def said(self) -> str:
        """`scenes, 24 classes, 5 random splits, at most 50 test pictures a class`"""
        splits = f"{self.folds} random splits" if self.folds > 1 else "one random split"
        return f"{self.target}, {self.classes} classes, {splits}, at most {self.test_per_class} test pictures a class"


def accuracies(files: Mapping[str, Path]) -> pd.DataFrame:
    """One row a measurement: method (a label of `needs`), layer (0: hand-crafted features; missing: trained from scratch),
    classifier, per_class, folds (list of mean per-class accuracies in percent).

    Of training from scratch besides, one a fold: train_error (percent, in the last epoch) and still_falling (points by which it
    fell over the last fifth of training); missing for the others. Raises UserError for an accuracy that is not finite.
    """
    import pandas as pd

    rows = [
        {"method": method, **_finite(one, path)}
        for method, path in sorted(files.items())
        if method != "folds"
        for one in artifacts.load_json(path)["accuracies"]
    ]
    columns = ["method", "layer", "classifier", "per_class", "folds", "train_error", "still_falling"]
    return pd.DataFrame(rows, columns=columns)


def _finite(one: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    for name in ("folds", "train_error", "still_falling"):
        if not all(value is not None and math.isfinite(value) for value in one.get(name, ())):
            raise UserError(f"{path}: {name} with {one['per_class']} a class are not finite; delete it and run again")
    return one


def series(found: pd.DataFrame, method: str) -> dict[int, list[float]]:
    """Training images per class -> accuracy of each fold, fewest first, as Tables 4, 5 and Fig 9 show it: the softmax on the
    deepest layer, the linear SVM on hand-crafted features. Empty where the method was not run."""
    own = found[found["method"] == method]
    if method != "scratch":
        deepest, classifier = own["layer"].max(), "svm" if method == "hog" else "softmax"
        own = own[(own["layer"] == deepest) & (own["classifier"] == classifier)]
    own = own.sort_values("per_class")
    return {int(k): list(folds) for k, folds in zip(own["per_class"], own["folds"], strict=True)}


def fold_by_fold(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """First minus second on the folds that both have."""
    return [one - other for one, other in zip(first, second, strict=False)]


def number(found: pd.DataFrame, **wanted: Any) -> Number | None:
    """The one measurement that fits: `number(found, method="pretrained", layer=7, classifier="softmax", per_class=15)`.

    Mean and standard deviation over the folds; None if it was not made.
    """
    for column, value in wanted.items():
        found = found[found[column] == value]
    return None if found.empty else averaged(found["folds"].iloc[0])


def averaged(folds: Sequence[float]) -> Number:
    return Number(statistics.fmean(folds), spread=statistics.stdev(folds) if len(folds) > 1 else None)


def curve(found: pd.DataFrame, method: str) -> dict[int, Number]:
    """Training images per class -> mean over the folds of `series`, with their standard deviation."""
    return {k: averaged(folds) for k, folds in series(found, method).items()}
