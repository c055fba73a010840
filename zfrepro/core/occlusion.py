"""Slide a grey square over a picture and record the class probabilities and one layer's summed maps at every position.

Geometry as measured in Fig 7: top-left corners 0, stride, 2 stride, ... with the square always inside the picture, so
1 + (S - square) // stride positions each way (30 at 224 px, square 50, stride 6).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zfrepro.core.nets import layer_outputs
from zfrepro.core.strongest import Strongest


@dataclass(frozen=True)
class Answer:
    """What the network says of pictures: leading dimensions are the pictures', or rows and columns of positions."""

    probabilities: Tensor  # (..., classes)
    activations: Tensor  # (..., maps): every map of the watched layer summed over space


def corners(size: int, square: int, stride: int) -> list[int]:
    """Tops (or lefts) of the square. Raises ValueError for a square that does not fit into the picture."""
    if not 1 <= square <= size:
        raise ValueError(f"a square of {square} pixels does not fit into {size}")
    return list(range(0, size - square + 1, stride))


def occluded(picture: Tensor, grey: Tensor, tops: list[int], lefts: list[int], square: int) -> Tensor:
    """Copies (P, 3, S, S) of a picture, the square at (tops[i], lefts[i]) showing `grey` (3, S, S) instead."""
    copies = picture.expand(len(tops), *picture.shape).clone(memory_format=torch.channels_last)
    for copy, top, left in zip(copies, tops, lefts, strict=True):
        window = (..., slice(top, top + square), slice(left, left + square))
        copy[window] = grey[window]
    return copies


@torch.no_grad()
def answer(net: nn.Sequential, pictures: Tensor, layer: str) -> Answer:
    """One forward pass of (B, 3, S, S), watching child `layer`."""
    maps, probabilities = _watch(net, pictures, layer)
    return Answer(probabilities, maps.sum(dim=(2, 3)))


def sensitivity(
    net: nn.Sequential, picture: Tensor, grey: Tensor, layer: str, square: int, stride: int, batch: int
) -> Answer:
    """Answers (P, P, ...) to a picture (3, S, S) with the square at every position; `grey` (3, S, S) in input terms."""
    places = corners(picture.shape[-1], square, stride)
    tops = [top for top in places for _ in places]
    lefts = places * len(places)
    answers = [
        answer(net, occluded(picture, grey, tops[i : i + batch], lefts[i : i + batch], square), layer)
        for i in range(0, len(tops), batch)
    ]
    grid = (len(places), len(places))
    return Answer(
        torch.cat([one.probabilities for one in answers]).unflatten(0, grid),
        torch.cat([one.activations for one in answers]).unflatten(0, grid),
    )


@torch.no_grad()
def survey(
    net: nn.Sequential, batches: Iterable[tuple[slice, Tensor]], layer: str, top: int
) -> tuple[Tensor, Strongest]:
    """One pass over (where, inputs): class probabilities (N, classes), and the strongest activations of child `layer`."""
    probabilities, strongest = [], None
    for where, inputs in batches:
        maps, answers = _watch(net, inputs, layer)
        strongest = strongest or Strongest(maps.shape[1], top, maps.device, maps.dtype)
        strongest.update(maps, where.start)
        probabilities.append(answers)
    return torch.cat(probabilities), strongest


def overlapping(size: int, square: int, stride: int, box: tuple[float, float, float, float]) -> Tensor:
    """bool (P, P): where the square covers part of the box x0, y0, x1, y1 (input pixels)."""
    first = torch.tensor(corners(size, square, stride))
    x0, y0, x1, y1 = box
    rows = (first < y1) & (first + square > y0)
    columns = (first < x1) & (first + square > x0)
    return rows[:, None] & columns[None, :]


def _watch(net: nn.Sequential, pictures: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Maps (B, C, h, w) of child `layer`, class probabilities (B, classes)."""
    names = [name for name, _ in net.named_children()]
    if layer not in names:
        raise ValueError(f"the network has no layer {layer}; it has {', '.join(names)}")
    kept = layer_outputs(net, pictures, {layer: 0, names[-1]: 1})
    return kept[0], kept[1].softmax(dim=1)
