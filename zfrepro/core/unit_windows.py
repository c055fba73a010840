"""Where the windows of single units lie in every map of a chain, cut to the maps, and which units' windows go together.

Near the border of the image a third or more of a receptive field lies outside, where nothing is to be computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from zfrepro.core.receptive_field import axes

Places = list[tuple[int, int]]  # row and column of every unit
Index = tuple[list[int], slice, slice, slice]  # of (U, C, h, w)


@dataclass(frozen=True)
class Level:
    """Windows of one map of the chain, one per unit: each `side` (rows, columns) long from its own start on.

    The child above also reads a border of (rows before, rows behind, columns before, columns behind), outside the map for all units.
    """

    starts: Places
    side: tuple[int, int]
    size: tuple[int, int]  # of the whole map
    border: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def with_border(self) -> tuple[int, int]:
        """Rows and columns that the child above reads."""
        top, bottom, left, right = self.border
        return self.side[0] + top + bottom, self.side[1] + left + right

    def outside(self) -> list[list[tuple[int, int, int]]]:
        """Of every unit, the stretches of its window outside the map, mostly none: axis (0 rows, 1 columns), first position, length."""
        return [
            [
                (axis, *stretch)
                for axis in (0, 1)
                for stretch in _outside(corner[axis], self.side[axis], self.size[axis])
            ]
            for corner in self.starts
        ]


def _inside(start: int, side: int, size: int) -> tuple[int, int]:
    """Along one axis: first position in the window, and one past the last, that lies on a map of `size`."""
    return min(max(-start, 0), side), min(max(size - start, 0), side)


def _outside(start: int, side: int, size: int) -> list[tuple[int, int]]:
    """Along one axis: first position in the window, and length, of what is before and behind a map of `size`."""
    first, last = _inside(start, side, size)
    return [(low, high - low) for low, high in ((0, first), (last, side)) if low < high]


def levels(chain: Sequence[nn.Module], places: Places, sizes: Sequence[tuple[int, int]]) -> list[Level]:
    """Below every child, and above the last, for units at `places` of the last map; `sizes` of all maps as `map_sizes` gives them."""
    found = [Level(places, (1, 1), sizes[-1])]
    for child, size in zip(reversed(chain), reversed(sizes[:-1]), strict=True):
        found.append(_below(child, found[-1], size))
    return found[::-1]


def _below(child: nn.Module, above: Level, size: tuple[int, int]) -> Level:
    if not isinstance(child, nn.Conv2d | nn.MaxPool2d):
        return Level(above.starts, above.side, size)
    return _cut(*_read(child, above.starts, above.side), size)


def _read(child: nn.Conv2d | nn.MaxPool2d, starts: Places, side: tuple[int, int]) -> tuple[Places, tuple[int, int]]:
    """Starts and side of the windows that a child reads for windows of its output."""
    rows, columns = axes(child)
    below = [(rows.first_input(row), columns.first_input(column)) for row, column in starts]
    return below, (rows.span(side[0]), columns.span(side[1]))


def _cut(starts: Places, side: tuple[int, int], size: tuple[int, int]) -> Level:
    """The border is what lies outside the map for all units; one row and one column stay in any case."""
    (top, bottom), (left, right) = (
        _border([start[axis] for start in starts], side[axis], size[axis]) for axis in (0, 1)
    )
    inner = [(row + top, column + left) for row, column in starts]
    return Level(inner, (side[0] - top - bottom, side[1] - left - right), size, (top, bottom, left, right))


def _border(starts: Sequence[int], side: int, size: int) -> tuple[int, int]:
    """Along one axis: how many positions before and behind are outside the map in all windows."""
    ends = [_inside(start, side, size) for start in starts]
    first = min([side - 1, *(first for first, _ in ends)])
    return first, side - max([first + 1, *(last for _, last in ends)])


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


def whole_fields(chain: Sequence[nn.Module], places: Places, sizes: Sequence[tuple[int, int]]) -> Level:
    """The receptive fields, not cut to the image."""
    side = (1, 1)
    for child in reversed(chain):
        if isinstance(child, nn.Conv2d | nn.MaxPool2d):
            places, side = _read(child, places, side)
    return Level(places, side, sizes[0])


def index(inner: Level, units: list[int], outer: Level) -> Index:
    """Where the windows of some units lie in larger windows of all units: at the same place in each."""
    (row, column), (top, left) = inner.starts[0], outer.starts[units[0]]
    rows, columns = (
        slice(start, start + side) for start, side in zip((row - top, column - left), inner.side, strict=True)
    )
    return units, slice(None), rows, columns


class Part(NamedTuple):
    """A rectangle of a field: first row, one past the last, first column, one past the last."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)

    def around(self, other: Part) -> Part:
        top, bottom, left, right = other
        return Part(min(self.top, top), max(self.bottom, bottom), min(self.left, left), max(self.right, right))


def groups(fields: Level, alone: float) -> list[list[int]]:
    """Units whose fields lie on the image alike, to go together in windows around all their parts inside.

    A unit joins the group to which it adds the fewest pixels, or begins one, which costs as much as `alone` pixels: the largest first.
    """
    side, image = fields.side, fields.size
    parts = [
        Part(*_inside(row, side[0], image[0]), *_inside(column, side[1], image[1])) for row, column in fields.starts
    ]
    found: list[tuple[Part, list[int]]] = []
    for unit in sorted(range(len(parts)), key=lambda unit: -parts[unit].area):
        added = [_added(around, len(units), parts[unit]) for around, units in found]
        if not added or min(added) > parts[unit].area + alone:
            found.append((parts[unit], [unit]))
        else:
            best = added.index(min(added))
            around, units = found[best]
            found[best] = (around.around(parts[unit]), [*units, unit])
    return [units for _, units in found]


def _added(around: Part, count: int, part: Part) -> int:
    """Pixels that a group of `count` units computes more with another unit."""
    return around.around(part).area * (count + 1) - around.area * count
