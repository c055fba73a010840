"""Cover the same part in several images and compare how a network's features change (Table 1, Fig 8)."""

from __future__ import annotations

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

if TYPE_CHECKING:
    import torch

    from zfrepro.core.correspondence import Comparison
    from zfrepro.models.opened import NetworkOnSplit

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


@explain_diverged_network
def run(spec: Spec, weights: Path, images: Path, out: Path, device: str = "auto", threads: int = 1) -> None:
    """Write out/correspondence.npz (every pair, mask and layer) and out/correspondence.json (means over pairs)."""
    from zfrepro.models.opened import NetworkOnSplit

    opened = NetworkOnSplit(weights, images, spec.split, device, threads)
    _check(spec, opened)
    annotated, places = _draw_images(spec, opened, images)
    crops = np.stack([one.pixels for one in annotated])
    found = {layer: _pairs(changes) for layer, changes in _changes(spec, opened, crops, places).items()}
    arrays = {f"{name}_{layer}": array for layer, (_, more) in found.items() for name, array in more.items()}
    require_finite_arrays(arrays)
    artifacts.save_arrays(out / "correspondence.npz", inputs=crops[: spec.pictures], places=places, **arrays)
    artifacts.save_json(out / "correspondence.json", _summary(spec, opened, annotated, found))


def _check(spec: Spec, opened: NetworkOnSplit) -> None:
    if spec.square > opened.size:
        raise UserError(
            f"correspondence.square: {spec.square} px, but the network's input is {opened.size} px; take a smaller one"
        )
    if missing := [layer for layer, child in LAYERS.items() if child not in dict(opened.net.named_children())]:
        raise UserError(
            f"layer {missing[0]}: this network has none; correspondence compares layers 5 and 7, name a run that has both"
        )
    if unknown := sorted(set(spec.classes) - set(opened.set.classes)):
        raise UserError(
            f"correspondence.classes: no class {', '.join(unknown)}; there are {', '.join(opened.set.classes)}"
        )
    if spec.classes and spec.annotations:
        raise UserError(
            "correspondence.classes: annotated photographs have no classes; leave `classes` or `annotations` out"
        )


def _draw_images(spec: Spec, opened: NetworkOnSplit, images: Path) -> tuple[list[AnnotatedImage], np.ndarray]:
    """N images as the network sees them, those shown first; int64 (N, 3 + draws, 2): top, left of every square.

    Of a prepared set they are drawn from the seed, of an annotation file they come in its order.
    """
    from zfrepro.core.correspondence import squares

    top, left, _ = opened.view
    view = (left, top, left + opened.size, top + opened.size)
    if spec.annotations is None:
        marked = part_annotations.read_prepared(opened.set, spec.split)
        marked = [one for one in marked if not spec.classes or one.label in spec.classes]
        order = np.random.default_rng(spec.seed).permutation(len(marked)).tolist()
    else:
        marked = part_annotations.read_csv(spec.annotations, spec.root, opened.set.size, view)
        order = list(range(len(marked)))
    found: list[AnnotatedImage] = []
    places, most = [], max(spec.average, spec.pictures)
    for index in order:
        one = marked[index].cut(view) if len(found) < most else None
        if one is not None:
            parts, dice = [one.parts[part] for part in PARTS], np.random.default_rng([spec.seed, index])
            where = squares(parts, one.object, spec.square, opened.size, spec.draws, dice)
            if where is not None:
                found.append(one)
                places.append(where)
    _check_found(spec, images, len(found), min(len(marked), most))
    return found, np.stack(places)


def _check_found(spec: Spec, images: Path, found: int, wanted: int) -> None:
    if spec.annotations is not None and found < wanted:
        raise UserError(
            f"{spec.annotations}: in {wanted - found} images no random square of {spec.square} px fits beside the three "
            "parts; take a smaller correspondence.square"
        )
    if found < 2:
        raise UserError(
            f"{images}: {found} images of split {spec.split} show {', '.join(PARTS)} and leave room for a random square, 2 are "
            "needed; name a file of marked photographs in correspondence.annotations (docs/annotations.md)"
        )


