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

WIDTH, LINE, MARGIN = 10.2, 0.24, 1.0  # inches: the figure, a line, what axis and legend take
LEFT, RIGHT = 4.9, 2.3  # inches beside the axes: claims, and effects in numbers
FONT = 8.0  # points
ENDS = -0.6, 2.1  # multiples of the yardstick that are shown; what lies beyond is an arrow at the edge
GRID, INK, SOFT = "#dcdfe4", "#1b1f24", "#59616d"


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
    if not lines:
        raise ValueError("a forest plot needs lines")
    rows = len(lines) + len({line.topic for line in lines})
    settings: dict[Any, Any] = {**mpl.rcParamsDefault, **style}
    with mpl.rc_context(settings):
        height = rows * LINE + MARGIN
        figure = Figure(figsize=(WIDTH, height))
        bottom, top = 0.62 / height, (height - 0.38) / height
        ax = figure.add_axes((LEFT / WIDTH, bottom, (WIDTH - LEFT - RIGHT) / WIDTH, top - bottom))
        ax.set(xlim=ENDS, ylim=(rows - 0.5, -0.5), yticks=[], xticks=[-0.5, 0, 0.5, 1, 1.5, 2])
        ax.spines[["left", "right", "top"]].set_visible(False)
        ax.tick_params(labelsize=FONT, color=SOFT)
        ax.set_xlabel("effect, in multiples of what it is compared with", fontsize=FONT)
        ax.axvline(0, color=SOFT, linewidth=0.8, zorder=0)
        ax.axvline(1, color="#a84600", linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
        _draw_lines(ax, lines)
        _draw_legend(figure)
        return saving.save(figure)


def _draw_lines(ax: Axes, lines: Sequence[Line]) -> None:
    first = 0
    for topic, group in groupby(lines, key=lambda line: line.topic):
        members = list(group)
        _write(ax, first, topic, None, weight="bold")
        for row, line in enumerate(members, first + 1):
            _draw_line(ax, row, line)
        first += len(members) + 1


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
    _write(ax, row, shorten(line.label, LEFT - 0.25, FONT), shorten(line.text, RIGHT - 0.15, FONT - 0.5))


def _write(ax: Axes, row: int, left: str, right: str | None, **style: Any) -> None:
    """Text beside the axes; x in their own width, so that it stands at the edges of the figure."""
    width = WIDTH - LEFT - RIGHT
    place: dict[str, Any] = {
        "transform": ax.get_yaxis_transform(),
        "va": "center",
        "parse_math": False,
        "clip_on": False,
    }
    ax.text((0.08 - LEFT) / width, row, writable(left), fontsize=FONT, **place, **style)
    if right:
        ax.text(1 + 0.12 / width, row, right, fontsize=FONT - 0.5, color=SOFT, **place)


def _draw_legend(figure: Figure) -> None:
    filled, hollow = (
        Line2D([], [], marker="o", color=SOFT, markerfacecolor=face, markersize=5.5, linewidth=1.8)
        for face in (SOFT, "white")
    )
    line = Line2D([], [], color="#a84600", linewidth=0.8, linestyle=(0, (4, 2)))
    labels = ["compared with the paper's effect", "with the largest effect possible", "as large as that"]
    figure.legend(
        [filled, hollow, line], labels, loc="upper left", ncols=3, frameon=False, fontsize=FONT, borderaxespad=0.3
    )
