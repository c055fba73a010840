"""Shift, scale and rotate images; measure how much features of layers 1 and 7 and the true class's probability change (Fig 5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from zfrepro.core.finite import require_finite_arrays
from zfrepro.errors import UserError
from zfrepro.spec import Base
from zfrepro.storage import artifacts
from zfrepro.storage.diverged import explain_diverged_network
from zfrepro.storage.not_measured import NotMeasurable, records_not_measurable

if TYPE_CHECKING:
    import torch

    from zfrepro.models.trained_network import NetworkOnSplit

LAYERS = (1, 7)  # as in Fig 5
KINDS = ("shift", "scale", "turn")
THUMBNAILS = 8  # an image and transformation, as in Fig 5


class Spec(Base):
    shift: int = Field(
        63, ge=1, description="largest vertical shift in pixels of the network's input; the paper: about 63 at 224"
    )
    shift_step: int = Field(3, ge=1, description="step in pixels; the paper's curves are dense, about 1")
    scale: float = Field(2.0, gt=1, description="largest scale; the paper: about 2")
    scales: int = Field(21, ge=2, description="number of scales from 1 to the largest")
    turn_step: float = Field(
        5.0, gt=0, le=90, description="step in degrees, from 0 to 360; the paper's curves are dense"
    )
    pictures: int | tuple[int, ...] = Field(
        5,
        description="number of images shown, of different classes if possible, or their positions in the split; the paper: 5",
    )
    average: int = Field(100, ge=1, description="further images, for the mean; all if there are fewer")
    symmetric: tuple[str, ...] = Field(
        (),
        description="classes whose objects look the same after a quarter turn (the paper's exception, an entertainment centre); "
        "up to `average` additional images of these classes are rotated; names that the set does not have are left out",
    )
    split: str = Field("val", description="split to take images from")
    seed: int = Field(0, ge=0, description="selects the images")
    batch: int = Field(64, ge=1, description="views per forward pass")


@records_not_measurable("invariance.npz", "invariance.json")
@explain_diverged_network
def run(spec: Spec, weights: Path, images: Path, out: Path, device: str = "auto", threads: int = 1) -> None:
    """Write out/invariance.npz (distances and probabilities, image by view) and out/invariance.json (their description)."""
    from zfrepro.models.trained_network import NetworkOnSplit

    network = NetworkOnSplit(weights, images, spec.split, device, threads)
    network.check_classes()
    _check(spec, network, weights)
    spec = _with_known_classes(spec, network.set.classes)
    labels = network.set.labels(spec.split)
    shown = _choose_images(spec, labels)
    others = np.random.default_rng([spec.seed, 1]).permutation(np.setdiff1d(np.arange(len(labels)), shown))
    indices = np.concatenate([shown, np.sort(others[: spec.average])])
    amounts = {kind: _amounts(spec, kind) for kind in KINDS}
    rows = [_measure_curves(spec, network, index, int(labels[index]), amounts) for index in indices.tolist()]
    arrays = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    thumbnails = {f"views_{kind}": _thumbnails(network, shown, kind, values) for kind, values in amounts.items()}
    symmetric = _measure_symmetric(spec, network, labels, amounts["turn"])
    require_finite_arrays(arrays | symmetric)
    artifacts.save_arrays(out / "invariance.npz", pictures=indices, **amounts, **arrays, **thumbnails, **symmetric)
    artifacts.save_json(out / "invariance.json", _summary(spec, network, indices, len(shown), arrays))


def _measure_symmetric(
    spec: Spec, network: NetworkOnSplit, labels: np.ndarray, turns: np.ndarray
) -> dict[str, np.ndarray]:
    """The turning curves (M, T) of images of the symmetric classes, named symmetric_...; nothing where none is named."""
    of_class = np.flatnonzero(np.isin(labels, [network.set.classes.index(name) for name in spec.symmetric]))
    chosen = np.sort(np.random.default_rng([spec.seed, 2]).permutation(of_class)[: spec.average])
    rows = [_measure_curves(spec, network, index, int(labels[index]), {"turn": turns}) for index in chosen.tolist()]
    curves = {key: np.stack([row[key] for row in rows]) for key in (rows[0] if rows else ())}
    return {f"symmetric_{key}": array for key, array in curves.items()}


def _check(spec: Spec, network: NetworkOnSplit, weights: Path) -> None:
    layers = {row.layer for row in network.description.rows()}
    if missing := set(LAYERS) - layers:
        raise UserError(f"{weights}: has no layer {min(missing)}; invariance compares layers 1 and 7, name another run")
    if spec.shift >= network.size:
        raise UserError(
            f"invariance.shift: {spec.shift} px, but the network's input is {network.size} px; choose a smaller shift"
        )


def _with_known_classes(spec: Spec, classes: Sequence[str]) -> Spec:
    """Without the symmetric classes that the set does not have, such as those of the experiment that was copied."""
    unknown = sorted(set(spec.symmetric) - set(classes))
    if unknown:
        print(json.dumps({"symmetric_left_out": unknown}), flush=True)
    return spec.model_copy(update={"symmetric": tuple(name for name in spec.symmetric if name in classes)})


def _choose_images(spec: Spec, labels: np.ndarray) -> np.ndarray:
    """int64: of different classes as far as there are, drawn from the seed; right or wrong, as in the paper."""
    if not isinstance(spec.pictures, int):
        indices = np.array(spec.pictures, dtype=np.int64)
        if not len(indices) or indices.min() < 0 or indices.max() >= len(labels):
            raise NotMeasurable(
                f"invariance.pictures is {spec.pictures}, but split {spec.split} has {len(labels)} images"
            )
        return indices
    if not 1 <= spec.pictures <= len(labels):
        raise NotMeasurable(f"invariance.pictures is {spec.pictures}, but split {spec.split} has {len(labels)} images")
    order = np.random.default_rng(spec.seed).permutation(len(labels))
    first = np.sort(np.unique(labels[order], return_index=True)[1])
    return np.concatenate([order[first], np.delete(order, first)])[: spec.pictures]


def _amounts(spec: Spec, kind: str) -> np.ndarray:
    """float64 (T,): pixels, ratios or degrees; both ends and the untouched view are among them."""
    if kind == "shift":
        half = np.append(np.arange(spec.shift_step, spec.shift, spec.shift_step), spec.shift).astype(float)
        return np.concatenate([-half[::-1], [0.0], half])
    if kind == "scale":
        return np.linspace(1.0, spec.scale, spec.scales)
    return np.append(np.arange(0.0, 360.0, spec.turn_step), 360.0)


def _views(network: NetworkOnSplit, index: int, kind: str, amounts: np.ndarray) -> torch.Tensor:
    """Float pixels (T, 3, s, s). A shifted or scaled image goes on as its mirror image; a turned view has black corners."""
    import torch

    from zfrepro.core import invariance

    moves = {"shift": invariance.shifts, "scale": invariance.scales, "turn": invariance.turns}[kind](amounts.tolist())
    pixels = network.crops(np.array([index]))[0] if kind == "turn" else np.array(network.images[index])
    image = torch.from_numpy(pixels).to(network.device).permute(2, 0, 1).float()
    return invariance.views(image, network.size, moves, invariance.BLACK if kind == "turn" else invariance.MIRRORED)


def _measure_curves(
    spec: Spec, network: NetworkOnSplit, index: int, true: int, amounts: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """One image's curves (T,): distances from the untouched view, probability of the true class."""
    from zfrepro.core.invariance import features_and_probabilities, measure_curves

    def observe(inputs: torch.Tensor) -> tuple[dict[int, torch.Tensor], torch.Tensor]:
        return features_and_probabilities(network.net, inputs, LAYERS)

    original, prediction = observe(network.inputs(network.crops(np.array([index]))))
    curves: dict[str, Any] = {"labels": np.int64(true), "correct": bool(prediction.argmax() == true)}
    for kind, values in amounts.items():
        parts = (values[start : start + spec.batch] for start in range(0, len(values), spec.batch))
        views = (network.subtract_mean(_views(network, index, kind, part)) for part in parts)
        distances, probability = measure_curves(observe, original, views, true)
        curves[f"probability_{kind}"] = probability.cpu().numpy()
        curves |= {f"distance{layer}_{kind}": lengths.cpu().numpy() for layer, lengths in distances.items()}
    return curves


