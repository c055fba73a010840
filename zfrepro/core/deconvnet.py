"""Project single activations back to pixels through the switches of a forward pass (paper section 2.1, Fig 1).

Forward pass: the network itself; the switches of every max pooling are kept. Deconvnet pass, from one unit with all others
set to zero: unpool (each value is added where its switch points, so a position in two overlapping windows may get both),
rectify the reconstruction, apply the transposed filters without bias. Contrast normalisation and dropout are skipped.

A unit's activation and its projection depend on nothing outside its receptive field. So both passes work on windows: a field
of pixels goes forward without padding, positions outside a map are filled as its border would be, and one value is projected back.
In the lower maps units go together whose fields lie on the image alike: the windows of each group are cut to the maps.
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
from zfrepro.core.transposed_filters import SMALL, Filters, channels_last, transpose
from zfrepro.core.unit_windows import Index, Level, Places, groups, index, levels, map_sizes, whole_fields

CONVOLUTIONS = (nn.Conv2d, CeilConv2d)
SKIPPED = (CrossMapNorm, nn.LocalResponseNorm, nn.Dropout, nn.Identity)
ALONE = 4000  # pixels of the fields that a CPU computes in the time that a further group costs, which reads all filters again
Operation = Literal["transposed filters", "rectify", "max unpooling", "skipped"]


@torch.no_grad()
def project(net: nn.Sequential, name: str, images: Tensor, maps: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Projections (U, 3, f, f) of single units: map maps[u], row and column positions[u] of child `name` for images[u].

    images is (U, 3, H, W), maps int64 (U,), positions int64 (U, 2); f is the side of the receptive field. The second tensor (U, 2)
    holds the top left corner of each field in its image, negative where the field starts outside. Pixels outside the image are 0.
    Raises ValueError naming a child that the deconvnet does not support, and NotFiniteError naming the layer.
    """
    check(net, [name])
    chain, size = children_up_to(net, name), (images.shape[2], images.shape[3])
    route = _Route(chain, positions.tolist(), size, ALONE if images.device.type == "cpu" else torch.inf)
    pixels = require_finite(route.project(images, maps.to(images.device)), "projected values", f"layer {name}")
    return pixels, torch.tensor(route.field.starts, dtype=torch.int64, device=images.device).view(-1, 2)


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


class _Route:
    """The way of units up and down the chain: by groups while their windows are large, above them all in one batch."""

    def __init__(self, chain: Sequence[nn.Module], places: Places, size: tuple[int, int], alone: float):
        sizes, below = map_sizes(chain, size), _before_filter_of_unit(chain)
        self.field, self.windows = whole_fields(chain, places, sizes), levels(chain, places, sizes)
        self.apart = _before_small_windows(chain[:below], self.windows)
        filters = {child: Filters(child) for child in chain[:below] if isinstance(child, nn.Conv2d)}
        self.groups = [
            _Group(units, _Passes(chain[: self.apart], windows, filters), windows)
            for units in groups(self.field, alone)
            for windows in [levels(chain, [places[unit] for unit in units], sizes)]
        ]
        self.upper = _Passes(chain[self.apart : below], self.windows[self.apart :], filters)
        self.last = chain[below:]

    def project(self, images: Tensor, maps: Tensor) -> Tensor:
        """Pixels (U, 3, *field.side) from the units' maps (U,) in images (U, 3, H, W)."""
        pixels = images.new_zeros(len(images), images.shape[1], *self.field.side)
        if self.groups:
            values = self.upper.up(self._up(images))
            values = _filter_of_unit(self.last, self.upper.top, values, maps) if self.last else _only(values, maps)
            self._down(self.upper.down(values), pixels)
        return pixels

    def _up(self, images: Tensor) -> Tensor:
        """Windows of all units where the groups end; 0 where a group has none, which is outside the map or read for nothing inside."""
        parts = [
            group.passes.up(_fields([images[unit] for unit in group.units], group.windows[0])) for group in self.groups
        ]
        level, maps = self.windows[self.apart], parts[0].shape[1]
        windows = parts[0].new_zeros(len(images), *level.side, maps).permute(0, 3, 1, 2)
        for group, part in zip(self.groups, parts, strict=True):
            windows[group.index(self.apart, level)] = part
        return windows

    def _down(self, windows: Tensor, pixels: Tensor) -> None:
        """From there to the pixels, written where they lie in the fields."""
        for group in self.groups:
            part = channels_last(windows[group.index(self.apart, self.windows[self.apart])])
            pixels[group.index(0, self.field)] = group.passes.down(part)


@dataclass(frozen=True)
class _Group:
    units: list[int]
    passes: _Passes
    windows: list[Level]  # of these units, below every child of the chain and above the last

    def index(self, child: int, level: Level) -> Index:
        """Where the group's windows below a child lie in the windows `level` of all units."""
        return index(self.windows[child], self.units, level)


