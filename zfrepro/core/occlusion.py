"""Slide a grey square over an image and record the class probabilities and one layer's summed maps at every position.

Geometry as measured in Fig 7: top-left corners 0, stride, 2 stride, ... with the square always inside the image, so
1 + (S - square) // stride positions each way (30 at 224 px, square 50, stride 6). An image (3, H, W) need not be square.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zfrepro.core.finite import require_finite
from zfrepro.core.heads import as_convolutions
from zfrepro.core.incremental import CleanPass, full_convolutions, split
from zfrepro.core.nets import layer_outputs
from zfrepro.core.network_graph import trace
from zfrepro.core.top_activations import TopActivations

HEAD_BATCH = 256  # positions that pass the full layers at once


@dataclass(frozen=True)
class Prediction:
    """What the network says of images: leading dimensions are the images', or rows and columns of positions."""

    probabilities: Tensor  # (..., classes)
    activations: Tensor  # (..., maps): every map of the watched layer summed over space


def corners(size: int, square: int, stride: int) -> list[int]:
    """Tops (or lefts) of the square. Raises ValueError for a square that does not fit into the image."""
    if not 1 <= square <= size:
        raise ValueError(f"a square of {square} pixels does not fit into {size}")
    return list(range(0, size - square + 1, stride))


@torch.no_grad()
def predict(net: nn.Sequential, images: Tensor, layer: str) -> Prediction:
    """One forward pass of (B, 3, S, S), watching child `layer`."""
    maps, probabilities = _watch(net, images, layer)
    return Prediction(probabilities, maps.sum(dim=(2, 3)))


