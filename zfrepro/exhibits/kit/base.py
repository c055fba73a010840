"""The parts of an exhibit: rows, which make both its table and its CSV, and drawings with alt texts.

An exhibit is a module with `TITLE`, `PAPER` (its number in the paper), `needs(config)` (label -> file, relative to the
experiment's results) and `build(files)` (the same labels -> paths), which returns a `Table` or a `Picture`.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from zfrepro.exhibits.kit.interaction import Box, Frames, Ranking, Tiles
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes a cell of text that starts with one for a formula

Role = Literal["label", "paper", "ours", "difference", "plain"]


Cell = str | Number | None
COMPARED: tuple[tuple[str, str, Role], ...] = (  # end of the key, label and role of columns that stand side by side
    ("paper", "paper", "paper"),
    ("ours", "ours", "ours"),
    ("diff", "diff.", "difference"),
)


@dataclass(frozen=True)
class Column:
    """`group`: the heading above neighbouring columns; `role`: whose number the column holds; `shown`: False for the CSV only."""

    key: str
    label: str
    role: Role = "plain"
    group: str = ""
    shown: bool = True


def compared_columns(
    key: str, group: str, compared: Sequence[tuple[str, str, Role]] = COMPARED, *, shown: bool = True
) -> tuple[Column, ...]:
    """`<key>_paper`, `<key>_ours`, `<key>_diff`: the difference between the two is in the CSV only."""
    return tuple(
        Column(f"{key}_{suffix}", label, role, group, shown and role != "difference")
        for suffix, label, role in compared
    )


@dataclass(frozen=True)
class Row:
    """One cell per column, by the column's key; `make_row` and `heading` build them.

    `kind`: "" for a plain row, "heading" for a title over the rows below, "unrun" for a row of the paper that was not run.
    """

    cells: Mapping[str, Cell]
    kind: str = ""

    def __getitem__(self, key: str) -> Cell:
        if key not in self.cells:
            raise KeyError(f"no column {key!r}; the row has {', '.join(self.cells)}")
        return self.cells[key]

    def number(self, key: str) -> Number | None:
        """The cell if it holds a number, None if it holds a text or nothing."""
        return cell if isinstance(cell := self[key], Number) else None

    def text(self, key: str) -> str:
        """The cell as the page prints it, without interval or spread."""
        return _plain(self[key])["text"]

    @property
    def label(self) -> str:
        """The text of the first cell."""
        return self.text(next(iter(self.cells)))


@dataclass(frozen=True)
class Highlight:
    """A number for the report's first page: ours and, where there is one, the paper's."""

    label: str
    ours: str
    paper: str = ""


@dataclass(frozen=True)
class Face:
    """Another picture for the same frame; the reader can switch to it."""

    label: str
    png: bytes
    alt: str
    images: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Grid:
    """A part of a picture divided into cells; the page shows a cell's text under the pointer.

    left, top, width, height: as shares of the picture's; cells: from the upper left, row by row. cover: width and height, in the same
    shares, of the grey square that is laid over the picture around the middle of a cell; None: the cell itself is marked.
    """

    left: float
    top: float
    width: float
    height: float
    cells: tuple[tuple[str, ...], ...]
    cover: tuple[float, float] | None = None


@dataclass(frozen=True)
class Narrow:
    """The drawing of a piece for a narrow screen; `grids`: where the piece's grids lie in it, without their cells."""

    png: bytes
    grids: tuple[Grid, ...] = ()
    images: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Piece:
    """One drawing. `share`: how much of a wide page it takes; `least`: the width in CSS pixels below which it scrolls instead of shrinking.

    `label` names the drawing among its `faces`, the pictures that can be shown in its place. `images`: where in it images lie; a dark
    page inverts what is around them. Pieces that follow each other with the same `pair` stand side by side at every width.
    """

    name: str
    drawing: Drawing
    alt: str
    title: str = ""
    share: Literal["full", "half"] = "full"
    least: int = 0
    label: str = ""
    faces: tuple[Face, ...] = ()
    grids: tuple[Grid, ...] = ()
    plot: bool = False  # lines and text on white, no images: a dark page inverts it
    narrow: Narrow | None = None
    interaction: Ranking | Tiles | Frames | None = None
    images: tuple[Box, ...] = ()
    pair: str = ""

    @property
    def png(self) -> bytes:
        return self.drawing.png


