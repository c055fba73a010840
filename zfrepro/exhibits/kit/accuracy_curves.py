"""Curves of accuracy by training images per class, and how few of these suffice to exceed a baseline that had the most."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.exhibits.kit.texts import shorten, width_of

TICKS = (1, 10, 20, 30, 40, 50, 60)
WIDE, HIGH, LEGEND_LINE, BESIDE, LETTERS = 6.6, 2.75, 0.16, 0.75, 7.5  # inches; points
EXTRA_MARKERS = ".x+1234"  # markers of the series without a style of their own
Curve = Mapping[int, Number]  # training images per class -> accuracy in percent, fewest first


@dataclass(frozen=True)
class Level:
    """A baseline at its largest number of training images, and the fewest with which another curve exceeds it."""

    series: str
    per_class: int
    value: float
    exceeded_at: int | None

    @classmethod
    def from_curves(cls, series: str, baseline: Curve, compared: Curve) -> Level:
        largest = max(baseline)
        return cls(series, largest, baseline[largest].value, smallest_above(compared, baseline[largest].value))

    @property
    def exceeded(self) -> str:
        return str(self.exceeded_at or "never")


@dataclass(frozen=True)
class Panel:
    """`curves`: series -> curve, the one that has to exceed `level` first; `styles`: series -> colour, marker."""

    title: str
    curves: Mapping[str, Curve]
    level: Level | None
    styles: dict[str, tuple[str, str]]
    hollow: bool


def smallest_above(curve: Curve, level: float) -> int | None:
    """The fewest training images per class, of those measured, with an accuracy above `level`."""
    return min((k for k, number in curve.items() if number.value > level), default=None)


def draw_panels(panels: Sequence[Panel]) -> Drawing:
    """Panels side by side on common axes, each with its own legend below."""
    lines = max(len(panel.curves) + (panel.level is not None) for panel in panels)
    with draw.figure(WIDE, HIGH + LEGEND_LINE * lines) as figure:
        axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        for ax, panel in zip(axes, panels, strict=True):
            _panel(ax, panel, WIDE / len(panels) - BESIDE)
        axes[0].set_ylabel("accuracy (%)")
        axes[0].set_ylim(bottom=0)
        return draw.save(figure)


def _panel(ax: Axes, panel: Panel, room: float) -> None:
    """room: inches of a text in the legend."""
    ax.set_title(panel.title)
    ax.grid(axis="both")
    ax.set_axisbelow(True)
    ax.tick_params(length=0, labelleft=True)
    unstyled = (series for series in panel.curves if series not in panel.styles)
    extra_styles = {
        series: (draw.SKY, marker) for series, marker in zip(unstyled, itertools.cycle(EXTRA_MARKERS), strict=False)
    }
    for i, (series, curve) in enumerate(panel.curves.items()):
        colour, marker = (panel.styles | extra_styles)[series]
        ax.errorbar(
            list(curve), [number.value for number in curve.values()], _bars(curve), label=shorten(series, room, LETTERS),
            color=colour, marker=marker, markersize=4.2, markerfacecolor="white" if panel.hollow else colour,
            markeredgewidth=1.1, capsize=1.8, elinewidth=1, linewidth=1.3 if series in panel.styles else 0.8, zorder=4 - 0.1 * i,
        )  # fmt: skip
    if panel.level:
        _draw_level(ax, panel.level, room)
    ax.set_xticks(TICKS)
    ax.set_xlabel("training images per class")
    # below its own panel: "outside" legends belong to a whole figure
    ax.legend(loc="upper left", bbox_to_anchor=(-0.03, -0.17), handlelength=1.8, borderaxespad=0)


def _bars(curve: Curve) -> list[float] | None:
    """Half the length of each point's bar; None where there is one fold."""
    spreads = [number.spread for number in curve.values()]
    return None if all(spread is None for spread in spreads) else [spread or 0 for spread in spreads]


def _draw_level(ax: Axes, level: Level, room: float) -> None:
    exceeded = f"exceeded with {level.exceeded_at}" if level.exceeded_at else "never exceeded"
    end = f", {level.per_class} per class: {exceeded}"
    label = shorten(level.series, room - width_of(end, LETTERS), LETTERS) + end
    ax.axhline(level.value, color=draw.INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1.5, label=label)
    if level.exceeded_at:
        drop: dict[str, Any] = {"color": draw.INK, "linewidth": 0.9, "linestyle": (0, (1, 1.5)), "zorder": 1.4}
        ax.plot([level.exceeded_at] * 2, [0, level.value], **drop)