class Occluder:
    """A network made ready for many images: equal to one forward pass per position, in a fraction of the operations on a CPU.

    `layer`, if any, is written as in core/layers.py. `batch` bounds the positions that are recomputed together. `dtype` (None: the
    network's) is that of the sums; with bfloat16 predictions are correct to about two digits. The
    network's weights must not change afterwards. Raises ValueError for a layer that the
    network does not have, and UntraceableError.
    """

    def __init__(
        self, net: nn.Module, layer: str | None, square: int, stride: int, batch: int, dtype: torch.dtype | None = None
    ):
        self.layer, self.square, self.stride, self.batch = layer, square, stride, batch
        self.dtype = dtype or next(net.parameters()).dtype
        self.net = _in_dtype(net, self.dtype)
        self.body, self.head = split(self.net)
        self.graph = trace(self.body)
        self.graph.fold_norms(None if layer is None else self.graph.find(layer))
        self.watched = None if layer is None else self.graph.find(layer)
        self.convolutions = full_convolutions(self.graph)
        self.quick_head: tuple[tuple[int, ...], nn.Sequential] | None = None  # made once, for maps of one shape

    @torch.no_grad()
    def share(self, image: Tensor) -> float:
        """The share of the convolutions' products that a position takes, about; 1 where the trace gives other values than the network."""
        clean, expected = CleanPass(self.graph, self.convolutions, image, self.watched), self.body(image[None])
        rounding = 10 * torch.finfo(image.dtype).eps ** 0.5
        same = (
            clean.output.shape == expected.shape
            and (clean.output - expected).abs().max() <= rounding * expected.abs().max()
        )
        return clean.share(self.square) if same else 1.0

    def __call__(self, image: Tensor, grey: Tensor) -> Prediction:
        """Predictions (P, Q, ...) of an image (3, H, W) with the square at every position; `grey` (3, H, W) in input terms.

        Raises NotFiniteError.
        """
        rows, columns = (corners(side, self.square, self.stride) for side in image.shape[1:])
        with torch.inference_mode():  # less bookkeeping for each of the many slices
            index, features, sums = self._recompute(image.to(self.dtype), grey.to(self.dtype), rows, columns)
            head, order = self._quick_head(features.shape[1:]), index.argsort()
            probabilities = torch.cat(
                [head(part).to(image.dtype).softmax(1) for part in torch.split(features, HEAD_BATCH)]
            )
            require_finite(probabilities, "class probabilities of covered images")
            require_finite(sums, "sums of maps", f"layer {self.layer}")
        grid = (len(rows), len(columns), -1)  # copies, so that they are tensors as any other
        return Prediction(probabilities[order].clone().view(grid), sums[order].to(image.dtype, copy=True).view(grid))

    def _quick_head(self, maps: tuple[int, ...]) -> nn.Sequential:
        if self.quick_head is None or self.quick_head[0] != maps:
            self.quick_head = maps, as_convolutions(self.head, maps)
        return self.quick_head[1]

    def _recompute(
        self, image: Tensor, grey: Tensor, rows: list[int], columns: list[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of every position, in any order: its number, what the head reads, the watched maps' sums."""
        clean, at_once = CleanPass(self.graph, self.convolutions, image, self.watched), max(1, math.isqrt(self.batch))
        results = []
        for tops in clean.group(rows, self.square, 0, at_once):
            for lefts in clean.group(columns, self.square, 1, at_once):
                patches = [grey[:, y : y + self.square, x : x + self.square] for y in tops for x in lefts]
                numbers = [rows.index(y) * len(columns) + columns.index(x) for y in tops for x in lefts]
                results.append((torch.tensor(numbers), *clean.changed(torch.stack(patches), tops, lefts)))
        index, features, sums = (torch.cat(parts) for parts in zip(*results, strict=True))
        return index.to(features.device), features, sums


class FullPasses:
    """The same predictions of any network, by one forward pass per position, `batch` at a time."""

    def __init__(self, predict_images: Callable[[Tensor], Prediction], square: int, stride: int, batch: int):
        self.predict_images, self.square, self.stride, self.batch = predict_images, square, stride, batch

    @torch.no_grad()
    def __call__(self, image: Tensor, grey: Tensor) -> Prediction:
        rows, columns = (corners(side, self.square, self.stride) for side in image.shape[1:])
        positions = [(top, left) for top in rows for left in columns]
        parts = []
        for start in range(0, len(positions), self.batch):
            places = positions[start : start + self.batch]
            covered = image.repeat(len(places), 1, 1, 1)
            for copy_of_image, (top, left) in zip(covered, places, strict=True):
                window = (slice(None), slice(top, top + self.square), slice(left, left + self.square))
                copy_of_image[window] = grey[window]
            parts.append(self.predict_images(covered))
        grid = (len(rows), len(columns), -1)
        probabilities, activations = (
            torch.cat([getattr(part, name) for part in parts]).view(grid) for name in ("probabilities", "activations")
        )
        return Prediction(probabilities, activations)


def make_occluder(
    net: nn.Sequential, layer: str, square: int, stride: int, batch: int, dtype: torch.dtype
) -> Occluder | FullPasses:
    """By windows on a CPU. On a GPU by full passes: the many small windows leave it idle (2.8 times as long on an H200)."""
    if next(net.parameters()).device.type == "cpu":
        return Occluder(net, layer, square, stride, batch, dtype)
    net = _in_dtype(net, dtype)

    def predict_images(covered: Tensor) -> Prediction:
        found = predict(net, covered.to(dtype=dtype, memory_format=torch.channels_last), layer)
        return Prediction(found.probabilities.to(covered.dtype), found.activations.to(covered.dtype))

    return FullPasses(predict_images, square, stride, batch)


def _in_dtype(net: nn.Module, dtype: torch.dtype) -> Any:
    """The network, or a copy where it has another dtype."""
    return net if next(net.parameters()).dtype == dtype else copy.deepcopy(net).to(dtype)


@torch.no_grad()
def survey(
    net: nn.Sequential, batches: Iterable[tuple[slice, Tensor]], layer: str, top: int
) -> tuple[Tensor, TopActivations]:
    """One pass over (where, inputs): class probabilities (N, classes), and the strongest activations of child `layer`."""
    probabilities: list[Tensor] = []
    strongest: TopActivations | None = None
    for indices, inputs in batches:
        maps, of_batch = _watch(net, inputs, layer)
        strongest = strongest or TopActivations(maps.shape[1], top, maps.device, maps.dtype)
        strongest.update(maps, indices.start)
        probabilities.append(of_batch)
    if strongest is None:
        raise ValueError("there is no image to survey")
    return torch.cat(probabilities), strongest


def _watch(net: nn.Sequential, images: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Maps (B, C, h, w) of child `layer`, class probabilities (B, classes). Raises NotFiniteError naming the layer."""
    names = [name for name, _ in net.named_children()]
    if layer not in names:
        raise ValueError(f"the network has no layer {layer}; it has {', '.join(names)}")
    outputs = layer_outputs(net, images, {layer: 0, names[-1]: 1})
    require_finite(outputs[0], "activations", f"layer {layer}")
    scores = require_finite(outputs[1], "class scores", f"layer {names[-1]}")
    return outputs[0], scores.softmax(dim=1, dtype=torch.promote_types(scores.dtype, torch.float32))
