"""Claims 40 to 42: linear classifiers on one layer after another (Table 7).

40 and 41 are about layers of networks that converged: the upper ones learn last. 42 compares two classifiers on the same
features, trained or not; it states that a difference is small, so it has no effect that could be called small.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zfrepro import paper
from zfrepro.claims import base, margins, parts
from zfrepro.claims.base import AboutNetworks, Claim, Decide, Finding
from zfrepro.claims.margins import make_part
from zfrepro.measurements import chance, convergence, transfers
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.transfers import NAMES, Target, load_targets

SETS = {"caltech101": "cal101_30", "caltech256": "cal256_60"}  # set -> columns of the paper's table
TRAINING_MARGIN = 1.0  # point of accuracy: margin for another training
EQUAL = 2.0  # points; twice the 0.9 that the paper's two classifiers differ by at most
DEEP, STEPS = transfers.DEEPEST, ((1, 2), (2, 3), (3, 4), (4, 5))
LABELS = tuple(f"{name}/pretrained" for name in SETS)
CLASSIFIERS = {"svm": "SVM", "softmax": "softmax"}


def needs(config: Any) -> dict[str, str]:
    """The network that is named first under features.runs, on both sets."""
    sets = {name: transfers.needs(config, name) for name in SETS if name in config.folds}
    if not sets:
        raise LookupError("folds.caltech101 or folds.caltech256")
    set_files = {f"{name}/{label}": files[label] for name, files in sets.items() for label in ("folds", "pretrained")}
    return set_files | convergence.needs(config)


def _for_trained(decide: Decide) -> AboutNetworks:
    return parts.for_trained_networks(decide, *LABELS, run=name_of_file)


def name_of_file(path: Path) -> str:
    return path.stem


@dataclass(frozen=True)
class Layers:
    """Classifiers on the layers of one network, on one set, with the most training images."""

    target: Target

    def folds(self, layer: int, classifier: str) -> list[float]:
        """Raises NotMeasured where that was not measured."""
        accuracies = self._folds(layer, classifier)
        if accuracies is None:
            raise NotMeasured(f"The experiment does not measure {CLASSIFIERS[classifier]} on layer {layer}.")
        return accuracies

    def rise(self, low: int, high: int, classifier: str) -> Estimate:
        return self.paired_difference(self.folds(high, classifier), self.folds(low, classifier))

    def paired_difference(self, first: list[float], second: list[float]) -> Estimate:
        return self.target.sum([(1, first), (-1, second)], self.target.largest_training, same_network=True)

    def over_best_below(self, classifier: str) -> tuple[int, Estimate, int]:
        """The best of the layers below, by how much the deepest is above it, and of how many it is the best."""
        below = [layer for layer in range(1, DEEP) if self._folds(layer, classifier) is not None]
        if not below:
            raise NotMeasured(f"The experiment measures {CLASSIFIERS[classifier]} on no layer below layer {DEEP}.")
        best = max(below, key=lambda layer: statistics.fmean(self.folds(layer, classifier)))
        return best, self.rise(best, DEEP, classifier), len(below)

    def require_better_than_chance(self, name: str) -> None:
        """Raises NotMeasured where a classifier on the deepest layer is not: that two guess alike is no agreement."""
        for classifier, label in CLASSIFIERS.items():
            guessing = chance.describe_accuracy(self.target, self.folds(DEEP, classifier), self.target.largest_training)
            if guessing:
                raise NotMeasured(f"The {label} on layer {DEEP} is not better than chance on {name}: {guessing}.")

    def _folds(self, layer: int, classifier: str) -> list[float] | None:
        values = {"method": "pretrained", "layer": layer, "classifier": classifier}
        return self.target.folds(**values, per_class=self.target.largest_training)


def _load_layers(files: Mapping[str, Path]) -> dict[str, Layers]:
    return {name: Layers(target) for name, target in load_targets(files, tuple(SETS)).items()}


def _improves(files: Mapping[str, Path]) -> Finding:
    sets = _load_layers(files)
    rises = {
        f"{NAMES[name]}, layer {low} to {high}": make_part(
            layers.rise(low, high, "svm"), _printed_rise(name, low, high), "the paper's", TRAINING_MARGIN
        )
        for name, layers in sets.items()
        for low, high in STEPS
    }
    return parts.with_missing_sets(margins.judge_above(rises), tuple(SETS), tuple(sets))


def _deepest_is_best(files: Mapping[str, Path]) -> Finding:
    """Effects relative to the paper's rise over layer 5, its best below; none where that is no rise (SVM, Caltech-101).

    The best of the layers below is chosen by its accuracy, which luck may have raised; each of them counts as a comparison.
    """
    sets, rises = _load_layers(files), {}
    for name, layers in sets.items():
        for classifier, label in CLASSIFIERS.items():
            best, estimate, choices = layers.over_best_below(classifier)
            printed = _printed(name, DEEP, classifier) - _printed(name, 5, classifier)
            rises[f"{NAMES[name]}, {label}, above layer {best}"] = make_part(
                estimate, printed, "the paper's", TRAINING_MARGIN, choices
            )
    return parts.with_missing_sets(margins.judge_above(rises), tuple(SETS), tuple(sets))


def _classifiers_agree(files: Mapping[str, Path]) -> Finding:
    sets = _load_layers(files)
    for name, layers in sets.items():
        layers.require_better_than_chance(NAMES[name])
    differences = {
        NAMES[name]: layers.paired_difference(layers.folds(DEEP, "softmax"), layers.folds(DEEP, "svm"))
        for name, layers in sets.items()
    }
    return parts.with_missing_sets(base.judge_inside(differences, EQUAL), tuple(SETS), tuple(sets))


def _printed(name: str, layer: int, classifier: str) -> float:
    accuracies = paper.table("table7_layerwise").set_index(["classifier", "layer"])[f"{SETS[name]}_acc_pct"]
    return float(accuracies.to_dict()[classifier, layer])


def _printed_rise(name: str, low: int, high: int) -> float:
    return _printed(name, high, "svm") - _printed(name, low, "svm")


def _rises_printed() -> str:
    rises_by_set = {name: [_printed_rise(name, *step) for step in STEPS] for name in SETS}
    texts = [f"{', '.join(f'{rise:+.1f}' for rise in rises)} ({NAMES[name]})" for name, rises in rises_by_set.items()]
    return f"points per step: {'; '.join(texts)}"


def _above_layer_5() -> str:
    texts = [
        f"{_printed(name, DEEP, kind) - _printed(name, 5, kind):+.1f} ({NAMES[name]}, {label})"
        for name in SETS
        for kind, label in CLASSIFIERS.items()
    ]
    return f"points above layer 5: {', '.join(texts)}"


def _softmax_minus_svm() -> str:
    texts = [
        f"{_printed(name, DEEP, 'softmax') - _printed(name, DEEP, 'svm'):+.1f} points ({NAMES[name]})" for name in SETS
    ]
    return ", ".join(texts)


SECTION = "Table 7, section 5.3"
CLAIMS = (
    Claim(
        40,
        "Features improve from layer to layer.",
        SECTION,
        "Rise of the linear SVM's accuracy at each step from layer 1 to layer 5, with the most training images, above 0 on both sets",
        _rises_printed(),
        _for_trained(_improves),
    ),
    Claim(
        41,
        "All layers together are best.",
        SECTION,
        f"Accuracy on layer {DEEP} minus that on the best layer below, with the most training images, above 0 on both sets and for both "
        "classifiers",
        _above_layer_5(),
        _for_trained(_deepest_is_best),
        f"By the SVM on Caltech-101 layer 5 is better than layer 7: {_printed('caltech101', 5, 'svm')} % against "
        f"{_printed('caltech101', DEEP, 'svm')} %, within the spread of the folds.",
    ),
    Claim(
        42,
        "A softmax and an SVM on the last layer reach about the same accuracy.",
        SECTION,
        f"Accuracy of the softmax on layer {DEEP} minus that of the linear SVM, with the most training images, between -{EQUAL:g} and "
        f"{EQUAL:g} points on both sets",
        _softmax_minus_svm(),
        parts.about_networks(_classifiers_agree, *LABELS, run=name_of_file),
    ),
)
