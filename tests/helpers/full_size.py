"""The experiment of paper.yaml with its networks, classes and inputs at full size, and as few images and runs as it goes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import yaml
from helpers import official_trees
from helpers.workspace import ROOT

PAPER = ROOT / "workflow/experiments/paper.yaml"
TRAIN, VAL = 1, 1  # images per class of ImageNet; each of these costs minutes
SIZES = 4  # numbers of training images per class that a target is split by
VOC = 60  # images per split
ANNOTATED = 6
TABLE = "data/dogs/parts.csv"  # as in the comment of paper.yaml


def experiment(seeds: bool = False) -> dict[str, Any]:
    """All that paper.yaml holds, with the section and the exhibits that its comment adds; all its seeds, or two of one network."""
    content: dict[str, Any] = yaml.safe_load(PAPER.read_text(encoding="utf-8"))
    epochs = content["train"]["recipe"]["epochs"]
    content |= {"experiment": "full-size", "title": "The paper's geometry"}
    content["train"]["recipe"]["epochs"] = 1
    runs = {name: run for name, run in content["train"]["runs"].items() if seeds or run.get("seed", 0) < 2}
    content["train"]["runs"] = {name: _in_one_epoch(run, epochs) for name, run in runs.items()}
    content["evaluate"]["train_images"] = 100
    content["evolution"] |= {"pictures": 200, "compared": 50}
    content["invariance"]["average"] = 3
    content["correspondence"] = {"runs": ["improved"], "annotations": TABLE}
    content["report"]["exhibits"] += sorted(_commented_exhibits())
    content["probes"] = {"softmax": [3, 30], "svm": [0.1, 1], "sigmoids": [3, 30], "inner": 2}
    return content | _small_folds(content)


def _in_one_epoch(run: dict[str, Any], epochs: int) -> dict[str, Any]:
    snapshots = {"snapshots": [epoch / epochs for epoch in run["snapshots"]]} if "snapshots" in run else {}
    return run | snapshots


def _small_folds(content: dict[str, Any]) -> dict[str, Any]:
    """The largest numbers of training images per class become 1, 2, 3 ..."""
    folds, scratch = content["folds"], content["scratch"]
    for target, split in folds.items():
        ranks = {k: rank for rank, k in enumerate(sorted(split.get("per_class", ()))[-SIZES:], 1)}
        if ranks:
            split |= {"per_class": list(ranks.values()), "test_per_class": 1, "folds": 2}
        if target in scratch["sets"]:
            scratch["sets"][target] = [ranks[k] for k in scratch["sets"][target]]
    return {"folds": folds, "scratch": scratch | {"steps": 1, "folds": 2}}


def _commented_exhibits() -> set[str]:
    """Those that paper.yaml names in its comments."""
    comments = [line for line in PAPER.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    return set(re.findall(r"\b(?:table|fig)\d\w+", " ".join(comments)))


def write_data(folder: Path) -> None:
    """What the experiment reads, below folder/data; nothing where all of it is there."""
    counts = _counts()
    record = folder / "data/counts.json"
    if record.exists() and json.loads(record.read_text()) == counts:
        return
    shutil.rmtree(folder / "data", ignore_errors=True)
    names = official_trees.imagenet_names()
    official_trees.write_imagenet(folder / "data/imagenet", counts["train"], counts["val"], names)
    official_trees.write_caltech101(folder / "data", counts["caltech101"], names)
    official_trees.write_caltech256(folder / "data", counts["caltech256"], names)
    official_trees.write_voc2012(folder / "data", counts["voc2012"])
    official_trees.write_annotated(folder / TABLE, counts["annotated"])
    record.write_text(json.dumps(counts))


def _counts() -> dict[str, int]:
    """Images per class, of VOC per split; of the Caltech sets one more than are trained on."""
    folds = experiment()["folds"]
    largest = {target: max(split["per_class"]) + 1 for target, split in folds.items() if "per_class" in split}
    return {"train": TRAIN, "val": VAL, "voc2012": VOC, "annotated": ANNOTATED, **largest}
