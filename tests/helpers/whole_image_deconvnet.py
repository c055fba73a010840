"""The deconvnet by its definition, on whole images: the reference that the real one, which works on windows, is held against."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from zfrepro.core import deconvnet


@dataclass(frozen=True)
class Step:
    """What one child's forward pass leaves behind for the deconvnet pass."""

    child: nn.Module
    size: tuple[int, int]  # rows and columns of its input
    switches: Tensor | None = None  # int64 (B, C, h, w): places of the maxima in the flattened input map


@dataclass(frozen=True)
class Trace:
    """A forward pass of (B, 3, H, W): its steps in order, and the maps (B, C, h, w) of the children asked for."""

    steps: dict[str, Step]
    outputs: dict[str, Tensor]


@torch.no_grad()
def trace(net: nn.Sequential, images: Tensor, keep: Collection[str]) -> Trace:
    """Forward pass up to the last child in `keep`."""
    deconvnet.check(net, keep)
    steps: dict[str, Step] = {}
    outputs: dict[str, Tensor] = {}
    maps = images
    for name, child in net.named_children():
        maps, steps[name] = _forward(child, maps)
        if name in keep:
            outputs[name] = maps
        if len(outputs) == len(set(keep)):
            break
    return Trace(steps, outputs)


@torch.no_grad()
def project(trace: Trace, name: str, units: Tensor) -> Tensor:
    """Projections (U, 3, H, W) of single units (U, 4) = image, map, row, column of the maps of child `name`."""
    image, *place = units.unbind(1)
    outputs = trace.outputs[name]
    maps = outputs.new_zeros(len(units), *outputs.shape[1:])
    maps[torch.arange(len(units), device=units.device), *place] = outputs[image, *place]
    names = list(trace.steps)
    for child_name in reversed(names[: names.index(name) + 1]):
        maps = backward(trace.steps[child_name], maps, image)
    return maps


def _forward(child: nn.Module, maps: Tensor) -> tuple[Tensor, Step]:
    size, switches = tuple(maps.shape[2:]), None
    if isinstance(child, nn.MaxPool2d):
        window = (child.kernel_size, child.stride, child.padding, child.dilation, child.ceil_mode)
        maps, switches = functional.max_pool2d(maps, *window, return_indices=True)
    elif isinstance(child, nn.ReLU):
        maps = functional.relu(maps)  # never in place: maps asked for are kept
    elif not isinstance(child, nn.Dropout):
        maps = child(maps)
    return maps, Step(child, size, switches)


def backward(step: Step, maps: Tensor, image: Tensor) -> Tensor:
    """Maps (U, C, h, w) over a child's output -> over its input; unit u belongs to the forward pass of image[u]."""
    if isinstance(step.child, nn.MaxPool2d):
        return deconvnet.unpool(maps, step.switches[image], step.size, step.child)
    if isinstance(step.child, nn.ReLU):
        return functional.relu(maps)
    if isinstance(step.child, nn.Conv2d):
        return _filter(maps, step.size, step.child)
    return maps


def _filter(maps: Tensor, size: tuple[int, int], conv: nn.Conv2d) -> Tensor:
    """Transposed filters; the result is cropped, or extended by pixels that no filter reached, to the input's size."""
    reached = [
        (count - 1) * stride - 2 * pad + dilation * (kernel - 1) + 1
        for count, stride, pad, dilation, kernel in zip(
            maps.shape[2:], conv.stride, conv.padding, conv.dilation, conv.kernel_size, strict=True
        )
    ]
    unreached = [max(0, side - length) for side, length in zip(size, reached, strict=True)]
    pixels = functional.conv_transpose2d(
        maps, conv.weight, None, conv.stride, conv.padding, unreached, conv.groups, conv.dilation
    )
    return pixels[..., : size[0], : size[1]]


def project_onto_images(net: nn.Sequential, images: Tensor, name: str, units: Tensor) -> Tensor:
    """The real deconvnet's projections (U, 3, H, W) of units (U, 4) = image, map, row, column, laid where they are in the image.

    Asserts that nothing but zeros is left out.
    """
    image, maps, *place = units.unbind(1)
    fields, starts = deconvnet.project(net, name, images[image], maps, torch.stack(place, dim=1))
    (high, wide), (height, width) = fields.shape[2:], images.shape[2:]
    margin = int(starts.abs().max()) + max(high, wide)
    laid = fields.new_zeros(len(units), images.shape[1], height + 2 * margin, width + 2 * margin)
    for canvas, field, (top, left) in zip(laid, fields, (starts + margin).tolist(), strict=True):
        canvas[:, top : top + high, left : left + wide] = field
    inside = laid[:, :, margin : margin + height, margin : margin + width]
    assert laid.count_nonzero() == inside.count_nonzero()
    return inside
