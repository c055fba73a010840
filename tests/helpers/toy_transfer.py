"""The outputs of `folds`, `probes` and `scratch` by simple rules: accuracy rises with the logarithm of the training images.

In Caltech-256's role the pretrained features exceed HOG's last accuracy (48.9 %) from 7 training images per class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro.storage import artifacts

RUNS, BASELINES = ("improved", "baseline"), ("random", "hog")
SIZES = {"caltech101": (15, 30), "caltech256": (1, 2, 3, 4, 5, 6, 7, 10, 15, 30, 45, 60), "voc2012": ()}
SCRATCH = {"caltech101": ((15, 30), 5), "caltech256": ((15, 30, 45, 60), 2)}  # training images per class, folds
LAYERS = {1: 0.4, 2: 0.55, 3: 0.7, 4: 0.8, 5: 0.93, 7: 1.0}  # -> accuracy as a share of layer 7's
SHIFTS = (-1.1, 0.4, 0.9, -0.6, 0.4)  # of the folds from their mean, percent
PICTURES, SOURCE_PICTURES, THRESHOLD, PAIR = 100, 6000, 0.95, 64  # per class, in the source, correlation, pixels
CURVES = {  # accuracy in percent: with one training image per class, and the gain per factor e
    "caltech101": {
        "improved": (42.9, 10.39), "baseline": (38.0, 10.0), "random": (-6.9, 10.82), "hog": (10.0, 11.0), "scratch": (-26.1, 22.22)
    },
    "caltech256": {
        "improved": (30.0, 10.0), "baseline": (25.0, 9.0), "random": (8.0, 6.0), "hog": (10.0, 9.5), "scratch": (-8.0, 12.0)
    },
}  # fmt: skip
PRECISION = {"improved": 62.0, "baseline": 57.0, "random": 21.0, "hog": 33.0}  # mean of the classes, softmax


def settings() -> dict[str, Any]:
    """The sections of an experiment's configuration that ask for these files."""
    return {
        "folds": {target: {"per_class": list(sizes)} if sizes else {} for target, sizes in SIZES.items()},
        "features": {"runs": list(RUNS), "baselines": list(BASELINES)},
        "scratch": {"sets": list(SCRATCH), "run": None},
    }


def write(results: Path, classes: list[str]) -> None:
    """Fill results/folds, results/probes and results/scratch for all three targets."""
    rng = np.random.default_rng(5)
    for target in SIZES:
        _folds(results / "folds" / target, target, classes, rng)
        for name in (*RUNS, *BASELINES):
            artifacts.save_json(results / "probes" / target / f"{name}.json", _probes(target, name, classes))
    for target in SCRATCH:
        artifacts.save_json(results / "scratch" / f"{target}.json", _scratch(target, len(classes)))


def accuracy(target: str, name: str, per_class: int) -> float:
    """Mean over the folds, percent."""
    start, rise = CURVES[target][name]
    return max(start + rise * math.log(per_class), 1.0)


def _about(kind: str) -> dict[str, Any]:
    layers = {"hog": [0], "random": [7]}.get(kind, list(LAYERS))
    return {"layers": layers, "sizes": {str(layer): 1024 if layer == 7 else 2000 + 100 * layer for layer in layers}}


def _probes(target: str, name: str, classes: list[str]) -> dict[str, Any]:
    kind = name if name in BASELINES else "network"
    record = {
        "target": "scenes", "features": name, "kind": kind, **_about(kind), "classes": len(classes), "class_names": classes,
        "folds": _count(target),
    }  # fmt: skip
    measured = {"accuracies": [], "precisions": []}
    if SIZES[target]:
        measured["accuracies"] = _accuracies(target, name, record["layers"])
    else:
        measured["precisions"] = _precisions(name, record["layers"][-1], len(classes))
    return record | measured


def _count(target: str) -> int:
    return {"caltech101": 5, "caltech256": 3}.get(target, 1)


def _accuracies(target: str, name: str, layers: Sequence[int]) -> list[dict[str, Any]]:
    accuracies, most = [], SIZES[target][-1]
    for layer in layers:
        for k in SIZES[target] if layer == layers[-1] else (most,):
            both = ("softmax", "svm") if k == most else ("softmax",)
            for classifier in ("svm",) if name == "hog" else both:
                lower = 0.7 if classifier == "svm" and name != "hog" else 0
                mean = accuracy(target, name, k) * LAYERS.get(layer, 1) - lower
                folds = [round(mean, 1) + shift for shift in _shifts(_count(target))]
                entry = {"layer": layer, "classifier": classifier, "per_class": k, "folds": folds}
                accuracies.append(entry | {"strengths": [30.0] * len(folds)})
    return accuracies


def _shifts(count: int) -> np.ndarray:
    """The first `count`, with mean 0."""
    shifts = np.array(SHIFTS[:count])
    return shifts - shifts.mean()