def _thumbnails(network: NetworkOnSplit, shown: np.ndarray, kind: str, amounts: np.ndarray) -> np.ndarray:
    """uint8 (images, 8, s, s, 3): views spread evenly over the transformation."""
    spread = amounts[np.linspace(0, len(amounts) - 1, THUMBNAILS).round().astype(int)]
    views = [_views(network, index, kind, spread) for index in shown.tolist()]
    return np.stack([images.permute(0, 2, 3, 1).round().clamp(0, 255).byte().cpu().numpy() for images in views])


def _summary(
    spec: Spec, network: NetworkOnSplit, indices: np.ndarray, shown: int, arrays: dict[str, np.ndarray]
) -> dict[str, Any]:
    from zfrepro.core.nets import last_child_of

    classes, files = network.set.classes, network.set.files(spec.split)
    rows = {row.name: row for row in network.description.rows()}
    first = rows["conv1"].outputs
    return {
        "network": network.description.network.model_dump(mode="json"),
        "width": network.description.width,
        "input_size": network.size,
        **spec.model_dump(mode="json", include={"shift", "scale", "split", "seed", "symmetric"}),
        "children": {str(layer): last_child_of(network.net, layer) for layer in LAYERS},
        "largest": {"1": (2 * first) ** 0.5, "7": 2**0.5},  # distance of two images without a common feature
        "shown": shown,
        "pictures": [
            {"picture": index, "file": str(files[index]), "class": classes[label], "correct": bool(right)}
            for index, label, right in zip(indices.tolist(), arrays["labels"], arrays["correct"], strict=True)
        ],
    }
