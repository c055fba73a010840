"""Shift, scale and rotate images and measure how far the features of any network move (paper section 4, Fig 5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from zfrepro.analysis.checks import Network, labels_of, open_network, predict, size_at_least
from zfrepro.analysis.occlusion import Fill, _filled
from zfrepro.core import invariance as core

Kind = Literal["shift", "scale", "rotation"]
KINDS: tuple[Kind, ...] = ("shift", "scale", "rotation")
MOVES = {"shift": core.shifts, "scale": core.scales, "rotation": core.turns}


@dataclass(frozen=True)
class InvarianceCurve:
    """B images under T amounts of one transformation; on the network's device."""

    amounts: Tensor  # float64 (T,): pixels down, ratios, or degrees counter-clockwise
    distances: dict[
        str, Tensor
    ]  # layer -> (B, T): Euclidean, each map scaled to length 1; at most sqrt(2 maps) where none is negative
    probability: Tensor  # (B, T) of the class `labels`
    labels: Tensor  # int64 (B,)


def invariance(
    model: nn.Module | Network,
    images: Tensor,
    layers: Sequence[str],
    *,
    shift: Sequence[float] = (),
    scale: Sequence[float] = (),
    rotation: Sequence[float] = (),
    size: int | None = None,
    fill: Fill = 0.0,
    labels: int | Sequence[int] | Tensor | None = None,
    batch: int = 64,
) -> dict[Kind, InvarianceCurve]:
    """How far features move, and what happens to a class's probability, as images are shifted, scaled and rotated.

    model     any network in evaluation mode that returns class scores (B, classes), or what `open_network` has made of one;
              it is left as it was
    images    (B, C, S, S), square, in terms of the network's inputs; the view is the centre `size` pixels
    layers    modules by their names in `model.named_modules()`; the paper: layers 1 and 7
    shift     pixels that the view moves down; beyond the border the image goes on as its mirror image
    scale     ratios, 2 shows everything twice as large; below 1 the image goes on as its mirror image
    rotation  degrees counter-clockwise about the middle; the corners of the view show `fill`
    size      side of the view in pixels; None: the whole image
    fill      in terms of the network's inputs: a number or one per channel; the paper: black
    labels    the class of each image (or one for all); None: the most probable of the untouched view
    batch     views in one forward pass

    Features are compared as in the paper's Fig 5: the Euclidean distance of the transformed view's from the untouched one's; every map is
    scaled to length 1 before, so that layers can be compared. Views are bilinear; whole pixels come out as they are.
    Raises ValueError for bad input and NotFiniteError where features are not finite.
    """
    network = open_network(model)
    images = network.prepare(images)
    amounts: dict[Kind, Sequence[float]] = {"shift": shift, "scale": scale, "rotation": rotation}
    side = _check(images, layers, amounts, size_at_least(images.shape[3] if size is None else size, 1, "size"))
    size_at_least(batch, 1, "batch")
    colour = _filled(fill, images[:, :, :1, :1])
    untouched = torch.cat([core.views(image, side, core.shifts([0.0]), core.MIRRORED) for image in images])
    if not network.keeps_images_apart:
        network.observe_independent(untouched[:1], layers)
    originals = [_observe(network, view[None], layers) for view in untouched]
    chosen = labels_of(labels, torch.cat([probabilities for _, probabilities in originals]))
    curves: dict[Kind, InvarianceCurve] = {}
    for kind in KINDS:
        if len(amounts[kind]):
            rows = []
            for image, (features, _), label in zip(images, originals, chosen.tolist(), strict=True):
                views = _views(image, side, kind, amounts[kind], colour, batch)
                rows.append(
                    core.measure_curves(lambda inputs: _observe(network, inputs, layers), features, views, label)
                )
            curves[kind] = InvarianceCurve(
                torch.tensor(list(amounts[kind]), dtype=torch.float64, device=images.device),
                {layer: torch.stack([distances[layer] for distances, _ in rows]) for layer in layers},
                torch.stack([probability for _, probability in rows]),
                chosen,
            )
    return curves


def _check(images: Tensor, layers: Sequence[str], amounts: dict[Kind, Sequence[float]], size: int) -> int:
    if images.shape[2] != images.shape[3]:
        raise ValueError(f"images: {images.shape[2]} x {images.shape[3]} pixels; give square images")
    if size > images.shape[3]:
        raise ValueError(f"size: a view of {size} pixels, but the images have {images.shape[3]}; choose a smaller view")
    if isinstance(layers, str) or not len(layers):
        raise ValueError('layers: give at least one name in a list, ["features.3"]')
    if not any(len(values) for values in amounts.values()):
        raise ValueError("give amounts of a transformation: shift, scale or rotation")
    if any(not value > 0 for value in amounts["scale"]):
        raise ValueError("scale: ratios are above 0")
    return size


def _observe(network: Network, inputs: Tensor, layers: Sequence[str]) -> tuple[dict[str, Tensor], Tensor]:
    return predict(network, inputs, layers)


def _views(
    image: Tensor, size: int, kind: str, amounts: Sequence[float], colour: Tensor, batch: int
) -> Iterator[Tensor]:
    """Inputs (T, C, size, size), in batches; a rotated view shows `colour` (C, 1, 1) beyond its own border."""
    for start in range(0, len(amounts), batch):
        moves = MOVES[kind](list(amounts[start : start + batch]))
        if kind == "rotation":
            first = (image.shape[-1] - size) // 2
            view = image[:, first : first + size, first : first + size]
            yield core.views(view - colour, size, moves, core.BLACK) + colour
        else:
            yield core.views(image, size, moves, core.MIRRORED)