@dataclass(frozen=True)
class Exhibit:
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    drawing: Drawing  # the whole exhibit in one picture
    alt: str
    notes: tuple[str, ...] = ()
    highlights: tuple[Highlight, ...] = ()
    pieces: tuple[Piece, ...] = ()  # what the page shows instead of `drawing`, where one picture would be too large
    data: Mapping[str, Any] = field(default_factory=dict)  # plain values that the page lays out by itself

    kind = "exhibit"

    def __post_init__(self) -> None:
        for row in self.rows:
            _require_columns(row.cells, self.columns)

    @property
    def png(self) -> bytes:
        return self.drawing.png

    def csv(self) -> str:
        """The table with extra columns for intervals, spreads and the headings over rows."""
        parts = {column.key: self._parts(column.key) for column in self.columns}
        names = [name for key, extra in parts.items() for name in (key, *(f"{key}_{part}" for part in extra))]
        sections = any(row.kind == "heading" for row in self.rows)
        text, section = io.StringIO(), ""
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([escape_formula(name) for name in (["section"] if sections else []) + names])
        for row in self.rows:
            if row.kind == "heading":
                section = escape_formula(row.label)
            else:
                writer.writerow(([section] if sections else []) + _values(row, parts))
        return text.getvalue()

    def table(self) -> dict[str, Any]:
        """The columns that are shown and their rows as plain values, numbers as the strings that are printed."""
        shown = [column.shown for column in self.columns]
        return {
            "columns": [asdict(column) for column in itertools.compress(self.columns, shown)],
            "rows": [
                {"kind": row.kind, "cells": list(itertools.compress(self._cells(row), shown))} for row in self.rows
            ],
        }

    def _cells(self, row: Row) -> list[dict[str, str]]:
        """Raises FloatingPointError naming the row and the column of a number that is not finite."""
        cells = []
        for column in self.columns:
            try:
                cells.append(_plain(row[column.key]))
            except FloatingPointError as error:
                first = row[self.columns[0].key]
                raise FloatingPointError(
                    f"row {first if isinstance(first, str) else ''!r}, column {column.key}: {error}"
                ) from error
        return cells

    def _parts(self, key: str) -> list[str]:
        """What the numbers of a column have besides their text: low, high, pm."""
        present = {part for row in self.rows for part in _plain(row[key])}
        return [part for part in ("low", "high", "pm") if part in present]


@dataclass(frozen=True)
class Table(Exhibit):
    """The page shows the rows first; the picture plots the same numbers."""

    kind = "table"


@dataclass(frozen=True)
class Picture(Exhibit):
    """The page shows the pictures first, then the rows: the same in numbers, under the title `rows_title`."""

    rows_title: str = field(default="The numbers behind the picture")

    kind = "picture"


def escape_formula(text: str) -> str:
    """Text with a quote in front where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def difference(ours: Number | None, paper: Number | None, digits: int = 1) -> Number | None:
    """Ours minus the paper's, computed from the rounded numbers that are shown."""
    if ours is None or paper is None:
        return None
    return Number(round(ours.value, digits) - round(paper.value, digits), digits, signed=True)


def make_panel(title: str, rows: Sequence[Row], key: str) -> tuple[str, list[Number | None], list[Number | None]]:
    """A panel of `draw.dot_plot`: the columns `<key>_paper` and `<key>_ours`."""
    return title, [row.number(f"{key}_paper") for row in rows], [row.number(f"{key}_ours") for row in rows]


def make_row(columns: Sequence[Column], cells: Mapping[str, Cell], kind: str = "", *, partial: bool = False) -> Row:
    """A row from column key -> cell. Cells that `partial` leaves out are empty.

    Raises KeyError for a key that is no column's, and, unless `partial`, for a column without a cell.
    """
    empty = dict.fromkeys(column.key for column in columns) if partial else {}
    _require_columns(empty | dict(cells), columns)
    return Row({column.key: cells.get(column.key) for column in columns}, kind)


def heading(text: str, columns: Sequence[Column]) -> Row:
    return make_row(columns, {columns[0].key: text}, "heading", partial=True)


def _require_columns(cells: Mapping[str, Cell], columns: Iterable[Column]) -> None:
    keys = {column.key for column in columns}
    if unknown := [key for key in cells if key not in keys]:
        raise KeyError(f"no column {', '.join(unknown)}; the columns are {', '.join(sorted(keys))}")
    if missing := sorted(keys - set(cells)):
        raise KeyError(f"no cell for column {', '.join(missing)}")


def _plain(cell: Cell) -> dict[str, str]:
    if isinstance(cell, Number):
        return {"is": "number", **cell.texts()}
    return {"is": "text", "text": cell or ""}


def _values(row: Row, parts: Mapping[str, Sequence[str]]) -> list[str]:
    """A line of the CSV; parts: column key -> what its numbers have besides their text."""
    values = []
    for key, extra in parts.items():
        plain = _plain(row[key])
        text = plain["text"] if plain["is"] == "number" else escape_formula(plain["text"])
        values += [text, *(plain.get(part, "") for part in extra)]
    return values
