"""Project single activations back to pixels through the switches of a forward pass (paper section 2.1, Fig 1).

Forward pass: the network itself; the switches of every max pooling are kept. Deconvnet pass, from one unit with all others
set to zero: unpool (each value is added where its switch points, so a position in two overlapping windows may get both),
rectify the reconstruction, apply the transposed filters without bias. Contrast normalisation and dropout are skipped.

A unit's activation and its projection depend on nothing outside its receptive field. So both passes work on windows: a field
of pixels goes forward without padding, positions outside a map are filled as its border would be, and one value is projected back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.utils import _pair as pair

from zfrepro.core.finite import require_finite
from zfrepro.core.nets import CeilConv2d
from zfrepro.core.normalisation import CrossMapNorm
from zfrepro.core.receptive_field import axes

CONVOLUTIONS = (nn.Conv2d, CeilConv2d)
SKIPPED = (CrossMapNorm, nn.LocalResponseNorm, nn.Dropout, nn.Identity)
SMALL = 7  # positions a side up to which transposed filters are one product of matrices
FEW = 16  # maps, too few for convolutions of their own
Operation = Literal["transposed filters", "rectify", "max unpooling", "skipped"]


@dataclass(frozen=True)
class Level:
    """Windows of one map of the chain, one per unit: each `side` (rows, columns) long from its own start on."""

    starts: Tensor  # int64 (U, 2)
    side: tuple[int, int]
    size: tuple[int, int]  # of the whole map

    def outside(self) -> list[list[tuple[int, int, int]]]:
        """Of every unit, the stretches of its window outside the map, mostly none: axis (0 rows, 1 columns), first position, length."""
        return [
            [
                (axis, *stretch)
                for axis in (0, 1)
                for stretch in _outside(corner[axis], self.side[axis], self.size[axis])
            ]
            for corner in self.starts.tolist()
        ]


def _outside(start: int, side: int, size: int) -> list[tuple[int, int]]:
    """Along one axis: first position in the window, and length, of what is before and behind a map of `size`."""
    before, inside = min(max(-start, 0), side), min(max(size - start, 0), side)
    return [(low, high - low) for low, high in ((0, before), (inside, side)) if low < high]


@torch.no_grad()
def project(net: nn.Sequential, name: str, images: Tensor, maps: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Projections (U, 3, f, f) of single units: map maps[u], row and column positions[u] of child `name` for images[u].

    images is (U, 3, H, W), maps int64 (U,), positions int64 (U, 2); f is the side of the receptive field. The second tensor (U, 2)
    holds the top left corner of each field in its image, negative where the field starts outside. Pixels outside the image are 0.
    Raises ValueError naming a child that the deconvnet does not support, and NotFiniteError naming the layer.
    """
    check(net, [name])
    chain, maps = children_up_to(net, name), maps.to(images.device)
    levels = _levels(chain, positions.to(images.device), (images.shape[2], images.shape[3]))
    below = _before_filter_of_unit(chain)
    values, switches = _forward(chain[:below], levels, images)
    windows = (
        _only(values, maps) if below == len(chain) else _filter_of_unit(chain[below:], levels[below], values, maps)
    )
    pixels = _backward(chain[:below], levels[:below], windows, switches)
    return require_finite(pixels, "projected values", f"layer {name}"), levels[0].starts


def check(net: nn.Sequential, names: Collection[str]) -> None:
    """Raise ValueError unless the deconvnet supports every child up to the last of `names`, naming the one it does not."""
    children = dict(net.named_children())
    if missing := sorted(set(names) - children.keys()):
        raise ValueError(f"the network has no layer {', '.join(missing)}; it has {', '.join(children)}")
    last = max((list(children).index(name) for name in names), default=-1)
    for name, child in list(children.items())[: last + 1]:
        if problem := _problem(child):
            raise ValueError(
                f"layer {name}: {problem} is not supported; the deconvnet handles convolution with zero padding, ReLU, "
                "max pooling, local response normalisation and dropout"
            )