def _precisions(name: str, layer: int, classes: int) -> list[dict[str, Any]]:
    precisions = []
    for classifier, more in (("softmax", 0.0), ("sigmoids", 1.7)):
        each = PRECISION[name] + more + np.linspace(-12, 12, classes)
        mean = float(each.mean())
        entry = {"layer": layer, "classifier": classifier, "classes": each.tolist(), "mean": mean}
        precisions.append(entry | {"low": mean - 2.3, "high": mean + 2.4, "strength": 30.0})
    return precisions


def _scratch(target: str, classes: int) -> dict[str, Any]:
    sizes, count = SCRATCH[target]
    accuracies = [
        {
            "per_class": k, "folds": [round(accuracy(target, "scratch", k), 1) + shift for shift in _shifts(count)],
            "train_error": [2.0 + shift for shift in _shifts(count)], "still_falling": [0.5] * count,
        }
        for k in sizes
    ]  # fmt: skip
    return {
        "target": "scenes", "classes": classes, "run": RUNS[0], "steps": 1500, "folds": count,
        "accuracies": accuracies,
    }  # fmt: skip


def _folds(folder: Path, target: str, classes: list[str], rng: np.random.Generator) -> None:
    """Caltech-101's role: two images left out, one duplicate. Caltech-256's: one left out, a class dropped."""
    count = PICTURES * len(classes)
    left, dropped, twice = {"caltech101": (2, {}, 1), "caltech256": (1, {"sundial": 12}, 0)}.get(target, (0, {}, 0))
    gone, highest = left + twice + sum(dropped.values()), 0.9 if left == 0 else 0.985
    correlation = np.sort(rng.uniform(0.2, 0.85, count))[::-1].astype(np.float32)
    correlation[:4] = [highest - 0.01 * i if i < left else 0.93 - 0.02 * i for i in range(4)]
    source = rng.integers(SOURCE_PICTURES, size=count)
    shown = [classes[i % len(classes)] for i in range(4)]
    names = [(f"all/{name}/{i:05d}", f"train/{name}/{source[i]:05d}") for i, name in enumerate(shown)]
    artifacts.save_arrays(
        folder / "folds.npz", correlation=correlation, source=source, **_arrays(target, len(classes), rng)
    )
    artifacts.save_arrays(
        folder / "overlap.npz", pairs=np.stack([_pair(rng, i) for i in range(4)]), correlation=correlation[:4],
        left_out=correlation[:4] >= THRESHOLD, files=np.array(names),
    )  # fmt: skip
    record = {
        "target": "scenes", "digest": f"toy {target}", "classes": classes, "dropped": dropped,
        "pictures": count + sum(dropped.values()), "used": count + sum(dropped.values()) - gone,
        "folds": _count(target), "seed": 0, "per_class": list(SIZES[target]), "test_per_class": 50,
        **_tested(target, len(classes)),
        "overlap": {
            "source": "scenes", "source_pictures": SOURCE_PICTURES, "threshold": THRESHOLD, "size": 16, "mirrored": True, "crops": True,
            "largest": round(float(correlation[0]), 4),
            "left_out": [
                {"file": file, "class": shown[i], "source_file": source_file, "correlation": round(float(correlation[i]), 4)}
                for i, (file, source_file) in enumerate(names[:left])
            ],
        },
        "duplicates": [{"file": f"all/{classes[0]}/00090", "of": f"all/{classes[0]}/00007", "class": classes[0]}][:twice],
    }  # fmt: skip
    artifacts.save_json(folder / "folds.json", record)


def _tested(target: str, classes: int) -> dict[str, Any]:
    if not SIZES[target]:
        train = PICTURES * 2 // 3 * classes
        split = {"own_splits": True, "train_pictures": train, "val_pictures": PICTURES * classes - train}
        return {**split, "test_pictures": {}}
    return {"own_splits": False, "test_pictures": {str(k): min(50, PICTURES - k) * classes for k in SIZES[target]}}


def _arrays(target: str, classes: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
    """Indices of training and test images, of a set sorted by class."""
    arrays = {}
    for k in SIZES[target]:
        orders = [[rng.permutation(PICTURES) + PICTURES * c for c in range(classes)] for _ in range(_count(target))]
        arrays[f"train{k}"] = np.array([np.concatenate([order[:k] for order in fold]) for fold in orders])
        arrays[f"test{k}"] = np.array([np.concatenate([order[k : k + 50] for order in fold]) for fold in orders])
    if not arrays:
        train = np.arange(PICTURES * classes) % PICTURES < PICTURES * 2 // 3
        arrays = {"train": np.flatnonzero(train)[None], "test": np.flatnonzero(~train)[None]}
    return arrays


def _pair(rng: np.random.Generator, noise: int) -> np.ndarray:
    """A smooth random image and a noisy copy of it."""
    coarse = rng.uniform(40, 215, (8, 8, 3))
    both = [
        np.kron(coarse + extra * rng.normal(0, 6, coarse.shape), np.ones((PAIR // 8,) * 2 + (1,)))
        for extra in (0, 1 + noise)
    ]
    return np.clip(np.stack(both), 0, 255).astype(np.uint8)
