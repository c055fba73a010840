"""Measure a network's top-1 and top-5 error with one view and ten views, and save its class probabilities of every image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from zfrepro.core.ranking import top_error
from zfrepro.spec import Base
from zfrepro.storage import artifacts
from zfrepro.storage.diverged import explain_not_finite
from zfrepro.storage.prepared_set import PreparedSet

if TYPE_CHECKING:
    from zfrepro.core.loading import Images


class Spec(Base):
    views: tuple[Literal[1, 10], ...] = Field(
        (1, 10), min_length=1, description="1: centre crop; 10: corners and centre, and their mirror images"
    )
    train_images: int = Field(
        50_000, ge=1, description="training images for the training error, evenly spaced; all if there are fewer"
    )
    batch: int = Field(128, ge=1, description="images per forward pass")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 if the hardware supports it, else float32"
    )


def run(
    spec: Spec, weights: Path, network: Path, images: Path, out: Path, device: str = "auto", threads: int = 1
) -> None:
    """weights: model.safetensors; network: network.json; images: manifest.json of the source set; out: folder to fill."""
    artifacts.check_sha256(weights)
    about, source = artifacts.load_json(network), PreparedSet(images)
    results = _no_results(source) if about.get("diverged") else _measure(spec, weights, source, device, threads)
    errors, probabilities = results
    labels = source.labels("val")
    arrays = {f"probabilities_{views}": values for views, values in probabilities.items()}
    artifacts.save_arrays(out / "scores.npz", labels=labels, **arrays)
    artifacts.save_json(out / "errors.json", {**_training_settings(about), **errors, "n": len(labels)})


def _no_results(source: PreparedSet) -> tuple[dict[str, Any], dict[int, np.ndarray]]:
    """Of a network without weights: no errors, no probabilities."""
    return {"train_top1": None, "train_n": len(source.labels("train")), "views": {}}, {}


def _measure(
    spec: Spec, weights: Path, source: PreparedSet, device: str, threads: int
) -> tuple[dict[str, Any], dict[int, np.ndarray]]:
    """Errors (%), and views -> probabilities float32 (N, C) of the validation images."""
    from zfrepro.core import crops, evaluation
    from zfrepro.core.loading import Subset
    from zfrepro.models import devices
    from zfrepro.models.trained_network import TrainedNetwork

    network = TrainedNetwork(weights, device, threads)
    dtype = devices.precision(spec.precision, network.device)

    def predict(images: Images, *views: int) -> dict[int, np.ndarray]:
        sets = [crops.ten_views(source.size, network.size) if count == 10 else [network.view] for count in views]
        averages = evaluation.averaged_probabilities(
            network.net, images, network.subtract, network.size, sets, spec.batch, dtype
        )
        return dict(zip(views, averages, strict=True))

    labels = source.labels("val")
    sample = np.unique(np.linspace(0, len(source.labels("train")) - 1, spec.train_images).astype(int))
    with explain_not_finite(weights):
        probabilities = predict(source.reader("val"), *spec.views)
        of_training = predict(Subset(source.reader("train"), sample), 1)[1]
    errors: dict[str, Any] = {
        "train_top1": top_error(of_training, source.labels("train")[sample], 1),
        "train_n": len(sample),
        "views": {
            str(views): {f"top{k}": top_error(values, labels, k) for k in (1, 5)}
            for views, values in probabilities.items()
        },
    }
    return errors, probabilities


def _training_settings(network: dict[str, Any]) -> dict[str, Any]:
    spec = network["spec"]
    settings = {field: spec[field] for field in ("network", "seed", "width", "input_size", "epochs")}
    return {
        "run": network["run"],
        "parameters": network["parameters"],
        "full_size_parameters": network["full_size"]["parameters"],
        "diverged": network.get("diverged"),
        **settings,
    }
