"""Transposed filters of windows without padding, in the fastest of three ways, for the deconvnet pass."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.utils import _pair as pair

SMALL = 7  # positions a side up to which transposed filters are one product of matrices
FEW = 16  # maps, too few for convolutions of their own


def channels_last(windows: Tensor) -> Tensor:
    return windows.contiguous(memory_format=torch.channels_last)


class Filters:
    """A convolution's filters (out, in, h, w) for the deconvnet pass, laid out for each way of transposing when it is first taken."""

    def __init__(self, conv: nn.Conv2d):
        self.conv, self.weight, self.stride = conv, conv.weight, pair(conv.stride)[0]

    @cached_property
    def matrix(self) -> Tensor:
        """(out, h * w * in)"""
        return self.weight.permute(0, 2, 3, 1).reshape(len(self.weight), -1)

    @cached_property
    def apart(self) -> dict[tuple[int, int], Tensor]:
        """By row and column of a pixel among the s * s that share a position, the part of the filter that it sees: (in, out, ...)."""
        return {
            (row, column): channels_last(
                self.weight[:, :, row :: self.stride, column :: self.stride].flip(2, 3).transpose(0, 1)
            )
            for row in range(min(self.stride, self.weight.shape[2]))
            for column in range(min(self.stride, self.weight.shape[3]))
        }

    @cached_property
    def together(self) -> Tensor:
        """(in * s * s, out, ...), the parts one after another, with zeros where the stride s does not divide the filter."""
        (height, width), stride = self.weight.shape[2:], self.stride
        high, wide = -(-height // stride), -(-width // stride)
        padded = functional.pad(self.weight, (0, wide * stride - width, 0, high * stride - height))
        shape = (*padded.shape[:2], high, stride, wide, stride)  # out, in, high, stride, wide, stride
        return channels_last(padded.view(shape).permute(1, 3, 5, 0, 2, 4).flatten(0, 2).flip(2, 3))

    def reached(self, windows: Tensor) -> tuple[int, int]:
        """Rows and columns of the input that the windows of the output see."""
        rows, columns = (
            (side - 1) * self.stride + kernel
            for side, kernel in zip(windows.shape[2:], self.weight.shape[2:], strict=True)
        )
        return rows, columns


def transpose(windows: Tensor, filters: Filters) -> Tensor:
    """Transposed filters, in the fastest of three ways; oneDNN's own transposed convolution is several times slower."""
    conv = filters.conv
    if conv.groups > 1 or pair(conv.dilation) != (1, 1) or len(set(pair(conv.stride))) > 1:
        return functional.conv_transpose2d(windows, conv.weight, None, conv.stride, 0, 0, conv.groups, conv.dilation)
    if max(windows.shape[2:]) <= SMALL:
        return _transpose_by_products(windows, filters)
    return (_transpose_together if conv.in_channels < FEW else _transpose_apart)(windows, filters)


def _transpose_by_products(windows: Tensor, filters: Filters) -> Tensor:
    """One product of matrices, then a sum of shifted maps for every position of the filter: no filter is copied."""
    count, outputs, rows, columns = windows.shape
    (height, width), stride = filters.weight.shape[2:], filters.stride
    products = windows.permute(0, 2, 3, 1).reshape(-1, outputs) @ filters.matrix
    parts = products.view(count, rows, columns, height, width, -1)
    pixels = windows.new_zeros(count, *filters.reached(windows), parts.shape[-1])
    for row in range(height):
        for column in range(width):
            seen = pixels[:, row::stride, column::stride][:, :rows, :columns]
            seen += parts[:, :, :, row, column]
    return pixels.permute(0, 3, 1, 2)


def _transpose_apart(windows: Tensor, filters: Filters) -> Tensor:
    """A plain convolution for each of the s * s pixels that share a position, s the stride, with the part of the filter that it sees."""
    size, stride = (*filters.reached(windows), filters.weight.shape[1]), filters.stride
    pixels = windows.new_zeros(len(windows), *size).permute(0, 3, 1, 2)
    for (row, column), part in filters.apart.items():
        pixels[:, :, row::stride, column::stride] = _full(windows, part)
    return pixels


def _transpose_together(windows: Tensor, filters: Filters) -> Tensor:
    """One plain convolution of which each of the s * s pixels that share a position is an output: better with few colours."""
    rows, columns = filters.reached(windows)
    return functional.pixel_shuffle(_full(windows, filters.together), filters.stride)[..., :rows, :columns]


def _full(windows: Tensor, filters: Tensor) -> Tensor:
    """All outputs that see any of the windows."""
    return functional.conv2d(windows, filters, padding=(filters.shape[2] - 1, filters.shape[3] - 1))
