"""Shift, scale and turn an image, and measure how far a layer's features move (paper section 4.1, Fig 5).

A transformation is a 2 x 2 matrix and a shift that map a pixel of the network's view, counted from the view's middle, to
where its value is read in the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from zfrepro.core.finite import require_finite
from zfrepro.core.nets import last_child_of, layer_outputs

MIRRORED, BLACK = "reflection", "zeros"  # how an image goes on beyond its border
Layer = TypeVar("Layer", int, str)
Observe = Callable[
    [Tensor], tuple[Mapping[Layer, Tensor], Tensor]
]  # inputs (T, ...) -> features by layer, probabilities (T, classes)
TINY = 1e-12  # length that stands for none


def shifts(pixels: list[float]) -> Tensor:
    """(T, 2, 3): the view moved down by so many pixels."""
    return torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, y]] for y in pixels], dtype=torch.float64)


def scales(ratios: list[float]) -> Tensor:
    """(T, 2, 3): what is seen is so many times as large."""
    return torch.tensor([[[1 / r, 0.0, 0.0], [0.0, 1 / r, 0.0]] for r in ratios], dtype=torch.float64)


def turns(degrees: list[float]) -> Tensor:
    """(T, 2, 3): what is seen is turned counter-clockwise about the middle."""
    angles = [math.radians(degree) for degree in degrees]
    rows = [[[math.cos(a), -math.sin(a), 0.0], [math.sin(a), math.cos(a), 0.0]] for a in angles]
    return torch.tensor(rows, dtype=torch.float64)


def views(image: Tensor, size: int, moves: Tensor, beyond: str) -> Tensor:
    """Float pixels (3, S, S) seen through `moves` (T, 2, 3) about the centre view: (T, 3, size, size), bilinear.

    Computed in double precision, so that whole pixels come out as they are.
    """
    stored = image.shape[-1]
    offset = torch.arange(size, dtype=torch.float64, device=image.device) - (size - 1) / 2
    middle = (stored - size) // 2 + (size - 1) / 2
    y, x = torch.meshgrid(offset, offset, indexing="ij")
    positions = torch.stack([x, y, torch.ones_like(x)], dim=-1) @ moves.to(image.device).mT[:, None] + middle
    grid = (2 * positions + 1) / stored - 1
    pixels = image.double().expand(len(moves), -1, -1, -1)
    return functional.grid_sample(pixels, grid, "bilinear", beyond, align_corners=False).to(image.dtype)


def unit_maps(features: Tensor) -> Tensor:
    """(T, C, h, w) or (T, units): each map's vector over its positions scaled to length 1; a fully connected layer counts as one map.

    So the distance of two images is at most sqrt(2 C), for features that are not negative; a map that is 0 stays 0. Raises
    NotFiniteError: a map of infinite length would become 0.
    """
    maps = features.flatten(2) if features.dim() > 2 else features[:, None]
    length: Tensor = require_finite(maps.norm(dim=2, keepdim=True), "lengths of maps")
    scaled: Tensor = maps / length.clamp(min=TINY)
    return scaled


def distances(features: Tensor, original: Tensor) -> Tensor:
    """(T,): Euclidean distance of `features` (T, ...) from `original` (1, ...), both as `unit_maps`. Raises NotFiniteError."""
    lengths: Tensor = (unit_maps(features) - unit_maps(original)).flatten(1).norm(dim=1)
    return require_finite(lengths, "distances")


def measure_curves(
    observe: Observe[Layer], original: Mapping[Layer, Tensor], views: Iterable[Tensor], label: int
) -> tuple[dict[Layer, Tensor], Tensor]:
    """Distances of views from the untouched one by layer, and the probability of a class; all (T,), T views in batches.

    `original` holds the features (1, ...) of the untouched view. Raises NotFiniteError.
    """
    parts: dict[Layer, list[Tensor]] = {layer: [] for layer in original}
    of_class = []
    for inputs in views:
        features, probabilities = observe(inputs)
        of_class.append(probabilities[:, label])
        for layer, lengths in parts.items():
            lengths.append(distances(features[layer], original[layer]))
    return {layer: torch.cat(lengths) for layer, lengths in parts.items()}, torch.cat(of_class)


@torch.no_grad()
def features_and_probabilities(
    net: nn.Sequential, inputs: Tensor, layers: tuple[int, ...]
) -> tuple[dict[int, Tensor], Tensor]:
    """One forward pass of (T, 3, s, s): the outputs of the paper's `layers`, and class probabilities (T, classes).

    Raises NotFiniteError naming the layer.
    """
    names = [name for name, _ in net.named_children()]
    children = {last_child_of(net, layer): layer for layer in layers}
    outputs = layer_outputs(net, inputs, {**children, names[-1]: 0})
    features = {layer: require_finite(outputs[layer], "activations", f"layer {layer}") for layer in layers}
    return features, require_finite(outputs[0], "class scores", f"layer {names[-1]}").softmax(dim=1)
