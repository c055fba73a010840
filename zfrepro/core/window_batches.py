"""Windows of one image's maps, one per position of a change, as batches: read, compared with the clean maps, recomputed, summed.

The positions of a batch are a rectangle of their grid, so every row position goes with every column position, row by row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from zfrepro.core.full_convolution import FullConvolution
from zfrepro.core.receptive_field import axes
from zfrepro.core.windows import Axis


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

    @classmethod
    def union(cls, several: list[Spans], count: int) -> Spans:
        """Windows around all that changed in several inputs of an operation."""
        return cls.around(
            [around_all(parts) for parts in zip(*(spans.changed for spans in several), strict=True)], count
        )

    def through(self, axis: Axis, count: int) -> Spans:
        """The windows that these reach, of `count` outputs."""
        return Spans.around([axis.reached(low, high, count) for low, high in self.changed], count)


def around_all(intervals: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The smallest interval that holds several; empty ones do not count."""
    intervals = list(intervals)
    full = [(low, high) for low, high in intervals if high > low] or intervals[:1]
    return min(low for low, _ in full), max(high for _, high in full)


Pool = nn.MaxPool2d | nn.AvgPool2d
Window = tuple[Spans, Spans]  # rows, columns; a batch holds every row position with every column position, row by row


def pool_windows(pool: Pool, bordered: Tensor, patches: Tensor, below: Window, above: Window) -> Tensor:
    """The pooling's new output in the windows `above`; `bordered` is what `with_border` makes of the clean maps below it."""
    pool_axes = axes(pool)
    rows, columns = (
        Spans([], [axis.first_input(start) for start in spans.starts], axis.span(spans.width))
        for axis, spans in zip(pool_axes, above, strict=True)
    )
    windows = read(bordered, (pool_axes[0].pad, pool_axes[1].pad), (rows, columns), patches, below)
    if isinstance(pool, nn.AvgPool2d):
        return functional.avg_pool2d(windows, pool.kernel_size, pool.stride, divisor_override=pool.divisor_override)
    return functional.max_pool2d(windows, pool.kernel_size, pool.stride, 0, pool.dilation)


def with_border(pool: Pool, below: Tensor, above: Tensor) -> Tensor:
    """The clean maps (1, C, H, W) below a pooling, with what its windows read beside them: none can be the largest, or all are 0."""
    value = -torch.inf if isinstance(pool, nn.MaxPool2d) else 0.0
    return functional.pad(below, _border(axes(pool), below, above), value=value)


def _border(pool_axes: tuple[Axis, Axis], below: Tensor, above: Tensor) -> list[int]:
    """left, right, top, bottom: what the windows read outside the map."""
    border = []
    for axis, count, size in reversed(list(zip(pool_axes, above.shape[2:], below.shape[2:], strict=True))):
        start = axis.first_input(0)
        border += [-start, max(0, start + axis.span(count) - size)]
    return border


def convolve(
    full: FullConvolution, clean: tuple[Tensor, Tensor], patches: Tensor, below: Window, above: Window
) -> Tensor:
    """The convolution's new output in the windows `above`; `clean` are the maps (H, W, C) below and above it.

    That is the clean output plus the filters over what changed below; the zeros around that are skipped, not multiplied.
    """
    conv_axes = axes(full.conv)
    shifts = [
        [(start + axis.pad) % axis.stride for start in spans.starts]
        for axis, spans in zip(conv_axes, below, strict=True)
    ]
    change = full(_difference(clean[0], patches, below, shifts))
    changed = [
        Spans([], [(start - shift + axis.pad - pad) // axis.stride for start, shift in zip(spans.starts, axis_shifts, strict=True)], width)
        for axis, spans, axis_shifts, pad, width in zip(conv_axes, below, shifts, full.pads, change.shape[2:], strict=True)
    ]  # fmt: skip
    return read(clean[1], (0, 0), above, change, (changed[0], changed[1]), add=True)


def _difference(clean: Tensor, patches: Tensor, window: Window, shifts: list[list[int]]) -> Tensor:
    """(B, C, h, w) patches less the clean maps, each moved by its shift, so that the strides of all fall alike."""
    rows, columns = window
    height, width = rows.width + max(shifts[0]), columns.width + max(shifts[1])
    moved = max(shifts[0]) or max(shifts[1])
    empty = patches.new_zeros if moved else patches.new_empty
    change = empty(len(patches), height, width, clean.shape[2])
    pairs = zip(change.unbind(), pixels(patches).unbind(), strict=True)
    for top, down in zip(rows.starts, shifts[0], strict=True):
        band = clean.narrow(0, top, rows.width)
        for left, right in zip(columns.starts, shifts[1], strict=True):
            full, new = next(pairs)
            target = full.narrow(0, down, rows.width).narrow(1, right, columns.width) if moved else full
            torch.sub(new, band.narrow(1, left, columns.width), out=target)
    return change.permute(0, 3, 1, 2)


def read(
    clean: Tensor, border: tuple[int, int], window: Window, patches: Tensor, patch_window: Window, add: bool = False
) -> Tensor:
    """(B, C, h, w): windows of `clean` (H, W, C), with the patches that lie at `patch_window` on them, instead or added.

    `clean` begins `border` rows and columns before position 0.
    """
    (rows, columns), (patch_rows, patch_columns) = window, patch_window
    windows = clean.new_empty(len(patches), rows.width, columns.width, clean.shape[2])
    vertical, horizontal = _overlaps(rows, patch_rows), _overlaps(columns, patch_columns)
    pairs = zip(windows.unbind(), pixels(patches).unbind(), strict=True)
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


def sum_maps(total: Tensor, patches: Tensor, window: Window) -> Tensor:
    """Sums over space (B, C) of whole maps: the clean sum, less the clean window's, and the new one's.

    total (H + 1, W + 1, C), float64: sums over the clean map's first rows and columns.
    """
    rows, columns = (torch.tensor(spans.starts, device=total.device) for spans in window)
    rows, columns, (height, width) = rows[:, None], columns[None], (span.width for span in window)
    below, right = rows + height, columns + width
    old = total[below, right] - total[rows, right] - total[below, columns] + total[rows, columns]
    return (total[-1, -1] - old.flatten(0, 1) + patches.sum(dim=(2, 3))).to(patches.dtype)


def entire(clean: Tensor, window: Window) -> Window:
    rows, columns = window
    return Spans.full(len(rows.starts), clean.shape[0]), Spans.full(len(columns.starts), clean.shape[1])


def pixels(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C), contiguous"""
    return maps.permute(0, 2, 3, 1).contiguous()
