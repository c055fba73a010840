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
Operation = Literal["transposed filters", "rectify", "max unpooling", "skipped"]


@dataclass(frozen=True)
class Level:
    """Windows of one map of the chain, one per unit: each `side` (rows, columns) long from its own start on."""

    starts: Tensor  # int64 (U, 2)
    side: tuple[int, int]
    size: tuple[int, int]  # of the whole map

    def outside(self) -> Tensor | None:
        """bool (U, 1, h, w): positions outside the map; None where there are none."""
        rows, columns = (
            _outside(start, side, size) for start, side, size in zip(self.starts.T, self.side, self.size, strict=True)
        )
        return (rows[:, None, :, None] | columns[:, None, None, :]) if rows.any() or columns.any() else None


def _outside(starts: Tensor, side: int, size: int) -> Tensor:
    """bool (U, side): along one axis, which positions of the windows are outside a map of `size`."""
    positions = starts[:, None] + torch.arange(side, device=starts.device)
    return (positions < 0) | (positions >= size)


@torch.no_grad()
def project(net: nn.Sequential, name: str, images: Tensor, maps: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Projections (U, 3, f, f) of single units: map maps[u], row and column positions[u] of child `name` for images[u].

    images is (U, 3, H, W), maps int64 (U,), positions int64 (U, 2); f is the side of the receptive field. The second tensor (U, 2)
    holds the top left corner of each field in its image, negative where the field starts outside. Pixels outside the image are 0.
    Raises ValueError naming a child that the deconvnet does not support, and NotFiniteError naming the layer.
    """
    check(net, [name])
    chain = children_up_to(net, name)
    levels = _levels(chain, positions.to(images.device), (images.shape[2], images.shape[3]))
    values, switches = _forward(chain, levels, images)
    pixels = _backward(chain, levels, values, switches, maps.to(images.device))
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
    """Values (U, C, 1, 1) of all maps at the units' positions, and every pooling's switches within its window."""
    windows = _fields(images, levels[0])
    all_switches: list[Tensor | None] = []
    for child, level in zip(chain, levels[:-1], strict=True):
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
    outside = level.outside()
    return windows if outside is None else windows.masked_fill_(outside, value)


def _backward(
    chain: Sequence[nn.Module],
    levels: Sequence[Level],
    values: Tensor,
    switches: Sequence[Tensor | None],
    maps: Tensor,
) -> Tensor:
    """Pixels (U, 3, f, f) from the units' values (U, C, 1, 1), of which only map maps[u] is kept."""
    windows = values * functional.one_hot(maps, values.shape[1]).to(values.dtype)[:, :, None, None]
    for child, level, part in reversed(list(zip(chain, levels[:-1], switches, strict=True))):
        windows = _undo(child, level, windows, part)
    return windows


def _undo(child: nn.Module, level: Level, windows: Tensor, switches: Tensor | None) -> Tensor:
    """From windows of a child's output to the windows `level` of its input."""
    match operation(child):
        case "max unpooling":
            assert isinstance(child, nn.MaxPool2d)
            assert switches is not None
            return unpool(windows, switches, level.side, child)
        case "rectify":
            return windows.relu_()
        case "transposed filters":
            assert isinstance(child, nn.Conv2d)
            return _fill_outside(_transpose(windows, child), level, 0.0)
    return windows


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
    """Transposed filters. With a stride s, each of the s * s pixels that share a position is one output of a plain convolution.

    oneDNN's own transposed convolution is several times slower where a few colours are made of many maps.
    """
    (rows, columns), (height, width) = pair(conv.stride), pair(conv.kernel_size)
    if conv.groups > 1 or pair(conv.dilation) != (1, 1) or rows != columns or windows.shape[2:] == (1, 1):
        return functional.conv_transpose2d(windows, conv.weight, None, conv.stride, 0, 0, conv.groups, conv.dilation)
    stride, high, wide = rows, -(-height // rows), -(-width // columns)
    padded = functional.pad(conv.weight, (0, wide * stride - width, 0, high * stride - height))
    shape = (*padded.shape[:2], high, stride, wide, stride)  # out, in, high, stride, wide, stride
    filters = padded.view(shape).permute(1, 3, 5, 0, 2, 4).flatten(0, 2).flip(2, 3)
    pixels = functional.conv2d(
        windows, filters.contiguous(memory_format=torch.channels_last), padding=(high - 1, wide - 1)
    )
    reached = [(side - 1) * stride + kernel for side, kernel in zip(windows.shape[2:], (height, width), strict=True)]
    return functional.pixel_shuffle(pixels, stride)[..., : reached[0], : reached[1]]
