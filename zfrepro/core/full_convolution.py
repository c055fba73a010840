"""Convolutions of small windows: every output that sees any of a window, with zeros around it.

Directly, or by Winograd's algorithm (Lavin and Gray, arXiv 1509.09308), here in the form of Toom and Cook. Along one axis a convolution is
a product of polynomials: a tile of p positions and a filter of r taps are evaluated at p + r - 2 points and at infinity, the values are
multiplied, and the coefficients of the products are interpolated. That takes p + r - 1 products instead of p * r. A filter with stride s
is a filter with stride 1 over maps of which the s * s positions of every step are channels of their own.
"""

from __future__ import annotations

import functools
import math
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from zfrepro.core.receptive_field import axes

POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)  # an order in which the first few keep the rounding errors small
COST_OF_A_VALUE = 80  # products that a CPU computes while it writes a value to memory and reads it again
LARGEST_SHARE = 0.9  # of the direct products; the estimate is not more accurate than that
VALUES_AT_ONCE = 2**24  # that the transforms write for one batch of windows: 64 MiB in float32
DTYPES = (torch.float32, torch.float64)  # shorter types would lose most of their digits in the transforms


class FullConvolution:
    """A convolution without bias, prepared for many windows. The size of a window decides by which algorithm it is computed.

    Transformed filters are kept, so the weights must not change afterwards.
    """

    def __init__(self, conv: nn.Conv2d):
        self.conv = conv
        self.pads = [-((1 - axis.kernel) // axis.stride) * axis.stride for axis in axes(conv)]  # on both sides
        self.products_per_position = conv.weight.numel() / math.prod(axis.stride for axis in axes(conv))
        self.algorithms = [Winograd(conv, tile) for tile in _tile_sides(conv)]
        # rows and columns of a window -> the fastest algorithm, None for the direct one
        self.fastest = functools.cache(self._find_fastest)

    def __call__(self, windows: Tensor) -> Tensor:
        """Outputs (B, out, ...) of windows (B, in, h, w) that begin where a filter does."""
        winograd = self.fastest(*windows.shape[2:])
        if winograd is not None:
            at_once = max(1, VALUES_AT_ONCE // winograd.count_moved(*windows.shape[2:]))
            return torch.cat([winograd(part) for part in torch.split(windows, at_once)])
        conv = self.conv
        return functional.conv2d(windows, conv.weight, None, conv.stride, self.pads, conv.dilation, conv.groups)

    def count_products(self, rows: int, columns: int) -> float:
        """Multiplications for a window of this size."""
        winograd = self.fastest(rows, columns)
        return self.count_direct_products(rows, columns) if winograd is None else winograd.count_products(rows, columns)

    def count_direct_products(self, rows: int, columns: int) -> float:
        """Multiplications of the filters with every position."""
        return self.products_per_position * rows * columns

    def _find_fastest(self, rows: int, columns: int) -> Winograd | None:
        most = LARGEST_SHARE * self.count_direct_products(rows, columns)
        counts = {winograd: winograd.count_products(rows, columns) for winograd in self.algorithms}
        fewer = {winograd: count for winograd, count in counts.items() if count < most}
        return min(fewer, key=fewer.__getitem__, default=None)


def _tile_sides(conv: nn.Conv2d) -> range:
    """Sides of the tiles that Winograd's algorithm can use for a convolution; none where it does not apply."""
    rows, columns = axes(conv)
    taps = -(-rows.kernel // rows.stride)
    plain = conv.groups == 1 and max(conv.dilation) == 1
    computed_here = conv.weight.device.type == "cpu" and conv.weight.dtype in DTYPES
    # otherwise the direct convolution has outputs that see nothing of the window
    aligned = (rows.kernel - 1) % rows.stride == 0
    square = (rows.kernel, rows.stride) == (columns.kernel, columns.stride)
    applies = plain and computed_here and square and aligned and taps > 1
    return range(2, len(POINTS) + 3 - taps) if applies else range(0)


class Winograd:
    """Winograd's algorithm with tiles of `tile` positions a side.

    Its filters take (values / taps)**2 times the memory of the convolution's, 4 times for 3x3 and tiles of 4.
    """

    def __init__(self, conv: nn.Conv2d, tile: int):
        self.conv, self.tile, self.stride = conv, tile, axes(conv)[0].stride
        self.taps = -(-axes(conv)[0].kernel // self.stride)
        self.values = tile + self.taps - 1

    def count_products(self, rows: int, columns: int) -> float:
        """For a window of this size; the transforms count by the values that they write."""
        _, below, above = self.filters_shape
        return self.count_values(rows, columns) * below * above + COST_OF_A_VALUE * self.count_moved(rows, columns)

    def count_moved(self, rows: int, columns: int) -> int:
        """Values that the transforms of a window write: of the maps below, of the products, and of the outputs."""
        _, below, above = self.filters_shape
        return self.count_values(rows, columns) * (below + 2 * above)

    def count_values(self, rows: int, columns: int) -> int:
        """Values at which the tiles of one map of a window are evaluated."""
        return self._count_tiles(rows) * self._count_tiles(columns) * self.values**2

    @property
    def filters_shape(self) -> tuple[int, int, int]:
        """(values**2, s * s * in, out)"""
        return self.values**2, self.stride**2 * self.conv.in_channels, self.conv.out_channels

    def _count_tiles(self, positions: int) -> int:
        """Along one axis; the last one is filled with zeros."""
        return -(-positions // (self.tile * self.stride))

    @cached_property
    def evaluation(self) -> Tensor:
        """(values**2, tile**2): evaluates a tile at all pairs of points."""
        return self._for_pairs(_powers(self.values, self.tile))

    @cached_property
    def interpolation(self) -> Tensor:
        """(values**2, values**2): from values at all pairs of points to the outputs that a tile reaches."""
        return self._for_pairs(torch.linalg.inv(_powers(self.values, self.values)))

    def _for_pairs(self, matrix: Tensor) -> Tensor:
        return torch.kron(matrix, matrix).to(self.conv.weight)

    @cached_property
    def filters(self) -> Tensor:
        """`filters_shape`: the filters at all pairs of points. torch's convolutions correlate, so the filters are flipped."""
        out, below, stride = self.conv.out_channels, self.conv.in_channels, self.stride
        missing = self.taps * stride - self.conv.weight.shape[2]
        padded = functional.pad(self.conv.weight.detach().double(), (0, missing, 0, missing))
        taps = padded.view(out, below, self.taps, stride, self.taps, stride).flip(2, 4)
        powers = _powers(self.values, self.taps)
        values = torch.einsum("ai,bj,kcisjt->abstck", powers, powers, taps)
        return values.reshape(self.filters_shape).to(self.conv.weight.dtype)

    def __call__(self, windows: Tensor) -> Tensor:
        """Outputs (B, out, ...) of windows (B, in, h, w)."""
        tiles = self._split(windows)
        values = torch.matmul(self.evaluation, tiles.flatten(5).flatten(3, 4).flatten(0, 2))
        products = torch.bmm(values.transpose(0, 1), self.filters)
        outputs = torch.matmul(self.interpolation, products.transpose(0, 1))
        sides = [-(-side // self.stride) + self.taps - 1 for side in windows.shape[2:]]
        return self._join(outputs.view(*tiles.shape[:3], self.values, self.values, -1), sides)

    def _split(self, windows: Tensor) -> Tensor:
        """(B, down, right, tile, tile, s, s, in): the tiles of every window, with zeros where the last ones end beyond it."""
        (rows, columns), stride, side = windows.shape[2:], self.stride, self.tile
        maps = windows.permute(0, 2, 3, 1)
        if rows % stride or columns % stride:
            maps = functional.pad(maps, (0, 0, 0, -columns % stride, 0, -rows % stride))
        count, rows, columns, channels = maps.shape
        maps = maps.reshape(count, rows // stride, stride, columns // stride, stride, channels).transpose(2, 3)
        whole = not (maps.shape[1] % side or maps.shape[2] % side)
        create = windows.new_empty if whole else windows.new_zeros
        tiles = create(len(maps), self._count_tiles(rows), self._count_tiles(columns), side, side, *maps.shape[3:])
        for row in range(tiles.shape[1]):
            for column in range(tiles.shape[2]):
                part = maps[:, row * side :, column * side :][:, :side, :side]
                tiles[:, row, column, : part.shape[1], : part.shape[2]] = part
        return tiles

    def _join(self, tiles: Tensor, sides: list[int]) -> Tensor:
        """The sum of the outputs (B, down, right, values, values, out) of all tiles of a window: neighbours overlap by taps - 1."""
        outputs = tiles.new_zeros(len(tiles), *sides, tiles.shape[-1])
        for row in range(tiles.shape[1]):
            for column in range(tiles.shape[2]):
                target = outputs[:, row * self.tile :, column * self.tile :][:, : self.values, : self.values]
                target += tiles[:, row, column, : target.shape[1], : target.shape[2]]
        return outputs.permute(0, 3, 1, 2)


def _powers(values: int, coefficients: int) -> Tensor:
    """(values, coefficients), float64: evaluates a polynomial at the points and, last, at infinity, which gives its last coefficient."""
    powers = torch.zeros(values, coefficients, dtype=torch.float64)
    powers[:-1] = torch.tensor(POINTS[: values - 1], dtype=torch.float64)[:, None] ** torch.arange(coefficients)
    powers[-1, -1] = 1
    return powers
