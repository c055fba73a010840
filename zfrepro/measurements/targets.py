"""Accuracies on the sets that features are transferred to, fold by fold, and intervals of their differences."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zfrepro.measurements import intervals, transfers
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.storage import artifacts

if TYPE_CHECKING:
    import pandas as pd

BASELINES = {"hog": transfers.HOG, "scratch": "the network trained from scratch"}
NAMES = {"caltech101": "Caltech-101", "caltech256": "Caltech-256", "voc2012": "PASCAL VOC"}


@dataclass(frozen=True)
class Target:
    """One set; `found` has a row a measurement, with columns method, layer, classifier, per_class, folds (percent)."""

    told: Mapping[str, Any]  # folds.json
    found: pd.DataFrame

    @classmethod
    def load(cls, files: Mapping[str, Path], name: str) -> Target:
        """Of labels `<name>/<label of transfers.needs>`."""
        own = {label.removeprefix(f"{name}/"): path for label, path in files.items() if label.startswith(f"{name}/")}
        return cls(artifacts.load_json(own["folds"]), transfers.accuracies(own))

    @property
    def most(self) -> int:
        """Training pictures a class."""
        return max(self.told["per_class"])

    def curve(self, method: str) -> dict[int, list[float]]:
        """Training images per class -> accuracy of each fold, of the classifier that Tables 4 and 5 show; empty: not run."""
        return transfers.series(self.found, method)

    def folds(self, **wanted: Any) -> list[float] | None:
        """Of the one measurement that fits: `folds(method="pretrained", layer=7, classifier="svm", per_class=30)`."""
        found = self.found
        for column, value in wanted.items():
            found = found[found[column] == value]
        return None if found.empty else list(found["folds"].iloc[0])

    def still_falling(self, per_class: int) -> float | None:
        """Points by which the training error from scratch fell over the last fifth of training, mean over folds; None: not known."""
        own = self.found[(self.found["method"] == "scratch") & (self.found["per_class"] == per_class)]
        falls = own["still_falling"].iloc[0] if len(own) else None
        return statistics.fmean(falls) if isinstance(falls, list) and falls else None

    def shared(self, first: str, second: str) -> list[int]:
        """Training pictures a class that both methods were measured with. Raises NotMeasured for none."""
        curves = [self.curve(method) for method in (first, second)]
        for method, curve in zip((first, second), curves, strict=True):
            if not curve:
                raise NotMeasured(f"The experiment does not measure {named(method)} on this set.")
        both = sorted(set(curves[0]) & set(curves[1]))
        if not both:
            raise NotMeasured(
                f"No number of training pictures was measured with {named(first)} and {named(second)} alike."
            )
        return both

    def differences(self, first: str, second: str, prefix: str = "") -> dict[str, Estimate]:
        """`15 a class` -> first less second, for all that are `shared`."""
        curves = [self.curve(method) for method in (first, second)]
        return {
            f"{prefix}{k} a class": self.sum([(1, curves[0][k]), (-1, curves[1][k])], k)
            for k in self.shared(first, second)
        }

    def sum(
        self, terms: Sequence[tuple[float, Sequence[float]]], per_class: int, same_pictures_wrong: bool = False
    ) -> Estimate:
        """(weight, accuracy of each fold), fold by fold; the largest number of training pictures decides which test pictures
        the folds share. `same_pictures_wrong`: of classifiers and layers of one network, which mostly err alike."""
        tested = self.told["test_pictures"][str(per_class)]
        independent = None if same_pictures_wrong else tested
        return intervals.of_folds(terms, tested / (self.told["used"] - tested), independent)


def several(files: Mapping[str, Path], names: Sequence[str]) -> dict[str, Target]:
    """Those of the named sets that the experiment has and splits at random. Raises NotMeasured for none."""
    known = [name for name in names if f"{name}/folds" in files]
    found = {name: Target.load(files, name) for name in known}
    found = {name: target for name, target in found.items() if not target.told["own_splits"]}
    if not found:
        raise NotMeasured(f"No set in this experiment stands for {' or '.join(NAMES[name] for name in names)}.")
    return found


def single(files: Mapping[str, Path], name: str) -> Target:
    return several(files, (name,))[name]


def named(method: str) -> str:
    return BASELINES.get(method, "pretrained features")
