"""Cover the same part in several images and compare how a network's features change (Table 1, Fig 8)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from zfrepro.core.finite import require_finite_arrays
from zfrepro.datasets import part_annotations
from zfrepro.datasets.part_annotations import PARTS, AnnotatedImage
from zfrepro.errors import UserError
from zfrepro.spec import Base
from zfrepro.storage import artifacts
from zfrepro.storage.diverged import explain_diverged_network
from zfrepro.storage.not_measured import NotMeasurable, records_not_measurable

if TYPE_CHECKING:
    import torch

    from zfrepro.core.correspondence import Comparison
    from zfrepro.models.trained_network import NetworkOnSplit

LAYERS = {5: "pool5", 7: "relu7"}  # after pooling, after the ReLU: where most units are exactly 0
RANDOM = "random"
RESAMPLES = 2000
Pairs = tuple["Comparison", dict[str, np.ndarray]]  # of every mask, and as arrays


class Spec(Base):
    square: int = Field(
        32, ge=1, description="side of the grey square in pixels of the network's input; 32 at 224 covers a dog's eye"
    )
    grey: int = Field(
        124, ge=0, le=255, description="value of all three channels of the square, as in the occlusion maps"
    )
    draws: int = Field(10, ge=1, description="random squares per image, which do not touch the three parts")
    pictures: int = Field(5, ge=2, description="images shown and compared as in the paper; the paper: 5")
    average: int = Field(60, ge=2, description="images compared for a more precise estimate, including those shown")
    classes: tuple[str, ...] = Field(
        (), description="use only images of these classes; the paper: dogs; empty: all images with known parts"
    )
    split: str = Field("val", description="split to take images from")
    annotations: Path | None = Field(
        None, description="CSV with boxes of parts in photographs, instead of those of the set (docs/annotations.md)"
    )
    root: Path | None = Field(None, description="folder of these photographs; null: the folder of the CSV")
    seed: int = Field(0, ge=0, description="selects the images and the random squares")
    batch: int = Field(64, ge=1, description="images per forward pass")


def inputs(spec: Spec, digest: Callable[..., str]) -> dict[str, str]:
    """Digests of the file of marked photographs and of each of them; empty for a prepared set."""
    files = part_annotations.list_files(spec.annotations, spec.root) if spec.annotations else []
    return {f"photographs {i}": digest(path, whole=True) for i, path in enumerate(files)}


@records_not_measurable("correspondence.npz", "correspondence.json")
@explain_diverged_network
def run(spec: Spec, weights: Path, images: Path, out: Path, device: str = "auto", threads: int = 1) -> None:
    """Write out/correspondence.npz (every pair, mask and layer) and out/correspondence.json (means over pairs)."""
    from zfrepro.models.trained_network import NetworkOnSplit

    network = NetworkOnSplit(weights, images, spec.split, device, threads)
    _check(spec, network)
    annotated, corners = _draw_images(spec, network)
    crops = np.stack([image.pixels for image in annotated])
    pairs = {layer: _pairs(changes) for layer, changes in _changes(spec, network, crops, corners).items()}
    arrays = {
        f"{name}_{layer}": array for layer, (_, layer_arrays) in pairs.items() for name, array in layer_arrays.items()
    }
    require_finite_arrays(arrays)
    artifacts.save_arrays(out / "correspondence.npz", inputs=crops[: spec.pictures], places=corners, **arrays)
    artifacts.save_json(out / "correspondence.json", _summary(spec, network, annotated, pairs))


def _check(spec: Spec, network: NetworkOnSplit) -> None:
    if spec.square > network.size:
        raise UserError(
            f"correspondence.square: {spec.square} px, but the network's input is {network.size} px; choose a smaller square"
        )
    if missing := [layer for layer, child in LAYERS.items() if child not in dict(network.net.named_children())]:
        raise UserError(
            f"layer {missing[0]}: this network does not have it; correspondence compares layers 5 and 7, choose a run that has both"
        )
    if unknown := sorted(set(spec.classes) - set(network.set.classes)):
        raise NotMeasurable(
            f"the set has no class {', '.join(unknown)} of correspondence.classes; there are {', '.join(network.set.classes)}"
        )
    if spec.classes and spec.annotations:
        raise UserError(
            "correspondence.classes: annotated photographs have no classes; leave `classes` or `annotations` out"
        )


def _draw_images(spec: Spec, network: NetworkOnSplit) -> tuple[list[AnnotatedImage], np.ndarray]:
    """N images as the network sees them, those shown first; int64 (N, 3 + draws, 2): top, left of every square.

    Of a prepared set they are drawn from the seed, of an annotation file they come in its order.
    """
    from zfrepro.core.correspondence import squares

    top, left, _ = network.view
    view = (left, top, left + network.size, top + network.size)
    if spec.annotations is None:
        marked = part_annotations.read_prepared(network.set, spec.split)
        marked = [image for image in marked if not spec.classes or image.label in spec.classes]
        order = np.random.default_rng(spec.seed).permutation(len(marked)).tolist()
    else:
        marked = part_annotations.read_csv(spec.annotations, spec.root, network.set.size, view)
        order = list(range(len(marked)))
    annotated: list[AnnotatedImage] = []
    corners, wanted = [], max(spec.average, spec.pictures)
    for index in order:
        image = marked[index].cut(view) if len(annotated) < wanted else None
        if image is not None:
            parts, rng = [image.parts[part] for part in PARTS], np.random.default_rng([spec.seed, index])
            image_corners = squares(parts, image.object, spec.square, network.size, spec.draws, rng)
            if image_corners is not None:
                annotated.append(image)
                corners.append(image_corners)
    _check_count(spec, len(annotated), min(len(marked), wanted))
    return annotated, np.stack(corners)


def _check_count(spec: Spec, count: int, wanted: int) -> None:
    if spec.annotations is not None and count < wanted:
        raise UserError(
            f"{spec.annotations}: in {wanted - count} images no random square of {spec.square} px fits beside the three "
            "parts; choose a smaller correspondence.square"
        )
    if count < 2:
        raise NotMeasurable(
            f"{count} images of split {spec.split} show {', '.join(PARTS)} and leave room for a random square, 2 are "
            "needed; name a file of marked photographs in correspondence.annotations (docs/annotations.md)"
        )


def _changes(spec: Spec, network: NetworkOnSplit, crops: np.ndarray, corners: np.ndarray) -> dict[int, torch.Tensor]:
    """Layer -> int8 (1 + masks, N, units): first 1 where a unit is active uncovered, then the signs of change."""
    import torch

    from zfrepro.core.correspondence import cover, features, sign_changes

    def observe(inputs: torch.Tensor) -> dict[int, torch.Tensor]:
        return features(network.net, inputs, LAYERS)

    changes: dict[int, list[torch.Tensor]] = {layer: [] for layer in LAYERS}
    for start in range(0, len(crops), spec.batch):
        part, part_corners = crops[start : start + spec.batch], corners[start : start + spec.batch]
        masks = part_corners.transpose(1, 0, 2)
        covered = (network.inputs(cover(part, mask_corners, spec.square, spec.grey)) for mask_corners in masks)
        for layer, signs in sign_changes(observe, network.inputs(part), covered).items():
            changes[layer].append(signs)
    return {layer: torch.cat(parts, dim=1) for layer, parts in changes.items()}


def _pairs(changes: torch.Tensor) -> Pairs:
    """All masks compared, (masks, N, N), and the same as arrays with what the uncovered images have in common."""
    from zfrepro.core.correspondence import Comparison, compare

    activity, *masks = (compare(change) for change in changes)
    stacked = Comparison.stack(masks)
    active = 1 - np.diagonal(activity.unchanged)
    return stacked, {**vars(stacked), "active": active, "active_in_one": activity.different}


def _summary(
    spec: Spec, network: NetworkOnSplit, annotated: list[AnnotatedImage], pairs: dict[int, Pairs]
) -> dict[str, Any]:
    counts = {"shown": min(spec.pictures, len(annotated)), "all": len(annotated)}
    samples = {
        name: {
            "pictures": count,
            "pairs": count * (count - 1) // 2,
            "layers": {str(layer): _numbers(*pairs[layer], count, spec.seed) for layer in LAYERS},
        }
        for name, count in counts.items()
    }
    return {
        "network": network.description.network.model_dump(mode="json"),
        "width": network.description.width,
        "input_size": network.size,
        "marked_by_hand": spec.annotations is not None,
        **spec.model_dump(mode="json", include={"square", "grey", "draws", "split", "classes", "seed"}),
        "children": {str(layer): child for layer, child in LAYERS.items()},
        "pictures": [{"file": image.file, "class": image.label} for image in annotated],
        "samples": samples,
    }


def _numbers(pairs: Comparison, arrays: dict[str, np.ndarray], count: int, seed: int) -> dict[str, Any]:
    """Of the first `count` images in one layer: every kind of mask, and what is active when nothing is covered."""
    from zfrepro.core.correspondence import below_random, estimate, pair_values

    counts = np.random.default_rng([seed, count]).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    kinds = {part: slice(i, i + 1) for i, part in enumerate(PARTS)} | {RANDOM: slice(len(PARTS), None)}
    parts, random = (pairs.select(masks, count).different for masks in (slice(len(PARTS)), kinds[RANDOM]))
    return {
        "active": float(arrays["active"][:count].mean()),
        "active_in_one": float(pair_values(arrays["active_in_one"][:count, :count]).mean()),
        "masks": {kind: estimate(pairs.select(masks, count), counts) for kind, masks in kinds.items()},
        "parts_below_random": below_random(parts, random.mean(axis=0), counts),
        "part_below_random": {
            part: below_random(different[None], random.mean(axis=0), counts)
            for part, different in zip(PARTS, parts, strict=True)
        },
    }
