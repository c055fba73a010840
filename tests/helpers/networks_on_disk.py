"""Evaluated networks with errors that a test chooses, as the stages leave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro import paper
from zfrepro.storage import artifacts

CLASSES, PICTURES = 120, 2000  # classes enough for top-5 error to count
RECIPE = {"width": 0.25, "input_size": 80, "epochs": 6, "learning_rate": 0.01}


def ranks(top1: float, top5: float, start: int = 0, pictures: int = PICTURES) -> np.ndarray:
    """(N,): how many classes pass the label: percents of errors, the wrong pictures in a row from `start`, round the end."""
    ranks = np.zeros(pictures, int)
    ranks[: round(pictures * top1 / 100)] = 1
    ranks[: round(pictures * top5 / 100)] = 5
    return np.roll(ranks, start)


def write(
    folder: Path, name: str, row: str, ranked: np.ndarray, train_top1: float = 30.0, seed: int = 0, classes: int = CLASSES,
    ten: np.ndarray | None = None, history: Sequence[float] = (50.0, 50.0), **recipe: Any,
) -> dict[str, Path]:  # fmt: skip
    """One network of a row of Table 3; `ranked` in the centre view, and `ten` in ten views, or the same.

    `history`: validation error after each epoch; by default it falls no longer.
    """
    network = {k: list(v) if isinstance(v, tuple) else v for k, v in paper.VARIANTS[row].items()}
    spec = {**RECIPE, "network": network, "seed": seed, "snapshots": [], **recipe}
    views = {1: ranked, 10: ranked if ten is None else ten}
    labels = np.arange(len(ranked)) % classes
    errors = {
        "n": len(ranked), "train_top1": train_top1, "train_n": 2000,
        "views": {str(v): {f"top{k}": 100 * float(np.mean(ranks >= k)) for k in (1, 5)} for v, ranks in views.items()},
    }  # fmt: skip
    files = {
        f"network/{name}": folder / f"{name}/network.json",
        f"errors/{name}": folder / f"{name}/errors.json",
        f"scores/{name}": folder / f"{name}/scores.npz",
    }
    artifacts.save_json(files[f"network/{name}"], {"spec": spec, "full_size": {"parameters": 1}})
    artifacts.save_json(files[f"errors/{name}"], errors)
    arrays = {f"probabilities_{v}": probabilities(labels, ranks, classes) for v, ranks in views.items()}
    artifacts.save_arrays(files[f"scores/{name}"], labels=labels, **arrays)
    lines = ["epoch,val_top1_error", *(f"{epoch},{error}" for epoch, error in enumerate(history, 1))]
    artifacts.save_text(folder / f"{name}/history.csv", "\n".join(lines) + "\n")
    return files | trained(files) | {f"trained/history/{name}": folder / f"{name}/history.csv"}


def trained(files: Mapping[str, Path]) -> dict[str, Path]:
    """The same networks and errors, by the labels of claims.convergence."""
    return {f"trained/{label}": path for label, path in files.items() if label.startswith(("network/", "errors/"))}


def diverge(files: Mapping[str, Path], name: str) -> None:
    """Leaves of a run what is left of one whose loss was NaN in epoch 3."""
    what = {"epoch": 3, "step": 120, "what": "the training loss is NaN"}
    network = artifacts.load_json(files[f"network/{name}"])
    errors = artifacts.load_json(files[f"errors/{name}"])
    artifacts.save_json(files[f"network/{name}"], network | {"diverged": what})
    artifacts.save_json(files[f"errors/{name}"], errors | {"diverged": what, "views": {}, "train_top1": None})
    artifacts.save_arrays(files[f"scores/{name}"], labels=artifacts.load_arrays(files[f"scores/{name}"])["labels"])


def probabilities(labels: np.ndarray, ranked: np.ndarray, classes: int) -> np.ndarray:
    """(N, C) with `ranked` classes above the label; sure enough that of three networks the two that agree win."""
    pairs, places = np.unique(np.stack([labels, ranked]), axis=1, return_inverse=True)  # few differ
    every, (label, passed) = np.arange(classes), pairs[:, :, None]
    position = every - (every > label)  # among the classes that are not the label
    scores = np.where(every == label, 0.5 - passed, -position)
    exponentials = np.exp(3.0 * scores)
    return (exponentials / exponentials.sum(1, keepdims=True)).astype(np.float32)[places.ravel()]


def source(folder: Path, **changes: Any) -> dict[str, Path]:
    manifest = {"dataset": "scenes", "classes": [f"c{i}" for i in range(CLASSES)], "splits": {"train": [0, 6000]}}
    artifacts.save_json(folder / "manifest.json", manifest | changes)
    return {"source": folder / "manifest.json"}


def repeats(folder: Path, by: float = 0.05, pictures: int = PICTURES, **more: Any) -> dict[str, Path]:
    """Three seeds of a network outside Table 3, which err in 30 percent less `by`, 30, and 30 more `by`: the spread is `by`.

    Two degrees of freedom, as many as it takes to compare networks.
    """
    files: dict[str, Path] = {}
    for seed, error in enumerate((30 - by, 30.0, 30 + by)):
        ranked = ranks(error, error - 15, pictures=pictures)
        files |= write(
            folder, f"other-{seed}", "baseline", ranked, error, seed, network={"base": "baseline", "units": 77}, **more
        )
    return files


def all_rows(
    folder: Path, top1: Mapping[str, float], train: Mapping[str, float] | None = None, falling: str = ""
) -> dict[str, Path]:
    """One network a row, and two more seeds of the improved one that err 0.1 and 0.05 points more; top-5 is a half of top-1.

    On the training images they err 0.05 and 0.1 points more.

    falling: the row whose validation error still falls at the end.
    """
    files = source(folder)
    for row, error in top1.items():
        trained = (train or {}).get(row, 30.0)
        history = (90.0, 70.0, 50.0) if row == falling else (50.0, 50.0)
        files |= write(folder, row, row, ranks(error, error / 2), trained, history=history)
    for seed, (name, more, trains) in enumerate((("again", 0.1, 0.05), ("between", 0.05, 0.1)), 1):
        error = top1["improved"] + more
        trained = (train or {}).get("improved", 30.0) + trains
        files |= write(folder, name, "improved", ranks(error, error / 2), trained, seed=seed)
    return files
