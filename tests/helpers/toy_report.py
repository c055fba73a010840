"""A finished report of a few hand-made files, as the report stage writes it; `write(folder, experiment)` fills `folder`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Toy</title></head><body>
<!-- site -->
<section class="board" id="claims"><li class="claim" id="claim-2">2</li></section>
<section class="exhibit" id="table2_imagenet" aria-labelledby="h"><h2>Table 2</h2></section></body></html>
"""


def claim(number: int, verdict: str, value: float | None = None, **more: Any) -> dict[str, Any]:
    numbers = {"value": value, "low": None, "high": None, "unit": None, "estimate": ""}
    return {"number": number, "says": f"Sentence {number}.", "verdict": verdict, **numbers, **more}


def summary(experiment: str = "toy", **changes: Any) -> dict[str, Any]:
    record = {
        "experiment": experiment,
        "title": f"The {experiment} experiment",
        "subtitle": "",
        "made": "2026-11-24T04:08:18Z",
        "reductions": ["Networks see `64` pixels instead of 224."],
        "counts": {},
        "claims": [
            claim(2, "reproduced", -2.14, low=-3.0, high=-1.2, unit="points", estimate="-2.1 points [-3.0, -1.2]"),
            claim(7, "not attempted"),
        ],
        "highlights": [{"label": "Top-5 error", "ours": "-12.5 %", "paper": "16.5 %", "exhibit": "table2_imagenet"}],
        "hardware": {"cpu": "Abacus", "cores": 2, "gpus": []},
        "seconds": 250.0,
        "exhibits": [{"name": "table2_imagenet", "title": "ImageNet errors", "paper": "Table 2"}],
        "files": {"index.html": 10},
    }
    return {**record, **changes}


def provenance(**changes: Any) -> dict[str, Any]:
    manifest = {
        "dataset": "imagenette",
        "classes": ["owl", "oak"],
        "size": 72,
        "splits": {"train": [0, 80], "val": [80, 100]},
        "sha256": {"images.npy": "ab" * 32, "mean.npy": "cd" * 32},
    }
    record = {
        "made": "2026-11-24T04:08:18.250Z",
        "versions": {"python": "3.11.9", "snakemake": "9.27.1", "torch": "2.13.0"},
        "hardware": {"cpu": "Abacus", "cores": 2, "memory_gib": 4.0, "gpus": ["Slide rule"]},
        "git": {"commit": "c0ffee", "dirty": False},
        "config": {"experiment": "toy", "title": "Toy", "prepare": {"source": {"dataset": "imagenette"}}},
        "data": {"source": manifest},
        "time": {"train": {"jobs": 2, "seconds": 200.5, "memory_mb": 1.0}, "report": {"jobs": 1, "seconds": 49.6}},
    }
    return {**record, **changes}


def write(folder: Path, experiment: str = "toy", **changes: Any) -> Path:
    """`changes` go into the summary."""
    for name, content in {
        "index.html": PAGE,
        "report.pdf": "%PDF-",
        "tables/table2_imagenet.csv": "model,error\nours,12.5\n",
        "provenance.json": json.dumps(provenance()),
        "summary.json": json.dumps(summary(experiment, **changes)),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "figures").mkdir(exist_ok=True)
    Image.new("RGB", (8, 6), "navy").save(folder / "figures/table2_imagenet.png")
    return folder
