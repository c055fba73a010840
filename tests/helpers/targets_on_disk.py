"""Folds, probes and training from scratch with accuracies that a test chooses, as the stages leave them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zfrepro.storage import artifacts

CLASSES = 10
TESTED, USED = (
    2 * 10**15,
    10**16,
)  # test pictures of all classes, a quarter of the others; so many that folds alone decide
SHIFTS = (-0.5, 0.0, 0.5)  # of three folds
UNLIKE = 1e-7  # of the shifts: so little that differences are as good as equal, and vary all the same
Curve = Mapping[int, float | Sequence[float]]  # training pictures a class -> mean of three folds, or the folds


def folds(folder: Path, name: str, per_class: Sequence[int], **changes: Any) -> dict[str, Path]:
    record = {
        "target": "scenes", "classes": [f"c{i}" for i in range(CLASSES)], "folds": 3, "per_class": list(per_class),
        "test_per_class": 20, "test_pictures": {str(k): TESTED for k in per_class}, "pictures": 1007, "used": USED,
        "own_splits": False, "overlap": {"left_out": [{}] * 7},
    }  # fmt: skip
    return _saved(folder, f"{name}/folds", record | changes)


def measured(
    folder: Path, name: str, method: str, curve: Curve, layer: int = 7, classifier: str = "softmax"
) -> dict[str, Path]:
    """Added to what the method's file holds."""
    path = folder / f"{name}/{method}.json"
    earlier = artifacts.load_json(path)["accuracies"] if path.exists() else []
    kind = {"hog": {"layer": 0, "classifier": "svm"}, "scratch": {}}.get(
        method, {"layer": layer, "classifier": classifier}
    )
    label = f"{name} {method} {layer} {classifier}"
    return _saved(
        folder,
        f"{name}/{method}",
        {
            "accuracies": [
                *earlier,
                *({**kind, "per_class": k, "folds": _folds(values, f"{label} {k}")} for k, values in curve.items()),
            ]
        },
    )


def trained_from_scratch(folder: Path, name: str, fell: Mapping[int, Sequence[float]]) -> None:
    """Adds to what `measured` left how far each fold's training error fell over the last fifth of training; it ends at 5 %."""
    path = folder / f"{name}/scratch.json"
    record = artifacts.load_json(path)
    for entry in record["accuracies"]:
        falls = list(fell[entry["per_class"]])
        entry |= {"train_error": [5.0] * len(falls), "still_falling": falls}
    artifacts.save_json(path, record)


def precisions(folder: Path, pretrained: float, hog: float, half: float = 1.0) -> dict[str, Path]:
    """Of the set in PASCAL VOC's place; by one softmax they are half of it."""
    files = folds(folder, "voc2012", (), own_splits=True, val_pictures=360)
    for method, mean in (("pretrained", pretrained), ("hog", hog)):
        entries = [_precision("softmax", mean / 2, half), _precision("sigmoids", mean, half)]
        files |= _saved(folder, f"voc2012/{method}", {"accuracies": [], "precisions": entries})
    return files


def _precision(classifier: str, mean: float, half: float) -> dict[str, Any]:
    return {"classifier": classifier, "mean": mean, "low": mean - half, "high": mean + half}


def _folds(values: float | Sequence[float], label: str) -> list[float]:
    """The label's own multiple of the shifts, with the same mean."""
    if isinstance(values, Sequence):
        return list(values)
    size = 1 + UNLIKE * (1 + zlib.crc32(label.encode()) % 100)
    return [values + size * shift for shift in SHIFTS]


def _saved(folder: Path, label: str, record: Any) -> dict[str, Path]:
    artifacts.save_json(folder / f"{label}.json", record)
    return {label: folder / f"{label}.json"}
