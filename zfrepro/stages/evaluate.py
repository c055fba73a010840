"""Measure one network's top-1 and top-5 error, single view and ten views, and keep what it said of every picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from zfrepro import artifacts
from zfrepro.prepared import PreparedSet
from zfrepro.spec import Base


class Spec(Base):
    views: tuple[Literal[1, 10], ...] = Field(
        (1, 10), min_length=1, description="1: centre; 10: corners, centre, mirrored"
    )
    train_images: int = Field(
        50_000, ge=1, description="training pictures for the training error, evenly taken; all if fewer"
    )
    batch: int = Field(128, ge=1, description="pictures")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the hardware has it"
    )


def run(
    spec: Spec, weights: Path, network: Path, images: Path, out: Path, device: str = "auto", threads: int = 1
) -> None:
    """weights: model.safetensors; network: network.json; images: manifest.json of the source set; out: folder to fill."""
    import torch

    from zfrepro import devices, trained
    from zfrepro.core import crops, evaluation

    torch.set_num_threads(threads)
    chosen = devices.choose(device)
    dtype = devices.precision(spec.precision, chosen)
    net, mean, description = trained.load(weights, chosen)
    source, size = PreparedSet(images), description.input_size
    subtract = crops.MeanSubtraction(mean, chosen)

    def say(pictures: np.ndarray, views: int) -> np.ndarray:
        seen = crops.ten_views(source.size, size) if views == 10 else [crops.centre_view(source.size, size)]
        return evaluation.probabilities(net, pictures, subtract, size, seen, spec.batch, dtype)

    labels = source.labels("val")
    said = {views: say(source.images("val"), views) for views in spec.views}
    some = np.unique(np.linspace(0, len(source.labels("train")) - 1, spec.train_images).astype(int))
    train_said = say(source.images("train")[some], 1)
    errors = {
        **_of_training(artifacts.load_json(network)),
        "train_top1": evaluation.top_error(train_said, source.labels("train")[some], 1),
        "train_n": len(some),
        "views": {str(v): {f"top{k}": evaluation.top_error(p, labels, k) for k in (1, 5)} for v, p in said.items()},
        "n": len(labels),
    }
    artifacts.save_arrays(out / "scores.npz", labels=labels, **{f"probabilities_{v}": p for v, p in said.items()})
    artifacts.save_json(out / "errors.json", errors)


def _of_training(network: dict[str, Any]) -> dict[str, Any]:
    spec = network["spec"]
    kept = {field: spec[field] for field in ("network", "seed", "width", "input_size", "epochs")}
    return {
        "run": network["run"],
        "parameters": network["parameters"],
        "full_size_parameters": network["full_size"]["parameters"],
        **kept,
    }
