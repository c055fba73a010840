"""Predict many small changes of one image exactly, recomputing only the window of each layer that a change can reach.

The clean pass is kept layer by layer. A changed rectangle reaches a window of every convolution's and pooling's output.
A convolution is linear: its clean output plus its filters over the difference, which is zero outside the window below, is
its new output. A pooling is applied to the clean maps with the window pasted in. Positions are taken in small rectangles
of their grid, so that the windows of a batch have nearly one size.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from zfrepro.core.nets import CeilConv2d
from zfrepro.core.normalisation import CrossMapNorm
from zfrepro.core.receptive_field import axes
from zfrepro.core.windows import Axis

ELEMENTWISE = (nn.ReLU, nn.Dropout, nn.Identity, CrossMapNorm, nn.LocalResponseNorm)


@dataclass(frozen=True)
class Spans:
    """Along one axis: where every position's change lies, and the window of one width that is computed for each."""

    changed: list[tuple[int, int]]  # first, one past last
    starts: list[int]
    width: int

    @classmethod
    def around(cls, changed: list[tuple[int, int]], count: int) -> Spans:
        """Windows as wide as the widest change, inside 0 ... count; one place, not changed, where none reaches any."""
        width = max(1, *(high - low for low, high in changed))
        return cls(changed, [min(low, count - width) for low, _ in changed], width)

    @classmethod
    def full(cls, positions: int, count: int) -> Spans:
        return cls([(0, count)] * positions, [0] * positions, count)

    def through(self, axis: Axis, count: int) -> Spans:
        """The windows that these reach, of `count` outputs."""
        return Spans.around([axis.reached(low, high, count) for low, high in self.changed], count)


Window = tuple[Spans, Spans]  # rows, columns; a batch holds every row position with every column position, row by row


@dataclass(frozen=True)
class Step:
    """One child with the clean maps (H, W, C) below and above it."""

    name: str
    child: nn.Module
    axes: tuple[Axis, Axis] | None  # windows along rows and columns; None of a child that works value by value
    below: Tensor  # of a pooling: bordered, so that every window lies inside
    above: Tensor

    @classmethod
    def build(cls, name: str, child: nn.Module, below: Tensor, above: Tensor) -> Step:
        child_axes = axes(child) if isinstance(child, nn.Conv2d | nn.MaxPool2d) else None
        if isinstance(child, nn.MaxPool2d):
            below = functional.pad(below, _border(axes(child), below, above), value=-torch.inf)
        return cls(name, child, child_axes, _pixels(below)[0], _pixels(above)[0])


class CleanPass:
    """One image's forward pass through `body`, whose children all work on windows (see `split`).

    `layer` names the child whose maps are summed over space; ValueError where the body has none of that name.
    """

    def __init__(self, body: nn.Sequential, image: Tensor, layer: str):
        self.layer = layer
        self.steps: list[Step] = []
        maps = image[None]
        for name, child in body.named_children():
            below = maps
            maps = functional.relu(maps) if type(child) is nn.ReLU else child(maps)  # never in place: `below` is kept
            self.steps.append(Step.build(name, child, below, maps))
        watched = [step.above for step in self.steps if step.name == layer]
        if not watched:
            raise ValueError(f"no layer {layer} among {', '.join(step.name for step in self.steps)}")
        self.total = functional.pad(watched[0].double().cumsum(0).cumsum(1), (0, 0, 1, 0, 1, 0))

    def group(self, starts: list[int], size: int, direction: int, largest: int) -> list[list[int]]:
        """Tops (direction 0) or lefts (1) of changes `size` pixels long, in groups whose windows have nearly one size.

        Windows of a group are as large as the largest, so the groups, at most `largest` positions each, are cut where that costs least.
        """
        reached = {start: self._reached_widths(start, size, direction) for start in starts}
        ordered = sorted(starts, key=lambda start: reached[start][::-1])
        lowest, cuts = [0.0], [0]
        for end in range(1, len(ordered) + 1):
            first = range(max(0, end - largest), end)
            costs = [lowest[i] + self._cost([reached[start] for start in ordered[i:end]], direction) for i in first]
            lowest.append(min(costs))
            cuts.append(first[costs.index(min(costs))])
        groups, end = [], len(ordered)
        while end:
            groups.append(ordered[cuts[end] : end])
            end = cuts[end]
        return groups[::-1]

    def _reached_widths(self, start: int, size: int, direction: int) -> list[int]:
        """Widths of the windows that a change reaches: below every convolution and pooling, and above the last."""
        span, widths = (start, start + size), [size]
        for step in self.steps:
            if step.axes is not None:
                span = step.axes[direction].reached(*span, step.above.shape[direction])
                widths.append(span[1] - span[0])
        return widths

    def _cost(self, widths: list[list[int]], direction: int) -> float:
        """Products that the convolutions take for a group of such windows, if square; a group costs half a position more."""
        children = [step.child for step in self.steps if step.axes is not None]
        largest = [max(sizes) for sizes in zip(*widths, strict=True)]
        products = sum(
            child.weight.numel() * float((width / axes(child)[direction].stride) ** 2)
            for child, width in zip(children, largest[:-1], strict=True)
            if isinstance(child, nn.Conv2d)
        )
        return (len(widths) + 0.5) * products

    def changed(self, patches: Tensor, tops: list[int], lefts: list[int]) -> tuple[Tensor, Tensor]:
        """The body's new output (B, C, H, W), and the sums (B, maps) of `layer`.

        patches (B, 3, h, w) replace the image's pixels from (top, left) on: every top with every left, top by top.
        """
        height, width = patches.shape[2:]
        window = (
            Spans([(top, top + height) for top in tops], tops, height),
            Spans([(left, left + width) for left in lefts], lefts, width),
        )
        patches = patches.clone(memory_format=torch.channels_last)
        for step in self.steps:
            patches, window = _through(step, patches, window)
            if step.name == self.layer:
                sums = _sums(self.total, patches, window)
        return _read(self.steps[-1].above, (0, 0), _entire(self.steps[-1].above, window), patches, window), sums


