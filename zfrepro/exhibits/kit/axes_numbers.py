"""The numbers along axes: plain digits that tell the ticks apart, whatever the range; never raw markup, never on each other."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import (
    AutoLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    ScalarFormatter,
)

NARROWEST = 1e-3  # of the largest value: a shorter axis would need more digits than there is room for
PLAIN = 1e-3, 1e6  # numbers between these are written out, others as 2e-05
DECADES, HALF_DECADE = 100.0, 4.0  # largest / smallest: from here on powers of ten; 1, 2 and 5 times a power of ten


def make_logarithmic(axes: Axes) -> None:
    """The vertical axis, where there is a value above 0 to place on it. Call it after the data are drawn."""
    if math.isfinite(axes.dataLim.minposy):
        axes.set_yscale("log")


def set_tick_numbers(figure: Figure) -> None:
    """Choose ticks and their texts on every axis that has the automatic ones."""
    for axes in figure.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                _format_logarithmic(axis)
            elif type(axis.get_major_formatter()) is ScalarFormatter and isinstance(
                axis.get_major_locator(), MaxNLocator
            ):
                _format_linear(axis)


def _format_linear(axis: Axis) -> None:
    low, high = sorted(axis.get_view_interval())
    largest = max(abs(low), abs(high))
    if type(axis.get_major_locator()) is AutoLocator and high - low < NARROWEST * largest:
        _widen(axis, (low + high) / 2, NARROWEST * largest / 2)
    if not PLAIN[0] <= largest < PLAIN[1]:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))


def _widen(axis: Axis, middle: float, reach: float) -> None:
    first, last = axis.get_view_interval()
    sign = 1 if first <= last else -1  # the axis may run downwards
    axis.set_view_interval(middle - sign * reach, middle + sign * reach, ignore=True)


def _format_logarithmic(axis: Axis) -> None:
    low, high = sorted(axis.get_view_interval())
    if high / low < 1 + NARROWEST:
        middle = (low * high) ** 0.5
        low, high = middle * (1 - NARROWEST), middle * (1 + NARROWEST)
        axis.set_view_interval(low, high, ignore=True)
    axis.set_minor_formatter(NullFormatter())
    if high / low >= HALF_DECADE:
        axis.set_major_locator(LogLocator(subs=(1.0,) if high / low >= DECADES else (1.0, 2.0, 5.0), numticks=7))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axis.set_major_locator(MaxNLocator(4))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
