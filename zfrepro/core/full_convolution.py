"""Convolutions of small windows: every output that sees any of a window, with zeros around it.

Along one axis that is a product of polynomials: a window cut into pieces of p positions and a filter of r taps are evaluated at
p + r - 2 points and at infinity, the values multiplied, and the products' coefficients found by interpolation. So p + r - 1 products
take the place of p * r (Toom and Cook; for neural networks Winograd's algorithm: Lavin and Gray, arXiv 1509.09308). A filter with a
stride s is a filter without stride over maps of which the s * s positions of every step are channels of their own.
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
MOVED = 80  # products that a CPU computes while it writes a value to memory and reads it again
WORTH = 0.9  # of the direct products; the estimate is no better than that
EXACT = (torch.float32, torch.float64)  # in shorter types the evaluated windows would lose what little they have


class FullConvolution:
    """A convolution without bias made ready for many windows. It takes the way with the fewest products for a window's size."""

    def __init__(self, conv: nn.Conv2d):
        self.conv = conv
        self.pads = [-((1 - axis.kernel) // axis.stride) * axis.stride for axis in axes(conv)]  # on both sides
        self.products_of_a_position = conv.weight.numel() / math.prod(axis.stride for axis in axes(conv))
        self.ways = [Polynomials(conv, piece) for piece in _pieces(conv)]
        # rows and columns of a window -> the polynomials that it is computed by, or None where the filters are as fast
        self.fastest = functools.cache(self._find_fastest)

    def __call__(self, windows: Tensor) -> Tensor:
        """Outputs (B, out, ...) of windows (B, in, h, w) that begin where a filter does."""
        way = self.fastest(*windows.shape[2:])
        if way is not None:
            return way(windows)
        conv = self.conv
        return functional.conv2d(windows, conv.weight, None, conv.stride, self.pads, conv.dilation, conv.groups)

    def products(self, rows: int, columns: int) -> float:
        """Multiplications for a window of so many positions."""
        way = self.fastest(rows, columns)
        return self.direct(rows, columns) if way is None else way.products(rows, columns)

    def fast(self, rows: int, columns: int) -> bool:
        """Whether fewer products are taken than the filters have."""
        return self.fastest(rows, columns) is not None

    def direct(self, rows: int, columns: int) -> float:
        """Multiplications of the filters with every position."""
        return self.products_of_a_position * rows * columns

    def _find_fastest(self, rows: int, columns: int) -> Polynomials | None:
        fewest = min(self.ways, key=lambda way: way.products(rows, columns), default=None)
        worth = fewest is not None and fewest.products(rows, columns) < WORTH * self.direct(rows, columns)
        return fewest if worth else None


def _pieces(conv: nn.Conv2d) -> range:
    """Lengths of the pieces that a convolution's windows may be cut into; none where the filter is no product of polynomials."""
    rows, columns = axes(conv)
    taps = -(-rows.kernel // rows.stride)
    plain = conv.groups == 1 and max(conv.dilation) == 1
    worth = conv.weight.device.type == "cpu" and conv.weight.dtype in EXACT
    fits = (rows.kernel - 1) % rows.stride == 0  # else the direct way has outputs that see nothing of the window
    alike = (rows.kernel, rows.stride) == (columns.kernel, columns.stride)
    return range(2, len(POINTS) + 3 - taps) if plain and worth and alike and fits and taps > 1 else range(0)


class Polynomials:
    """A convolution by polynomials, with pieces of `piece` positions a side. Its filters take up (values / taps)**2 times the memory."""

    def __init__(self, conv: nn.Conv2d, piece: int):
        self.conv, self.piece, self.stride = conv, piece, axes(conv)[0].stride
        self.taps = -(-axes(conv)[0].kernel // self.stride)
        self.values = piece + self.taps - 1

    def products(self, rows: int, columns: int) -> float:
        """Of the maps for a window of so many positions, and as many as go by while values are moved from step to step."""
        below, above = self.filters_shape[1:]
        return self.points(rows, columns) * (below * above + MOVED * (below + 2 * above))

    def points(self, rows: int, columns: int) -> int:
        """Pairs of points at which a window's pieces are evaluated."""
        return self._count(rows) * self._count(columns) * self.filters_shape[0]

    @property
    def filters_shape(self) -> tuple[int, int, int]:
        """Of the filters at all pairs of points: (values**2, s * s * in, out)."""
        return self.values**2, self.stride**2 * self.conv.in_channels, self.conv.out_channels

    def _count(self, positions: int) -> int:
        """Pieces of a window, the last one filled with zeros."""
        return -(-positions // (self.piece * self.stride))

    @cached_property
    def evaluation(self) -> Tensor:
        """(values**2, piece**2): of a piece at all pairs of points."""
        return self._of_pairs(_powers(self.values, self.piece))

    @cached_property
    def interpolation(self) -> Tensor:
        """(values**2, values**2): from values at all pairs of points to the outputs that a piece reaches."""
        return self._of_pairs(torch.linalg.inv(_powers(self.values, self.values)))

    def _of_pairs(self, matrix: Tensor) -> Tensor:
        return torch.kron(matrix, matrix).to(self.conv.weight)

    @cached_property
    def filters(self) -> Tensor:
        """The filters at all pairs of points. A convolution reads backwards, so they are turned round."""
        out, below, stride = self.conv.out_channels, self.conv.in_channels, self.stride
        missing = self.taps * stride - self.conv.weight.shape[2]
        padded = functional.pad(self.conv.weight.detach().double(), (0, missing, 0, missing))
        taps = padded.view(out, below, self.taps, stride, self.taps, stride).flip(2, 4)
        at = _powers(self.values, self.taps)
        found = torch.einsum("ai,bj,kcisjt->abstck", at, at, taps)
        return found.reshape(self.filters_shape).to(self.conv.weight.dtype)

    def __call__(self, windows: Tensor) -> Tensor:
        """Outputs (B, out, ...) of windows (B, in, h, w)."""
        pieces = self._cut(windows)
        values = torch.matmul(self.evaluation, pieces.flatten(5).flatten(3, 4).flatten(0, 2))
        products = torch.bmm(values.transpose(0, 1), self.filters)
        reached = torch.matmul(self.interpolation, products.transpose(0, 1))
        sides = [-(-side // self.stride) + self.taps - 1 for side in windows.shape[2:]]
        return self._add(reached.view(*pieces.shape[:3], self.values, self.values, -1), sides)

    def _cut(self, windows: Tensor) -> Tensor:
        """(B, down, right, piece, piece, s, s, in): the pieces of every window, with zeros where the last ones end beyond it."""
        (rows, columns), stride, piece = windows.shape[2:], self.stride, self.piece
        maps = windows.permute(0, 2, 3, 1)
        if rows % stride or columns % stride:
            maps = functional.pad(maps, (0, 0, 0, -columns % stride, 0, -rows % stride))
        count, rows, columns, channels = maps.shape
        maps = maps.reshape(count, rows // stride, stride, columns // stride, stride, channels).transpose(2, 3)
        whole = not (maps.shape[1] % piece or maps.shape[2] % piece)
        make = windows.new_empty if whole else windows.new_zeros
        pieces = make(len(maps), self._count(rows), self._count(columns), piece, piece, *maps.shape[3:])
        for row in range(pieces.shape[1]):
            for column in range(pieces.shape[2]):
                part = maps[:, row * piece :, column * piece :][:, :piece, :piece]
                pieces[:, row, column, : part.shape[1], : part.shape[2]] = part
        return pieces

    def _add(self, reached: Tensor, sides: list[int]) -> Tensor:
        """The sum of what all pieces (B, down, right, values, values, out) reach: neighbours overlap by taps - 1."""
        outputs = reached.new_zeros(len(reached), *sides, reached.shape[-1])
        for row in range(reached.shape[1]):
            for column in range(reached.shape[2]):
                target = outputs[:, row * self.piece :, column * self.piece :][:, : self.values, : self.values]
                target += reached[:, row, column, : target.shape[1], : target.shape[2]]
        return outputs.permute(0, 3, 1, 2)


def _powers(values: int, coefficients: int) -> Tensor:
    """(values, coefficients), float64: a polynomial's values at the points, the last at infinity, which is its last coefficient."""
    powers = torch.zeros(values, coefficients, dtype=torch.float64)
    powers[:-1] = torch.tensor(POINTS[: values - 1], dtype=torch.float64)[:, None] ** torch.arange(coefficients)
    powers[-1, -1] = 1
    return powers
