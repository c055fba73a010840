"""A forest plot: one line a claim, its effect with the 95 % interval as a multiple of the paper's, under a heading for each topic.

Like the board of claims it draws without the style of `draw`, so that a new colour of figures judges no claim again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zfrepro.exhibits.kit import saving
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.exhibits.kit.texts import shorten, writable

FONT = 8.0  # points
SHARPNESS = 0.75  # of other figures' dots per inch: wider than the page, it is shown smaller
ENDS = -0.6, 2.1  # multiples of the yardstick that are shown; what lies beyond is an arrow at the edge
GRID, INK, SOFT = "#dcdfe4", "#1b1f24", "#59616d"
NARROW_DPI = 170  # some two pixels for each that a narrow screen counts


@dataclass(frozen=True)
class Shape:
    """Inches: the figure's width, what stands left and right of the axes, a row, legend and axis above and below."""

    width: float
    left: float
    right: float
    row: float
    above: float
    below: float = 0.62
    rows: int = 1  # of a claim: with two its sentence stands above its line
    legend_columns: int = 3

    @property
    def axes(self) -> float:
        return self.width - self.left - self.right


WIDE = Shape(10.2, 4.9, 2.3, row=0.24, above=0.38)
NARROW = Shape(3.75, 0.12, 1.55, row=0.19, above=0.7, rows=2, legend_columns=1)


@dataclass(frozen=True)
class Line:
    """value, ends: multiples of what the effect is compared with, whose number `paper` tells the two kinds apart: the paper's
    own effect, or the largest one possible. text: the effect in numbers."""

    topic: str
    label: str
    value: float
    ends: tuple[float, float] | None
    text: str
    colour: str
    paper: bool


def draw(lines: Sequence[Line], style: dict[str, Any]) -> Drawing:
    """Raises ValueError for no lines."""
    with mpl.rc_context(_settings(style)):
        return saving.save(_figure(lines, WIDE), dpi=round(SHARPNESS * saving.DPI))


def draw_narrow(lines: Sequence[Line], style: dict[str, Any]) -> bytes:
    """PNG for a narrow screen. Raises ValueError for no lines."""
    with mpl.rc_context(_settings(style)):
        return saving.encode(saving.render(_figure(lines, NARROW), NARROW_DPI))


def _settings(style: dict[str, Any]) -> dict[Any, Any]:
    return {**mpl.rcParamsDefault, **style}


def _figure(lines: Sequence[Line], shape: Shape) -> Figure:
    if not lines:
        raise ValueError("a forest plot needs lines")
    rows = shape.rows * len(lines) + len({line.topic for line in lines})
    height = rows * shape.row + shape.above + shape.below
    figure = Figure(figsize=(shape.width, height))
    box = shape.left / shape.width, shape.below / height, shape.axes / shape.width, rows * shape.row / height
    ax = figure.add_axes(box)
    ax.set(xlim=ENDS, ylim=(rows - 0.5, -0.5), yticks=[], xticks=[-0.5, 0, 0.5, 1, 1.5, 2])
    ax.spines[["left", "right", "top"]].set_visible(False)
    ax.tick_params(labelsize=FONT, color=SOFT)
    ax.set_xlabel("effect, in multiples of what it is compared with", fontsize=FONT, x=0.5 if shape.rows == 1 else 0.7)
    ax.axvline(0, color=SOFT, linewidth=0.8, zorder=0)
    ax.axvline(1, color="#a84600", linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
    _draw_lines(ax, lines, shape)
    _draw_legend(figure, shape.legend_columns)
    return figure


def _draw_lines(ax: Axes, lines: Sequence[Line], shape: Shape) -> None:
    row = 0
    for topic, group in groupby(lines, key=lambda line: line.topic):
        _write_left(ax, row, topic, shape, weight="bold")
        row += 1
        for line in group:
            _write_left(ax, row, shorten(line.label, _room(shape), FONT), shape)
            row += shape.rows
            _draw_line(ax, row - 1, line)
            _write_right(ax, row - 1, shorten(line.text, shape.right - 0.15, FONT - 0.5), shape)


def _room(shape: Shape) -> float:
    """Inches for a claim's sentence."""
    return shape.left - 0.25 if shape.rows == 1 else shape.width - 0.2


def _draw_line(ax: Axes, row: int, line: Line) -> None:
    low, high = ENDS
    ax.axhline(row, color=GRID, linewidth=0.5, zorder=-1)
    if line.ends:
        ax.plot([min(max(end, low), high) for end in line.ends], [row, row], color=line.colour, linewidth=1.8)
    inside = low <= line.value <= high
    marker = "o" if inside else ">" if line.value > high else "<"
    fill = line.colour if line.paper else "white"
    ax.plot(
        [min(max(line.value, low), high)], [row], marker, color=line.colour, markerfacecolor=fill, markersize=5.5, clip_on=False, zorder=3
    )  # fmt: skip
    for end, sign in zip(line.ends or (), "<>", strict=False):
        if not low <= end <= high and inside:
            ax.plot([low if sign == "<" else high], [row], sign, color=line.colour, markersize=4, clip_on=False)


def _write_left(ax: Axes, row: int, text: str, shape: Shape, **style: Any) -> None:
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5} if shape.rows > 1 else None
    _write(ax, (0.08 - shape.left) / shape.axes, row, writable(text), fontsize=FONT, bbox=ground, **style)


def _write_right(ax: Axes, row: int, text: str, shape: Shape) -> None:
    _write(ax, 1 + 0.12 / shape.axes, row, text, fontsize=FONT - 0.5, color=SOFT)


def _write(ax: Axes, x: float, row: int, text: str, **style: Any) -> None:
    """x: in widths of the axes, so that the text stands at the edges of the figure."""
    ax.text(x, row, text, transform=ax.get_yaxis_transform(), va="center", parse_math=False, clip_on=False, **style)


def _draw_legend(figure: Figure, columns: int) -> None:
    filled, hollow = (
        Line2D([], [], marker="o", color=SOFT, markerfacecolor=face, markersize=5.5, linewidth=1.8)
        for face in (SOFT, "white")
    )
    line = Line2D([], [], color="#a84600", linewidth=0.8, linestyle=(0, (4, 2)))
    labels = ["compared with the paper's effect", "with the largest effect possible", "as large as that"]
    figure.legend(
        [filled, hollow, line], labels, loc="upper left", ncols=columns, frameon=False, fontsize=FONT, borderaxespad=0.3
    )