def _changes(spec: Spec, opened: NetworkOnSplit, crops: np.ndarray, places: np.ndarray) -> dict[int, torch.Tensor]:
    """Layer -> int8 (1 + masks, N, units): first 1 where a unit is active uncovered, then the signs of change."""
    import torch

    from zfrepro.core.correspondence import covered, features, signs

    changes: dict[int, list[torch.Tensor]] = {layer: [] for layer in LAYERS}
    for start in range(0, len(crops), spec.batch):
        some, where = crops[start : start + spec.batch], places[start : start + spec.batch]
        clean = features(opened.net, opened.inputs(some), LAYERS)
        found = {layer: [signs(values, torch.zeros_like(values))] for layer, values in clean.items()}
        for mask in range(places.shape[1]):
            inputs = opened.inputs(covered(some, where[:, mask], spec.square, spec.grey))
            for layer, values in features(opened.net, inputs, LAYERS).items():
                found[layer].append(signs(clean[layer], values))
        for layer, parts in found.items():
            changes[layer].append(torch.stack(parts))
    return {layer: torch.cat(parts, dim=1) for layer, parts in changes.items()}


def _pairs(changes: torch.Tensor) -> Pairs:
    """All masks compared, (masks, N, N), and the same as arrays with what the uncovered images have in common."""
    from zfrepro.core.correspondence import Comparison, compare

    activity, *masks = (compare(change) for change in changes)
    stacked = Comparison.stack(masks)
    active = 1 - np.diagonal(activity.unchanged)
    return stacked, {**vars(stacked), "active": active, "active_in_one": activity.different}


def _summary(
    spec: Spec, opened: NetworkOnSplit, annotated: list[AnnotatedImage], found: dict[int, Pairs]
) -> dict[str, Any]:
    counts = {"shown": min(spec.pictures, len(annotated)), "all": len(annotated)}
    samples = {
        name: {
            "pictures": count,
            "pairs": count * (count - 1) // 2,
            "layers": {str(layer): _numbers(*found[layer], count, spec.seed) for layer in LAYERS},
        }
        for name, count in counts.items()
    }
    return {
        "network": opened.description.network.model_dump(mode="json"),
        "width": opened.description.width,
        "input_size": opened.size,
        "marked_by_hand": spec.annotations is not None,
        **spec.model_dump(mode="json", include={"square", "grey", "draws", "split", "classes", "seed"}),
        "children": {str(layer): child for layer, child in LAYERS.items()},
        "pictures": [{"file": one.file, "class": one.label} for one in annotated],
        "samples": samples,
    }


def _numbers(pairs: Comparison, arrays: dict[str, np.ndarray], count: int, seed: int) -> dict[str, Any]:
    """Of the first `count` images in one layer: every kind of mask, and what is active when nothing is covered."""
    from zfrepro.core.correspondence import below_random, estimate, pair_values

    again = np.random.default_rng([seed, count]).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    kinds = {part: slice(i, i + 1) for i, part in enumerate(PARTS)} | {RANDOM: slice(len(PARTS), None)}
    parts, random = (pairs.of(masks, count).different for masks in (slice(len(PARTS)), kinds[RANDOM]))
    return {
        "active": float(arrays["active"][:count].mean()),
        "active_in_one": float(pair_values(arrays["active_in_one"][:count, :count]).mean()),
        "masks": {kind: estimate(pairs.of(masks, count), again) for kind, masks in kinds.items()},
        "parts_below_random": below_random(parts, random.mean(axis=0), again),
        "part_below_random": {
            part: below_random(one[None], random.mean(axis=0), again) for part, one in zip(PARTS, parts, strict=True)
        },
    }
