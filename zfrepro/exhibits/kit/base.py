"""What an exhibit is made of: rows that are its table and its CSV at once, and pictures as PNG bytes with alt texts.

An exhibit is a module with `TITLE`, `PAPER` (its number there), `needs(config)` (label -> file, relative to the experiment's
results) and `build(files)` (the same labels -> paths), which gives a `Table` or a `Picture`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from zfrepro.measurements.estimate import Number

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell of text that starts so

Role = Literal["label", "paper", "ours", "difference", "plain"]


Cell = str | Number | None


@dataclass(frozen=True)
class Column:
    """`group` is the heading above neighbouring columns; `role` says whose number stands there."""

    key: str
    label: str
    role: Role = "plain"
    group: str = ""


@dataclass(frozen=True)
class Row:
    """`kind`: "" as any, "heading" a title over the rows below, "unrun" a row of the paper that was not run, "best"."""

    cells: tuple[Cell, ...]
    kind: str = ""


@dataclass(frozen=True)
class Highlight:
    """A number for the first page: ours and, where there is one, the paper's."""

    label: str
    ours: str
    paper: str = ""


@dataclass(frozen=True)
class Face:
    """Another picture of the same frame, to which a reader switches."""

    label: str
    png: bytes
    alt: str


@dataclass(frozen=True)
class Grid:
    """A part of a picture that is cut into cells with a text each, told under the pointer.

    left, top, width, height: in shares of the picture's; cells: from the upper left, row by row.
    """

    left: float
    top: float
    width: float
    height: float
    cells: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Piece:
    """One PNG. `share`: how much of a wide page it takes; `least`: CSS pixels below which it scrolls, not shrinks.

    `label` names the PNG among its `faces`, the pictures that can stand in its place.
    """

    name: str
    png: bytes
    alt: str
    title: str = ""
    share: Literal["full", "half"] = "full"
    least: int = 0
    label: str = ""
    faces: tuple[Face, ...] = ()
    grids: tuple[Grid, ...] = ()


@dataclass(frozen=True)
class Exhibit:
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    png: bytes  # all of it in one picture, for figures/
    alt: str
    notes: tuple[str, ...] = ()
    highlights: tuple[Highlight, ...] = ()
    pieces: tuple[Piece, ...] = ()  # what the page shows instead of `png`, where one picture would be too much
    data: Mapping[str, Any] = field(default_factory=dict)  # what the page knows to lay out by itself, as plain values

    kind = "exhibit"

    def csv(self) -> str:
        """What the table shows: one column more for each interval or spread, and one for the headings over rows."""
        parts = [self._parts(i) for i in range(len(self.columns))]
        names = [
            name
            for column, some in zip(self.columns, parts, strict=True)
            for name in (column.key, *(f"{column.key}_{part}" for part in some))
        ]
        sections = any(row.kind == "heading" for row in self.rows)
        text, section = io.StringIO(), ""
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([guarded(name) for name in (["section"] if sections else []) + names])
        for row in self.rows:
            if row.kind == "heading":
                section = guarded(_plain(row.cells[0])["text"])
            else:
                writer.writerow(([section] if sections else []) + _values(row, parts))
        return text.getvalue()

    def table(self) -> dict[str, Any]:
        """Columns and rows as plain values, the strings of each number already made."""
        return {
            "columns": [asdict(column) for column in self.columns],
            "rows": [{"kind": row.kind, "cells": self._cells(row)} for row in self.rows],
        }

    def _cells(self, row: Row) -> list[dict[str, str]]:
        """Raises FloatingPointError naming the row and the column of a number that is not finite."""
        cells = []
        for place, cell in enumerate(row.cells):
            try:
                cells.append(_plain(cell))
            except FloatingPointError as error:
                first, key = row.cells[0], self.columns[place].key if place < len(self.columns) else place
                raise FloatingPointError(
                    f"row {first if isinstance(first, str) else ''!r}, column {key}: {error}"
                ) from error
        return cells

    def _parts(self, index: int) -> list[str]:
        """What the numbers of a column have besides their text: low, high, pm."""
        found = {part for row in self.rows for part in _plain(row.cells[index])}
        return [part for part in ("low", "high", "pm") if part in found]


@dataclass(frozen=True)
class Table(Exhibit):
    """Rows first; its picture is a dot plot of the same numbers."""

    kind = "table"


@dataclass(frozen=True)
class Picture(Exhibit):
    """Pictures first; its rows say in numbers what they show. `rows_title` names the table below the picture."""

    rows_title: str = field(default="The numbers behind the picture")

    kind = "picture"


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def difference(ours: float | None, paper: float | None, digits: int = 1) -> Number | None:
    """Ours minus the paper's, of the numbers as they are shown."""
    if ours is None or paper is None:
        return None
    return Number(round(ours, digits) - round(paper, digits), digits, signed=True)


def heading(text: str, columns: Iterable[Column]) -> Row:
    return Row((text, *(None for _ in list(columns)[1:])), "heading")


def _plain(cell: Cell) -> dict[str, str]:
    if isinstance(cell, Number):
        return {"is": "number", **cell.texts()}
    return {"is": "text", "text": cell or ""}


def _values(row: Row, parts: Sequence[Sequence[str]]) -> list[str]:
    """A line of the CSV; parts: of each column."""
    values = []
    for cell, some in zip(row.cells, parts, strict=True):
        shown = _plain(cell)
        text = shown["text"] if isinstance(cell, Number) else guarded(shown["text"])
        values += [text, *(shown.get(part, "") for part in some)]
    return values
