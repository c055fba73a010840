"""Claims 40 to 42: linear classifiers on one layer after another (Table 7).

40 and 41 are about layers of networks that were trained out: the upper ones learn last. 42 compares two classifiers on the same
features, whatever these are, and says that a difference is small, so that it has no effect to be called small itself.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zfrepro import paper
from zfrepro.claims import base, margins, parts
from zfrepro.claims.base import Claim, Finding
from zfrepro.claims.margins import sized
from zfrepro.measurements import convergence, transfers
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.transfers import NAMES, Target, load_targets

SETS = {"caltech101": "cal101_30", "caltech256": "cal256_60"}  # set -> columns of the paper's table
ANOTHER = 1.0  # point of accuracy: margin for another training
EQUAL = 2.0  # points; twice the 0.9 that the paper's two classifiers differ by at most
DEEP, STEPS = transfers.DEEPEST, ((1, 2), (2, 3), (3, 4), (4, 5))
CLASSIFIERS = {"svm": "SVM", "softmax": "softmax"}


def needs(config: Any) -> dict[str, str]:
    """The network that is named first under features.runs, on both sets."""
    found = {name: transfers.needs(config, name) for name in SETS if name in config.folds}
    if not found:
        raise LookupError("folds.caltech101 or folds.caltech256")
    own = {f"{name}/{label}": files[label] for name, files in found.items() for label in ("folds", "pretrained")}
    return own | convergence.needs(config)


def _trained(decide: parts.Decide) -> parts.Decide:
    return parts.trained(decide, *(f"{name}/pretrained" for name in SETS), run=lambda path: path.stem)


@dataclass(frozen=True)
class Layers:
    """Classifiers on the layers of one network, on one set, with the most training pictures."""

    target: Target

    def folds(self, layer: int, classifier: str) -> list[float]:
        """Raises NotMeasured where that was not measured."""
        found = self._folds(layer, classifier)
        if found is None:
            raise NotMeasured(f"The experiment does not measure {CLASSIFIERS[classifier]} on layer {layer}.")
        return found

    def rise(self, low: int, high: int, classifier: str) -> Estimate:
        return self.paired_difference(self.folds(high, classifier), self.folds(low, classifier))

    def paired_difference(self, first: list[float], second: list[float]) -> Estimate:
        return self.target.sum([(1, first), (-1, second)], self.target.most, same_network=True)

    def over_best_below(self, classifier: str) -> tuple[int, Estimate]:
        """The best of the layers below, and by how much the deepest is above it."""
        below = [layer for layer in range(1, DEEP) if self._folds(layer, classifier) is not None]
        if not below:
            raise NotMeasured(f"The experiment measures {CLASSIFIERS[classifier]} on no layer below layer {DEEP}.")
        best = max(below, key=lambda layer: statistics.fmean(self.folds(layer, classifier)))
        return best, self.rise(best, DEEP, classifier)

    def _folds(self, layer: int, classifier: str) -> list[float] | None:
        wanted = {"method": "pretrained", "layer": layer, "classifier": classifier}
        return self.target.folds(**wanted, per_class=self.target.most)


def _measured(files: Mapping[str, Path]) -> dict[str, Layers]:
    return {name: Layers(target) for name, target in load_targets(files, tuple(SETS)).items()}


def _improves(files: Mapping[str, Path]) -> Finding:
    found = _measured(files)
    rises = {
        f"{NAMES[name]}, layer {low} to {high}": sized(
            one.rise(low, high, "svm"), _printed_rise(name, low, high), "the paper's", ANOTHER
        )
        for name, one in found.items()
        for low, high in STEPS
    }
    return parts.with_missing_sets(margins.above(rises), tuple(SETS), tuple(found))


def _deepest_is_best(files: Mapping[str, Path]) -> Finding:
    """Effects against the paper's rise over layer 5, its best below; none where that is no rise (SVM, Caltech-101)."""
    found, rises = _measured(files), {}
    for name, one in found.items():
        for classifier, label in CLASSIFIERS.items():
            best, estimate = one.over_best_below(classifier)
            theirs = _printed(name, DEEP, classifier) - _printed(name, 5, classifier)
            rises[f"{NAMES[name]}, {label}, above layer {best}"] = sized(estimate, theirs, "the paper's", ANOTHER)
    return parts.with_missing_sets(margins.above(rises), tuple(SETS), tuple(found))


def _classifiers_agree(files: Mapping[str, Path]) -> Finding:
    found = _measured(files)
    differences = {
        NAMES[name]: one.paired_difference(one.folds(DEEP, "softmax"), one.folds(DEEP, "svm"))
        for name, one in found.items()
    }
    return parts.with_missing_sets(base.inside(differences, EQUAL), tuple(SETS), tuple(found))


def _printed(name: str, layer: int, classifier: str) -> float:
    table = paper.table("table7_layerwise").set_index(["classifier", "layer"])
    return float(table.loc[(classifier, layer), f"{SETS[name]}_acc_pct"])


def _printed_rise(name: str, low: int, high: int) -> float:
    return _printed(name, high, "svm") - _printed(name, low, "svm")


def _rises_printed() -> str:
    each = {name: [_printed_rise(name, *step) for step in STEPS] for name in SETS}
    said = [f"{', '.join(f'{rise:+.1f}' for rise in rises)} ({NAMES[name]})" for name, rises in each.items()]
    return f"points a step: {'; '.join(said)}"


def _above_layer_5() -> str:
    said = [
        f"{_printed(name, DEEP, kind) - _printed(name, 5, kind):+.1f} ({NAMES[name]}, {label})"
        for name in SETS
        for kind, label in CLASSIFIERS.items()
    ]
    return f"points above layer 5: {', '.join(said)}"


def _softmax_less_svm() -> str:
    said = [
        f"{_printed(name, DEEP, 'softmax') - _printed(name, DEEP, 'svm'):+.1f} points ({NAMES[name]})" for name in SETS
    ]
    return ", ".join(said)


SECTION = "Table 7, section 5.3"
CLAIMS = (
    Claim(
        40,
        "Features get better from layer to layer.",
        SECTION,
        "Rise of the linear SVM's accuracy at each step from layer 1 to layer 5, with the most training pictures, above 0 on both sets",
        _rises_printed(),
        _trained(_improves),
    ),
    Claim(
        41,
        "All layers together are best.",
        SECTION,
        f"Accuracy on layer {DEEP} minus that on the best layer below, with the most training pictures, above 0 on both sets and for both "
        "classifiers",
        _above_layer_5(),
        _trained(_deepest_is_best),
        f"By the SVM on Caltech-101 layer 5 is better than layer 7: {_printed('caltech101', 5, 'svm')} to "
        f"{_printed('caltech101', DEEP, 'svm')} %, within the spread of the folds.",
    ),
    Claim(
        42,
        "A softmax and an SVM on the last layer do about equally well.",
        SECTION,
        f"Accuracy of the softmax on layer {DEEP} minus that of the linear SVM, with the most training pictures, between -{EQUAL:g} and "
        f"{EQUAL:g} points on both sets",
        _softmax_less_svm(),
        _classifiers_agree,
    ),
)
