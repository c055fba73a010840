"""The results of the full-size experiment with scores of as many validation images as ImageNet has, for every seed of paper.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro.core.ranking import top_error
from zfrepro.storage import artifacts

IMAGES, CLASSES = 50_000, 1000
KINDS = 3  # different scores; 0.4 GB each
SECOND_SEED = "improved-seed1"  # stands in for seeds that were not trained
RIGHT = 0.5  # share of the images whose label is made the most probable class


def write(results: Path, copy: Path, runs: Mapping[str, str]) -> None:
    """`copy`: links to `results`, but for scores and errors. runs: name -> the stage that trains it."""
    copy.mkdir(parents=True)
    for stage in results.iterdir():
        if stage.name not in ("train", "evaluate", "exhibits"):
            (copy / stage.name).symlink_to(stage)
    views = [_save_scores(copy / f"scores{kind}.npz", kind) for kind in range(KINDS)]
    for i, (run, stage) in enumerate(runs.items()):
        _link_training(results, copy, run, stage)
        record = artifacts.load_json(
            results / "evaluate" / (run if _trained(results, run) else SECOND_SEED) / "errors.json"
        )
        changes = {"run": run, "seed": _seed(run), "views": views[i % KINDS], "n": IMAGES, "train_top1": 40.0 + i}
        artifacts.save_json(copy / f"evaluate/{run}/errors.json", record | changes)
        (copy / f"evaluate/{run}/scores.npz").symlink_to(copy / f"scores{i % KINDS}.npz")


def _trained(results: Path, run: str) -> bool:
    return (results / "evaluate" / run).exists()


def _seed(run: str) -> int:
    return int(run.partition("-seed")[2] or 0)


def _link_training(results: Path, copy: Path, run: str, stage: str) -> None:
    """Of a run that was trained; of another seed the second one's, with its own number."""
    if stage != "train":
        return
    if _trained(results, run):
        (copy / "train").mkdir(exist_ok=True)
        (copy / "train" / run).symlink_to(results / "train" / run)
        return
    network: dict[str, Any] = artifacts.load_json(results / f"train/{SECOND_SEED}/network.json")
    network |= {"run": run, "spec": network["spec"] | {"seed": _seed(run)}}
    artifacts.save_json(copy / f"train/{run}/network.json", network)
    (copy / f"train/{run}/history.csv").symlink_to(results / f"train/{SECOND_SEED}/history.csv")


def _save_scores(path: Path, kind: int) -> dict[str, dict[str, float]]:
    """scores.npz; the errors (%) by views."""
    rng = np.random.default_rng(kind)
    labels, probabilities = np.arange(IMAGES) % CLASSES, rng.random((IMAGES, CLASSES), np.float32)
    right = np.flatnonzero(rng.random(IMAGES) < RIGHT + 0.01 * kind)
    probabilities[right, labels[right]] = 2
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    artifacts.save_arrays(path, labels=labels, probabilities_1=probabilities, probabilities_10=probabilities)
    errors = {f"top{k}": top_error(probabilities, labels, k) for k in (1, 5)}
    return {"1": errors, "10": errors}
