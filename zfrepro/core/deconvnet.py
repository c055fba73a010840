"""Project single activations back to pixels through the switches of a forward pass (paper section 2.1, Fig 1).

Way up: the network itself; every max pool's switches are kept. Way down, from one unit with all others zero: unpool (each
value is added where its switch points, so a place that two overlapping windows name gets both), rectify the
reconstruction, apply the transposed filters without bias. Contrast normalisation and dropout are passed by.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.utils import _pair as pair

from zfrepro.core.finite import require_finite
from zfrepro.core.nets import CeilConv2d
from zfrepro.core.normalisation import CrossMapNorm

CONVOLUTIONS = (nn.Conv2d, CeilConv2d)
PASSED_BY = (CrossMapNorm, nn.LocalResponseNorm, nn.Dropout, nn.Identity)


@dataclass(frozen=True)
class Step:
    """What one child's forward pass leaves behind for the way down."""

    child: nn.Module
    size: tuple[int, int]  # rows and columns of its input
    switches: Tensor | None = None  # int64 (B, C, h, w): places of the maxima in the flattened input map


@dataclass(frozen=True)
class Trace:
    """A forward pass of (B, 3, H, W): its steps in order, and the maps (B, C, h, w) of the children asked for."""

    steps: dict[str, Step]
    outputs: dict[str, Tensor]


@torch.no_grad()
def trace(net: nn.Sequential, pictures: Tensor, keep: Collection[str]) -> Trace:
    """Forward pass up to the last child in `keep`. Raises ValueError naming a child that has no way down."""
    check(net, keep)
    steps: dict[str, Step] = {}
    outputs: dict[str, Tensor] = {}
    maps = pictures
    for name, child in net.named_children():
        maps, steps[name] = _up(child, maps)
        if name in keep:
            outputs[name] = maps
        if len(outputs) == len(set(keep)):
            break
    return Trace(steps, outputs)


@torch.no_grad()
def project(trace: Trace, name: str, units: Tensor) -> Tensor:
    """Projections (U, 3, H, W) of units (U, 4) = picture, map, row, column of the maps of child `name`, each alone.

    Raises NotFiniteError naming the layer.
    """
    picture, *place = units.unbind(1)
    outputs = trace.outputs[name]
    maps = outputs.new_zeros(len(units), *outputs.shape[1:])
    maps[torch.arange(len(units), device=units.device), *place] = outputs[picture, *place]
    passed = list(trace.steps)
    for passed_name in reversed(passed[: passed.index(name) + 1]):
        maps = _down(trace.steps[passed_name], maps, picture)
    return require_finite(maps, "projected values", f"layer {name}")


def check(net: nn.Sequential, names: Collection[str]) -> None:
    """Raise ValueError unless every child up to the last of `names` has a way down, naming the one that has not."""
    children = dict(net.named_children())
    if missing := sorted(set(names) - children.keys()):
        raise ValueError(f"the network has no layer {', '.join(missing)}; it has {', '.join(children)}")
    last = max((list(children).index(name) for name in names), default=-1)
    for name, child in list(children.items())[: last + 1]:
        if problem := _problem(child):
            raise ValueError(
                f"layer {name}: {problem}; the deconvnet knows convolution, ReLU, max pooling, normalisation"
            )


def _problem(child: nn.Module) -> str | None:
    """Exact types, since a subclass may compute anything."""
    if type(child) in CONVOLUTIONS:
        plain = child.padding_mode == "zeros" and not isinstance(child.padding, str)
        return None if plain else f"{type(child).__name__} with padding {child.padding_mode!r}, {child.padding!r}"
    known = type(child) in (nn.ReLU, nn.MaxPool2d, *PASSED_BY)
    return None if known else f"{type(child).__name__} has no way down"


def _up(child: nn.Module, maps: Tensor) -> tuple[Tensor, Step]:
    size, switches = tuple(maps.shape[2:]), None
    if isinstance(child, nn.MaxPool2d):
        window = (child.kernel_size, child.stride, child.padding, child.dilation, child.ceil_mode)
        maps, switches = functional.max_pool2d(maps, *window, return_indices=True)
    elif isinstance(child, nn.ReLU):
        maps = functional.relu(maps)  # never in place: maps asked for are kept
    elif not isinstance(child, nn.Dropout):
        maps = child(maps)
    return maps, Step(child, size, switches)


def _down(step: Step, maps: Tensor, picture: Tensor) -> Tensor:
    """Maps (U, C, h, w) over a child's output -> over its input; unit u stands in the forward pass of picture[u]."""
    if isinstance(step.child, nn.MaxPool2d):
        return unpool(maps, step.switches[picture], step.size, step.child)
    if isinstance(step.child, nn.ReLU):
        return functional.relu(maps)
    if isinstance(step.child, nn.Conv2d):
        return _filter(maps, step.size, step.child)
    return maps


def unpool(maps: Tensor, switches: Tensor, size: tuple[int, int], pool: nn.MaxPool2d) -> Tensor:
    """Add every value (U, C, h, w) where its switch points: (U, C, *size).

    One scatter takes windows that cannot overlap, so it names a place once at most: no race between threads, and the same
    bits every time on every device.
    """
    rows, columns = disjoint_every(pool)
    count, channels = maps.shape[:2]
    flat = maps.new_zeros(count, size[0] * size[1] * channels)  # channels last, as convolutions like it
    channel = torch.arange(channels, device=maps.device)
    for row in range(rows):
        for column in range(columns):
            part = (..., slice(row, None, rows), slice(column, None, columns))
            places = switches[part].permute(0, 2, 3, 1) * channels + channel
            flat.scatter_add_(1, places.flatten(1), maps[part].permute(0, 2, 3, 1).flatten(1))
    return flat.view(count, *size, channels).permute(0, 3, 1, 2)


def disjoint_every(pool: nn.MaxPool2d) -> tuple[int, int]:
    """How many windows on, in rows and columns, the next one is that shares no pixel: 2 for 3x3 windows at stride 2."""
    spans = zip(pair(pool.kernel_size), pair(pool.stride), pair(pool.dilation), strict=True)
    rows, columns = (-((dilation * (kernel - 1) + 1) // -stride) for kernel, stride, dilation in spans)
    return rows, columns


def _filter(maps: Tensor, size: tuple[int, int], conv: nn.Conv2d) -> Tensor:
    """Transposed filters; the result is cropped, or extended by pixels that no filter reached, to the input's size."""
    reached = [
        (count - 1) * stride - 2 * pad + dilation * (kernel - 1) + 1
        for count, stride, pad, dilation, kernel in zip(
            maps.shape[2:], conv.stride, conv.padding, conv.dilation, conv.kernel_size, strict=True
        )
    ]
    unreached = [max(0, side - there) for side, there in zip(size, reached, strict=True)]
    pixels = functional.conv_transpose2d(
        maps, conv.weight, None, conv.stride, conv.padding, unreached, conv.groups, conv.dilation
    )
    return pixels[..., : size[0], : size[1]]