def _problem(child: nn.Module) -> str | None:
    """Exact types, since a subclass may compute anything."""
    if isinstance(child, nn.Conv2d) and type(child) in CONVOLUTIONS:
        plain = child.padding_mode == "zeros" and not isinstance(child.padding, str)
        return None if plain else f"{type(child).__name__} with padding {child.padding_mode!r}, {child.padding!r}"
    supported = type(child) in (nn.ReLU, nn.MaxPool2d, *SKIPPED)
    return None if supported else type(child).__name__


def operation(child: nn.Module) -> Operation:
    """What the deconvnet pass does at a supported child."""
    if isinstance(child, nn.MaxPool2d):
        return "max unpooling"
    if isinstance(child, nn.ReLU):
        return "rectify"
    return "transposed filters" if isinstance(child, nn.Conv2d) else "skipped"


def children_up_to(net: nn.Sequential, name: str) -> list[nn.Module]:
    """The children from the first to `name`, included."""
    names = [child_name for child_name, _ in net.named_children()]
    return list(net.children())[: names.index(name) + 1]


def map_sizes(chain: Sequence[nn.Module], image: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows and columns of the image and of every child's output."""
    sizes = [image]
    for child in chain:
        sizes.append(_output_size(child, sizes[-1]))
    return sizes


def _output_size(child: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(child, nn.Conv2d | nn.MaxPool2d):
        return size
    rows, columns = axes(child)
    return rows.count(size[0]), columns.count(size[1])


def _levels(chain: Sequence[nn.Module], positions: Tensor, image: tuple[int, int]) -> list[Level]:
    """Below every child, and above the last."""
    sizes = map_sizes(chain, image)
    levels = [Level(positions, (1, 1), sizes[-1])]
    for child, size in zip(reversed(chain), reversed(sizes[:-1]), strict=True):
        levels.append(_below(child, levels[-1], size))
    return levels[::-1]


def _below(child: nn.Module, level: Level, size: tuple[int, int]) -> Level:
    if not isinstance(child, nn.Conv2d | nn.MaxPool2d):
        return level
    rows, columns = axes(child)
    starts = [axis.first_input(start) for axis, start in zip((rows, columns), level.starts.T, strict=True)]
    return Level(torch.stack(starts, dim=1), (rows.span(level.side[0]), columns.span(level.side[1])), size)


def _forward(chain: Sequence[nn.Module], levels: Sequence[Level], images: Tensor) -> tuple[Tensor, list[Tensor | None]]:
    """Windows of the last child's output, and every pooling's switches within its window."""
    windows = _fields(images, levels[0])
    all_switches: list[Tensor | None] = []
    for child, level in zip(chain, levels, strict=False):
        switches = None
        if isinstance(child, nn.MaxPool2d):
            windows = _fill_outside(windows, level, -torch.inf)
        elif isinstance(child, nn.Conv2d) and child is not chain[0]:  # outside the image all is 0 already
            windows = _fill_outside(windows, level, 0.0)
        if isinstance(child, nn.MaxPool2d):
            shape = (child.kernel_size, child.stride, 0, child.dilation)
            windows, switches = functional.max_pool2d(windows, *shape, return_indices=True)
        elif isinstance(child, nn.Conv2d):
            windows = functional.conv2d(
                windows, child.weight, child.bias, child.stride, 0, child.dilation, child.groups
            )
        elif isinstance(child, nn.ReLU):
            windows = windows.relu_()
        elif not isinstance(child, nn.Dropout):
            windows = child(windows)
        all_switches.append(switches)
    return windows, all_switches


def _before_filter_of_unit(chain: Sequence[nn.Module]) -> int:
    """How many children stand before the last convolution if the unit is one position of its output, otherwise all children.

    Of that convolution one filter is needed, of hundreds.
    """
    last = len(chain) - 1
    while last >= 0 and type(chain[last]) in (nn.ReLU, nn.Dropout, nn.Identity):
        last -= 1
    conv = chain[last] if last >= 0 else None
    return last if isinstance(conv, nn.Conv2d) and conv.groups == 1 and pair(conv.dilation) == (1, 1) else len(chain)


def _filter_of_unit(chain: Sequence[nn.Module], level: Level, windows: Tensor, maps: Tensor) -> Tensor:
    """Up and down again through a convolution, the first of the chain, and what follows: windows (U, C, k, k) of its input."""
    conv, *others = chain
    assert isinstance(conv, nn.Conv2d)
    filters = conv.weight[maps]
    values = (_fill_outside(windows, level, 0.0) * filters).sum((1, 2, 3))
    values = values if conv.bias is None else values + conv.bias[maps]
    values = values.relu() if any(isinstance(child, nn.ReLU) for child in others) else values
    return _fill_outside(_channels_last(values[:, None, None, None] * filters), level, 0.0)


def _only(values: Tensor, maps: Tensor) -> Tensor:
    """The units' values (U, C, 1, 1), of which map maps[u] is kept and all others are 0."""
    return values * functional.one_hot(maps, values.shape[1]).to(values.dtype)[:, :, None, None]


def _channels_last(windows: Tensor) -> Tensor:
    return windows.contiguous(memory_format=torch.channels_last)


def _fields(images: Tensor, level: Level) -> Tensor:
    """(U, 3, f, f): what each unit sees of its image; 0 outside."""
    fields = images.new_zeros(len(images), *level.side, images.shape[1])
    for field, image, (top, left) in zip(fields, images.permute(0, 2, 3, 1), level.starts.tolist(), strict=True):
        rows, columns = _overlap(top, level.side[0], len(image)), _overlap(left, level.side[1], image.shape[1])
        field[rows[0], columns[0]] = image[rows[1], columns[1]]
    return fields.permute(0, 3, 1, 2)


def _overlap(start: int, side: int, size: int) -> tuple[slice, slice]:
    """Along one axis, the overlap of a window and a map of `size`: slices in the window, in the map; empty if there are none."""
    low = max(start, 0)
    high = max(low, min(start + side, size))
    return slice(low - start, high - start), slice(low, high)


def _fill_outside(windows: Tensor, level: Level, value: float) -> Tensor:
    """In place; by stretches, since a mask would touch every position of every map."""
    for window, stretches in zip(windows, level.outside(), strict=True):
        for axis, first, length in stretches:
            window.narrow(axis + 1, first, length).fill_(value)
    return windows


def _backward(
    chain: Sequence[nn.Module], levels: Sequence[Level], windows: Tensor, switches: Sequence[Tensor | None]
) -> Tensor:
    """Pixels (U, 3, f, f) from windows of the last child's output."""
    for child, level, part in reversed(list(zip(chain, levels, switches, strict=True))):
        windows = _undo(child, level, windows, part)
    return windows


def _undo(child: nn.Module, level: Level, windows: Tensor, switches: Tensor | None) -> Tensor:
    """From windows of a child's output to the windows `level` of its input."""
    match operation(child):
        case "max unpooling":
            assert isinstance(child, nn.MaxPool2d)
            assert switches is not None
            return _unpool_windows(windows, switches, level.side, child)
        case "rectify":
            return windows.relu_()
        case "transposed filters":
            assert isinstance(child, nn.Conv2d)
            return _fill_outside(_transpose(windows, child), level, 0.0)
    return windows


def _unpool_windows(windows: Tensor, switches: Tensor, size: tuple[int, int], pool: nn.MaxPool2d) -> Tensor:
    """`unpool` below windows pooled without padding. On a CPU by max pooling's own backward pass: no races there."""
    if windows.device.type != "cpu":
        return unpool(windows, switches, size, pool)
    sizes = (*windows.shape[:2], *size)
    below = torch.empty(sizes, dtype=windows.dtype, memory_format=torch.channels_last)  # only its sizes are read
    shape = (pair(pool.kernel_size), pair(pool.stride), (0, 0), pair(pool.dilation), False)
    unpooled: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(windows, below, *shape, switches)
    return unpooled


def unpool(maps: Tensor, switches: Tensor, size: tuple[int, int], pool: nn.MaxPool2d) -> Tensor:
    """Add every value (U, C, h, w) where its switch points: (U, C, *size).

    switches is int64 (U, C, h, w): indices of the maxima in the flattened input map. One scatter takes windows that cannot
    overlap, so it contains an index once at most: no race between threads, also not on CUDA, whose scatters add in any order. The
    sums are the same bits every time on every device; the convolutions of a projection round differently on another device.
    """
    rows, columns = disjoint_every(pool)
    count, channels = maps.shape[:2]
    flat = maps.new_zeros(count, size[0] * size[1] * channels)  # channels last, as convolutions like it
    channel = torch.arange(channels, device=maps.device)
    for row in range(rows):
        for column in range(columns):
            part = (..., slice(row, None, rows), slice(column, None, columns))
            indices = switches[part].permute(0, 2, 3, 1) * channels + channel
            flat.scatter_add_(1, indices.flatten(1), maps[part].permute(0, 2, 3, 1).flatten(1))
    return flat.view(count, *size, channels).permute(0, 3, 1, 2)


def disjoint_every(pool: nn.MaxPool2d) -> tuple[int, int]:
    """How many windows on, in rows and columns, the next one is that shares no pixel: 2 for 3x3 windows at stride 2."""
    rows, columns = (-(axis.kernel // -axis.stride) for axis in axes(pool))
    return rows, columns


def _transpose(windows: Tensor, conv: nn.Conv2d) -> Tensor:
    """Transposed filters, in the fastest of three ways; oneDNN's own transposed convolution is several times slower."""
    stride, stride_of_columns = pair(conv.stride)
    if conv.groups > 1 or pair(conv.dilation) != (1, 1) or stride != stride_of_columns:
        return functional.conv_transpose2d(windows, conv.weight, None, conv.stride, 0, 0, conv.groups, conv.dilation)
    if max(windows.shape[2:]) <= SMALL:
        return _transpose_by_products(windows, conv.weight, stride)
    return (_transpose_together if conv.in_channels < FEW else _transpose_apart)(windows, conv.weight, stride)


def _reached(windows: Tensor, weight: Tensor, stride: int) -> tuple[int, int]:
    """Rows and columns of the input that the windows of the output see."""
    rows, columns = (
        (side - 1) * stride + kernel for side, kernel in zip(windows.shape[2:], weight.shape[2:], strict=True)
    )
    return rows, columns


def _transpose_by_products(windows: Tensor, weight: Tensor, stride: int) -> Tensor:
    """One product of matrices, then a sum of shifted maps for every position of the filter: no filter is copied."""
    count, outputs, rows, columns = windows.shape
    height, width = weight.shape[2:]
    matrix = weight.permute(0, 2, 3, 1).reshape(outputs, -1)
    parts = (windows.permute(0, 2, 3, 1).reshape(-1, outputs) @ matrix).view(count, rows, columns, height, width, -1)
    pixels = windows.new_zeros(count, *_reached(windows, weight, stride), weight.shape[1])
    for row in range(height):
        for column in range(width):
            seen = pixels[:, row::stride, column::stride][:, :rows, :columns]
            seen += parts[:, :, :, row, column]
    return pixels.permute(0, 3, 1, 2)


def _transpose_apart(windows: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A plain convolution for each of the s * s pixels that share a position, s the stride, with the part of the filter that it sees."""
    pixels = windows.new_zeros(len(windows), *_reached(windows, weight, stride), weight.shape[1]).permute(0, 3, 1, 2)
    for row in range(min(stride, weight.shape[2])):
        for column in range(min(stride, weight.shape[3])):
            filters = _channels_last(weight[:, :, row::stride, column::stride].flip(2, 3).transpose(0, 1))
            high, wide = filters.shape[2:]
            pixels[:, :, row::stride, column::stride] = functional.conv2d(
                windows, filters, padding=(high - 1, wide - 1)
            )
    return pixels


def _transpose_together(windows: Tensor, weight: Tensor, stride: int) -> Tensor:
    """One plain convolution of which each of the s * s pixels that share a position is an output: better with few colours."""
    height, width = weight.shape[2:]
    high, wide = -(-height // stride), -(-width // stride)
    padded = functional.pad(weight, (0, wide * stride - width, 0, high * stride - height))
    shape = (*padded.shape[:2], high, stride, wide, stride)  # out, in, high, stride, wide, stride
    filters = padded.view(shape).permute(1, 3, 5, 0, 2, 4).flatten(0, 2).flip(2, 3)
    pixels = functional.conv2d(windows, _channels_last(filters), padding=(high - 1, wide - 1))
    rows, columns = _reached(windows, weight, stride)
    return functional.pixel_shuffle(pixels, stride)[..., :rows, :columns]