def _through(step: Step, patches: Tensor, below: Window) -> tuple[Tensor, Window]:
    """A child's new outputs, and where they lie, from its new inputs (B, C, h, w) in the window `below`."""
    if type(step.child) is nn.ReLU:
        return patches.relu_(), below
    if step.axes is None:
        return step.child(patches), below
    rows, columns = (
        spans.through(axis, count) for spans, axis, count in zip(below, step.axes, step.above.shape[:2], strict=True)
    )
    if isinstance(step.child, nn.MaxPool2d):
        return _pool(step, step.child, patches, below, (rows, columns)), (rows, columns)
    assert isinstance(step.child, nn.Conv2d)
    return _convolve(step, step.child, patches, below, (rows, columns)), (rows, columns)


def _pool(step: Step, pool: nn.MaxPool2d, patches: Tensor, below: Window, above: Window) -> Tensor:
    pool_axes = axes(pool)
    rows, columns = (
        Spans([], [axis.first_input(start) for start in spans.starts], axis.span(spans.width))
        for axis, spans in zip(pool_axes, above, strict=True)
    )
    windows = _read(step.below, (pool_axes[0].pad, pool_axes[1].pad), (rows, columns), patches, below)
    return functional.max_pool2d(windows, pool.kernel_size, pool.stride, 0, pool.dilation)


def _border(pool_axes: tuple[Axis, Axis], below: Tensor, above: Tensor) -> list[int]:
    """left, right, top, bottom: what the windows read outside the map."""
    border = []
    for axis, count, size in reversed(list(zip(pool_axes, above.shape[2:], below.shape[2:], strict=True))):
        start = axis.first_input(0)
        border += [-start, max(0, start + axis.span(count) - size)]
    return border


