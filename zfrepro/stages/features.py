"""Compute features of every image of a target set: layers of a network, trained or with random weights, or HOG."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from zfrepro.core.finite import NotFiniteError
from zfrepro.errors import UserError
from zfrepro.spec import Base
from zfrepro.storage import artifacts, guards
from zfrepro.storage.diverged import ADVICE, explain_not_finite
from zfrepro.storage.prepared_set import PreparedSet

HOG_LAYER = 0  # the layer number that stands for hand-crafted features
RANDOM_LAYER = 7
REPORT_EVERY = 30.0  # seconds
Layer = Annotated[int, Field(ge=1, le=7)]
Batches = Iterator[tuple[slice, dict[int, np.ndarray]]]


class Settings(Base):
    """Shared by all features of an experiment."""

    layers: tuple[Layer, ...] = Field(
        (1, 2, 3, 4, 5, 7),
        min_length=1,
        description="layers of a trained network, if it has them; the paper: 1-5 and 7",
    )
    seed: int = Field(0, ge=0, description="initialises random weights")
    batch: int = Field(128, ge=1, description="images per forward pass")


class Spec(Settings):
    kind: Literal["network", "random", "hog"] = Field(
        "network",
        description="network: layers of a trained network; random: layer 7 of the same with random weights; hog: hand-crafted",
    )


def run(
    spec: Spec, images: Path, out: Path, weights: Path | None = None, device: str = "auto", threads: int = 1
) -> None:
    """images: manifest.json of the target set; weights: of the network, none for hog. Writes out/layer<n>.npy, float16
    (N, D), one row per image in the order of images.npy, and out/features.json."""
    target = PreparedSet(images)
    sizes, batches = (
        _hog_features(spec, target) if spec.kind == "hog" else _layers(spec, target, weights, device, threads)
    )
    out.mkdir(parents=True, exist_ok=True)
    needed = sum(sizes.values()) * target.count * 2
    guards.check_space(out, needed, f"{sum(sizes.values())} features of {target.count} images")
    source, advice = (weights, ADVICE) if weights else (target.folder, "prepare the set again")
    with guards.report_disk_full(out), explain_not_finite(source, advice):
        (out / "features.json").unlink(missing_ok=True)
        _write(out, sizes, target.count, batches)
        record: dict[str, Any] = {
            "kind": spec.kind,
            "digest": target.digest,
            "pictures": target.count,
            "layers": sorted(sizes),
        }
        record |= {
            "sizes": {str(layer): size for layer, size in sizes.items()},
            "sha256": {str(layer): artifacts.sha256(out / f"layer{layer}.npy") for layer in sizes},
        }
        artifacts.save_json(out / "features.json", record)


def _hog_features(spec: Spec, target: PreparedSet) -> tuple[dict[int, int], Batches]:
    from zfrepro.core.hog import hog, length

    def batches() -> Batches:
        for start in range(0, target.count, spec.batch):
            indices = slice(start, min(start + spec.batch, target.count))
            yield indices, {HOG_LAYER: hog(target.all_images[indices])}

    return {HOG_LAYER: length(target.size)}, batches()


def _layers(
    spec: Spec, target: PreparedSet, weights: Path | None, device: str, threads: int
) -> tuple[dict[int, int], Batches]:
    from zfrepro.core import crops, features, nets
    from zfrepro.models.trained_network import TrainedNetwork

    if weights is None:
        raise UserError("--weights: give the file of a trained network, as train writes it (model.safetensors)")
    network = TrainedNetwork(weights, device, threads)
    if network.size > target.size:
        raise UserError(
            f"{target.folder}: images of {target.size} px, but the input of {weights} is {network.size} px; prepare larger images"
        )
    if spec.kind == "random":
        nets.initialise(network.net, "he", spec.seed + 1)
    layers = (RANDOM_LAYER,) if spec.kind == "random" else spec.layers
    sizes = features.sizes(network.net, network.size, layers)
    if not sizes:
        raise UserError(f"{weights}: this network has none of the layers {', '.join(map(str, layers))}")
    subtract = crops.MeanSubtraction(features.mean_at(network.mean, target.size), network.device)
    batches = features.batches(network.net, target.reader(None), subtract, network.size, layers, spec.batch)
    return sizes, batches


def _write(out: Path, sizes: dict[int, int], count: int, batches: Batches) -> None:
    """Every layer's file appears whole. Raises NotFiniteError for values that float16 cannot hold."""
    last = time.monotonic()
    with ExitStack() as stack:
        paths = {layer: stack.enter_context(artifacts.atomic(out / f"layer{layer}.npy")) for layer in sizes}
        files = {layer: stack.enter_context(open(path, "wb")) for layer, path in paths.items()}
        for layer, file in files.items():
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f2", "fortran_order": False, "shape": (count, sizes[layer])}
            )
        for indices, features in batches:
            for layer, rows in features.items():
                _check(rows, layer)
                file = files[layer]
                file.write(rows.astype("<f2").data)
            if time.monotonic() - last > REPORT_EVERY:
                print(json.dumps({"done": indices.stop, "of": count}), flush=True)
                last = time.monotonic()


def _check(rows: np.ndarray, layer: int) -> None:
    largest = np.finfo(np.float16).max
    if not np.abs(rows).max(initial=0) <= largest:
        bad = np.count_nonzero(~(np.abs(rows) <= largest))
        raise NotFiniteError(
            f"layer {layer}: {bad} of {rows.size} features exceed {largest:.0f}, the largest float16 value"
        )