class _Passes:
    """Up and down through some children; `windows` are below each of them, and above the last."""

    def __init__(self, chain: Sequence[nn.Module], windows: Sequence[Level], filters: dict[nn.Conv2d, Filters]):
        self.steps, self.filters = list(zip(chain, windows, strict=False)), filters
        self.top = windows[len(chain)]
        self.switches: dict[nn.Module, Tensor] = {}  # of every pooling, within its window

    def up(self, windows: Tensor) -> Tensor:
        """From windows of the first child's input to windows of the last one's output."""
        for child, level in self.steps:
            windows = self._do(child, level, windows)
        return windows

    def _do(self, child: nn.Module, level: Level, windows: Tensor) -> Tensor:
        """Without padding, which the border is."""
        if isinstance(child, nn.MaxPool2d):
            return self._pool(child, _with_border(windows, level, -torch.inf))
        if isinstance(child, nn.Conv2d):
            windows = _with_border(windows, level, 0.0)
            return functional.conv2d(windows, child.weight, child.bias, child.stride, 0, child.dilation, child.groups)
        if isinstance(child, nn.ReLU):
            return windows.relu_()
        return windows if isinstance(child, nn.Dropout) else child(windows)

    def _pool(self, pool: nn.MaxPool2d, windows: Tensor) -> Tensor:
        shape = (pool.kernel_size, pool.stride, 0, pool.dilation)
        pooled, self.switches[pool] = functional.max_pool2d(windows, *shape, return_indices=True)
        return pooled

    def down(self, windows: Tensor) -> Tensor:
        """From windows of the last child's output to windows of the first one's input."""
        for child, level in reversed(self.steps):
            windows = self._undo(child, level, windows)
        return windows

    def _undo(self, child: nn.Module, level: Level, windows: Tensor) -> Tensor:
        match operation(child):
            case "max unpooling":
                assert isinstance(child, nn.MaxPool2d)
                return _without_border(_unpool_windows(windows, self.switches[child], level.with_border, child), level)
            case "rectify":
                return windows.relu_()
            case "transposed filters":
                assert isinstance(child, nn.Conv2d)
                return _fill_outside(_without_border(transpose(windows, self.filters[child]), level), level, 0.0)
        return windows


def _fields(images: Sequence[Tensor], level: Level) -> Tensor:
    """(U, 3, h, w): what each unit sees of its image (3, H, W); 0 outside."""
    fields = images[0].new_zeros(len(images), *level.side, len(images[0]))
    for field, image, (top, left) in zip(fields, images, level.starts, strict=True):
        rows, columns = _overlap(top, level.side[0], image.shape[1]), _overlap(left, level.side[1], image.shape[2])
        field[rows[0], columns[0]] = image.permute(1, 2, 0)[rows[1], columns[1]]
    return fields.permute(0, 3, 1, 2)


def _before_small_windows(chain: Sequence[nn.Module], windows: Sequence[Level]) -> int:
    """How many children stand before the first convolution of which a few positions are needed: there the filters take the time."""
    small = (
        child
        for child, (conv, above) in enumerate(zip(chain, windows[1:], strict=False))
        if isinstance(conv, nn.Conv2d) and max(above.side) <= SMALL
    )
    return next(small, len(chain))


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
    values = (_with_border(windows, level, 0.0) * filters).sum((1, 2, 3))
    values = values if conv.bias is None else values + conv.bias[maps]
    values = values.relu() if any(isinstance(child, nn.ReLU) for child in others) else values
    down = _without_border(values[:, None, None, None] * filters, level)
    return _fill_outside(channels_last(down), level, 0.0)


def _only(values: Tensor, maps: Tensor) -> Tensor:
    """The units' values (U, C, 1, 1), of which map maps[u] is kept and all others are 0."""
    return values * functional.one_hot(maps, values.shape[1]).to(values.dtype)[:, :, None, None]


def _overlap(start: int, side: int, size: int) -> tuple[slice, slice]:
    """Along one axis, the overlap of a window and a map of `size`: slices in the window, in the map; empty if there are none."""
    low = max(start, 0)
    high = max(low, min(start + side, size))
    return slice(low - start, high - start), slice(low, high)


def _with_border(windows: Tensor, level: Level, value: float) -> Tensor:
    """What a child reads: windows with `value` outside the map, in place where they have no border."""
    windows = _fill_outside(windows, level, value)
    top, bottom, left, right = level.border
    return functional.pad(windows, (left, right, top, bottom), value=value) if any(level.border) else windows


def _without_border(windows: Tensor, level: Level) -> Tensor:
    (top, _, left, _), (rows, columns) = level.border, level.side
    return windows[:, :, top : top + rows, left : left + columns]


def _fill_outside(windows: Tensor, level: Level, value: float) -> Tensor:
    """In place; by stretches, since a mask would touch every position of every map."""
    for window, stretches in zip(windows, level.outside(), strict=True):
        for axis, first, length in stretches:
            window.narrow(axis + 1, first, length).fill_(value)
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