def _convolve(step: Step, conv: nn.Conv2d, patches: Tensor, below: Window, above: Window) -> Tensor:
    """The clean output, plus the filters over what changed below; the zeros around that are skipped, not multiplied."""
    conv_axes = axes(conv)
    shifts = [
        [(start + axis.pad) % axis.stride for start in spans.starts]
        for axis, spans in zip(conv_axes, below, strict=True)
    ]
    pads = [
        -((1 - axis.kernel) // axis.stride) * axis.stride for axis in conv_axes
    ]  # all outputs that read any of it, on both sides
    change = functional.conv2d(
        _difference(step.below, patches, below, shifts),
        conv.weight,
        None,
        conv.stride,
        pads,
        conv.dilation,
        conv.groups,
    )
    changed = [
        Spans([], [(start - shift + axis.pad - pad) // axis.stride for start, shift in zip(spans.starts, axis_shifts, strict=True)], width)
        for axis, spans, axis_shifts, pad, width in zip(conv_axes, below, shifts, pads, change.shape[2:], strict=True)
    ]  # fmt: skip
    return _read(step.above, (0, 0), above, change, (changed[0], changed[1]), add=True)


def _difference(clean: Tensor, patches: Tensor, window: Window, shifts: list[list[int]]) -> Tensor:
    """(B, C, h, w) patches less the clean maps, each moved by its shift, so that the strides of all fall alike."""
    rows, columns = window
    height, width = rows.width + max(shifts[0]), columns.width + max(shifts[1])
    moved = max(shifts[0]) or max(shifts[1])
    empty = patches.new_zeros if moved else patches.new_empty
    change = empty(len(patches), height, width, clean.shape[2])
    pairs = zip(change.unbind(), _pixels(patches).unbind(), strict=True)
    for top, down in zip(rows.starts, shifts[0], strict=True):
        band = clean.narrow(0, top, rows.width)
        for left, right in zip(columns.starts, shifts[1], strict=True):
            full, new = next(pairs)
            target = full.narrow(0, down, rows.width).narrow(1, right, columns.width) if moved else full
            torch.sub(new, band.narrow(1, left, columns.width), out=target)
    return change.permute(0, 3, 1, 2)


def _read(
    clean: Tensor, border: tuple[int, int], window: Window, patches: Tensor, patch_window: Window, add: bool = False
) -> Tensor:
    """(B, C, h, w): windows of `clean` (H, W, C), with the patches that lie at `patch_window` on them, instead or added.

    `clean` begins `border` rows and columns before position 0.
    """
    (rows, columns), (patch_rows, patch_columns) = window, patch_window
    windows = clean.new_empty(len(patches), rows.width, columns.width, clean.shape[2])
    vertical, horizontal = _overlaps(rows, patch_rows), _overlaps(columns, patch_columns)
    pairs = zip(windows.unbind(), _pixels(patches).unbind(), strict=True)
    for top, (to_row, from_row, high) in zip(rows.starts, vertical, strict=True):
        band = clean.narrow(0, top + border[0], rows.width)
        for left, (to_column, from_column, wide) in zip(columns.starts, horizontal, strict=True):
            output, new = next(pairs)
            old = band.narrow(1, left + border[1], columns.width)
            if new.shape[0] != high or new.shape[1] != wide:
                new = new.narrow(0, from_row, high).narrow(1, from_column, wide)
            if add and new.shape == old.shape:
                torch.add(old, new, out=output)
            else:
                output.copy_(old)
                target = output.narrow(0, to_row, high).narrow(1, to_column, wide)
                target.add_(new) if add else target.copy_(new)
    return windows.permute(0, 3, 1, 2)


def _overlaps(spans: Spans, others: Spans) -> list[tuple[int, int, int]]:
    """Where the overlap of two windows begins in the first and in the second, and its length; zeros without overlap."""
    overlaps = []
    for start, other in zip(spans.starts, others.starts, strict=True):
        low = max(start, other)
        shared = min(start + spans.width, other + others.width) - low
        overlaps.append((low - start, low - other, shared) if shared > 0 else (0, 0, 0))
    return overlaps


def _sums(total: Tensor, patches: Tensor, window: Window) -> Tensor:
    """Sums over space (B, C) of whole maps: the clean sum, less the clean window's, and the new one's.

    total (H + 1, W + 1, C), float64: sums over the clean map's first rows and columns.
    """
    rows, columns = (torch.tensor(spans.starts, device=total.device) for spans in window)
    rows, columns, (height, width) = rows[:, None], columns[None], (span.width for span in window)
    below, right = rows + height, columns + width
    old = total[below, right] - total[rows, right] - total[below, columns] + total[rows, columns]
    return (total[-1, -1] - old.flatten(0, 1) + patches.sum(dim=(2, 3))).to(patches.dtype)


def _entire(clean: Tensor, window: Window) -> Window:
    rows, columns = window
    return Spans.full(len(rows.starts), clean.shape[0]), Spans.full(len(columns.starts), clean.shape[1])


def _pixels(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C), contiguous"""
    return maps.permute(0, 2, 3, 1).contiguous()


def split(net: nn.Sequential) -> tuple[nn.Sequential, nn.Sequential]:
    """The children that work on windows, up to the first that does not; and the others, which see whole maps."""
    children = list(net.named_children())
    first = next((i for i, (_, child) in enumerate(children) if not _local(child)), len(children))
    return nn.Sequential(OrderedDict(children[:first])), nn.Sequential(OrderedDict(children[first:]))


def _local(child: nn.Module) -> bool:
    """Exact types, since a subclass may compute anything."""
    if type(child) in (nn.Conv2d, CeilConv2d):
        return child.padding_mode == "zeros" and not isinstance(child.padding, str)
    return type(child) in (nn.MaxPool2d, *ELEMENTWISE)
