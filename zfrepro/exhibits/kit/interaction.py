"""What a reader can do with a drawing on the page beyond looking: plain values for report.js. The page is complete without them.

Boxes are left, top, width and height in shares of the picture, from the upper left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]
Ranks = tuple[tuple[int, int], ...]  # from the most probable class on: its number among `names`, parts of 10,000
Blocks = tuple[tuple[Box, ...], ...]
DIGITS = 5


@dataclass(frozen=True)
class Ranking:
    """The most probable classes of the uncovered image, and with the square at every cell of the piece's grids, row by row.

    drawn: row and column of the square in the drawing; beneath: PNG of what it covers there, shown once the square moves.
    """

    names: tuple[str, ...]
    true: int  # its number among `names`
    uncovered: Ranks
    covered: tuple[tuple[Ranks, ...], ...]
    drawn: tuple[int, int]
    beneath: bytes


@dataclass(frozen=True)
class Tile:
    """One activation. image: its number in the exhibit's sprite; box: of the receptive field, in the whole image."""

    image: int
    box: Box
    label: str
    activation: str
    file: str


@dataclass(frozen=True)
class Tiles:
    """Tiles of maps, in blocks of `columns`, the strongest first; pointed at, they show the whole image.

    blocks: of the piece and of each of its faces, of each map: where its tiles stand, once or twice (as projections, as patches);
    narrow: the same of the piece's drawing for a narrow screen, if there is one.
    """

    columns: int
    maps: tuple[str, ...]
    tiles: tuple[tuple[Tile, ...], ...]
    blocks: tuple[Blocks, ...]
    narrow: Blocks | None = None


@dataclass(frozen=True)
class Frames:
    """A development: the columns of tiles of a picture are times, to be shown one at a time.

    texts: what is measured at each; first: the tile at the upper left; step: from tile to tile, right and down.
    """

    labels: tuple[str, ...]
    texts: tuple[str, ...]
    first: Box
    step: tuple[float, float]
    rows: int


def ranks(labels: Sequence[int], probabilities: Sequence[float], numbers: dict[int, int]) -> Ranks:
    """numbers: class -> its number among `names`. Only a probability of 1 has all 10,000 parts."""
    shares = [10_000 if share == 1 else min(9_999, round(10_000 * share)) for share in probabilities]
    return tuple((numbers[label], share) for label, share in zip(labels, shares, strict=True))


def arranged(count: int, columns: int, size: tuple[int, int], gap: int) -> list[Box]:
    """Where `draw.arrange` puts images of `size` pixels."""
    columns = max(1, min(columns, count))
    (wide, high), lines = size, -(-count // columns)
    width, height = columns * (wide + gap) - gap, lines * (high + gap) - gap
    places = [(i % columns * (wide + gap), i // columns * (high + gap)) for i in range(count)]
    return [rounded((x / width, y / height, wide / width, high / height)) for x, y in places]


def within(outer: Box, inner: Box) -> Box:
    """`inner`, in shares of `outer`, in shares of the picture."""
    left, top, width, height = outer
    return rounded((left + inner[0] * width, top + inner[1] * height, inner[2] * width, inner[3] * height))


def rounded(box: Box) -> Box:
    left, top, width, height = (round(share, DIGITS) for share in box)
    return left, top, width, height
