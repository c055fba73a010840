"""Loss and error of the networks after every epoch. Not in the paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from zfrepro import paper
from zfrepro.errors import UserError
from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import Column, Narrow, Picture, Piece, Row, make_row
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.exhibits.kit.texts import shorten
from zfrepro.measurements import runs
from zfrepro.storage import artifacts

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Training curves"
PAPER = "Not in the paper"
PANELS = {"train_loss": "Training loss", "val_loss": "Validation loss", "val_top1_error": "Validation top-1 error (%)"}
NETWORK = "network/"
WIDE, LEAST = 7.4, 2.6  # inches: the figure, its least height
NARROW, NARROW_HIGH = 3.4, 2.0  # inches: the figure for a narrow screen, the least height of a panel
LINE, HEADS = 0.115, 0.6  # inches: a name, what stands above and below the panels
NAME, SIZE, NAMED = 1.45, 6.0, 26  # inches and points of a name, how many are shown
APART = 0.062  # of the height of a panel, between names where there is room
HUES = {
    "baseline": (draw.RED, "#eeb08a"),
    "improved": (draw.BLUE, "#8fbcdc"),
}  # base -> its line, those of its variants
INKS = {"baseline": ("#b54f00", "#a0603a"), "improved": (draw.BLUE, "#47779a")}  # the same of names
NAMES_OF_HUES = {"baseline": "red", "improved": "blue"}
COLUMNS = (
    Column("run", "Run", "label"),
    Column("epoch", "Epoch"),
    Column("learning_rate", "Learning rate"),
    Column("train_loss", "Training loss"),
    Column("train_top1_error", "Training top-1"),
    Column("val_loss", "Validation loss"),
    Column("val_top1_error", "Validation top-1"),
    Column("val_top5_error", "Validation top-5"),
)
DIGITS = {"epoch": 0, "learning_rate": 5, "train_loss": 3, "val_loss": 3}


def needs(config: Any) -> dict[str, str]:
    """Labels sort so that the runs of `train` come first, then those of `ablate`, then the networks."""
    order = {"train": 1, "ablate": 2}
    histories = {f"{order[stage]} {run}": f"{stage}/{run}/history.csv" for run, stage in config.runs().items()}
    return histories | {f"network/{run}": f"{stage}/{run}/network.json" for run, stage in config.runs().items()}


def build(files: Mapping[str, Path]) -> Picture:
    networks = {
        label.removeprefix(NETWORK): artifacts.load_json(files[label])
        for label in sorted(files)
        if label.startswith(NETWORK)
    }
    diverged = {run: about["diverged"] for run, about in networks.items() if about["diverged"]}
    names = [label.partition(" ")[2] for label in sorted(files) if not label.startswith(NETWORK)]
    labels = {label.partition(" ")[2]: label for label in files}
    histories = {name: _history(files[labels[name]], name in diverged) for name in names}
    curves = [_Curve.make(name, history, networks[name]) for name, history in histories.items()]
    epochs = max((int(history["epoch"].max()) for history in histories.values() if len(history)), default=0)
    drawing = _plot(_ordered(curves))
    alt = "Three line plots over epochs. Last validation top-1 error in percent: " + "; ".join(
        f"{run} {_last_error(history, run in diverged)}" for run, history in histories.items()
    )
    return Picture(
        caption=f"Loss and error of {len(histories)} network{'s' * (len(histories) != 1)} after "
        f"{'each of up to ' * (epochs != 1)}{epochs} epoch{'s' * (epochs != 1)}. Training loss and error are computed "
        f"during training, on crops and with dropout; validation uses the single centre view. {_explain_colours(curves)}",
        columns=COLUMNS,
        rows=tuple(_row(run, line) for run, history in histories.items() for line in history.to_dict("records")),
        drawing=Drawing(drawing.png),
        alt=alt,
        notes=(
            *(f"{run} diverged in epoch {record['epoch']} ({record['what']})." for run, record in diverged.items()),
            _initial_weights_left(networks),
        ),
        pieces=(Piece("training_curves", drawing, alt, least=560, plot=True, narrow=_narrow(_ordered(curves))),),
        rows_title="Every epoch of every run",
    )


@dataclass(frozen=True, eq=False)
class _Curve:
    """`variant`: its network differs from the base by its layers or their sizes."""

    run: str
    history: pd.DataFrame
    base: str
    variant: bool
    diverged: bool

    @classmethod
    def make(cls, run: str, history: pd.DataFrame, about: Mapping[str, Any]) -> _Curve:
        network = about["spec"]["network"]
        is_base = runs.full_description(network) == runs.full_description(paper.VARIANTS[network["base"]])
        return cls(run, history, network["base"], not is_base, bool(about["diverged"]))

    @property
    def colour(self) -> str:
        return HUES[self.base][self.variant]

    @property
    def ink(self) -> str:
        return INKS[self.base][self.variant]

    @property
    def label(self) -> str:
        return f"{self.run} (diverged)" if self.diverged else self.run

    def finite(self, column: str) -> pd.DataFrame:
        """The epochs in which the quantity is a number."""
        return self.history[np.isfinite(self.history[column].astype(float))]


def _ordered(curves: Sequence[_Curve]) -> list[_Curve]:
    """The bases first, whose names are shown even where there are many."""
    return sorted(curves, key=lambda curve: curve.variant)


def _explain_colours(curves: Sequence[_Curve]) -> str:
    bases = [f"{NAMES_OF_HUES[base]}: {base}" for base in HUES if any(curve.base == base for curve in curves)]
    text = f"{', '.join(bases).capitalize()}"
    text += "; light and thin: variants of these" if any(curve.variant for curve in curves) else ""
    text += f"; names of {NAMED} of the {len(curves)}" if len(curves) > NAMED else ""
    return f"{text}."


def _initial_weights_left(networks: Mapping[str, Any]) -> str:
    shares = sorted(100 * about["faded_to"] for about in networks.values())
    ends = " to ".join(dict.fromkeys(f"{share:.{2 if share < 99.5 else 3}g}" for share in (shares[0], shares[-1])))
    return (
        f"{ends} % of the initial weights are left at the end of training: exp(-sum of learning rates x weight decay / (1 - momentum)). "
        "This remainder is noise in the filters; the paper's training leaves almost none."
    )


def _last_error(history: pd.DataFrame, diverged: bool) -> str:
    return "diverged" if diverged else f"{history['val_top1_error'].iloc[-1]:.1f}"


def _history(path: Path, diverged: bool) -> pd.DataFrame:
    """A run that diverged may have no complete epoch. Raises UserError."""
    import pandas as pd

    try:
        history = pd.read_csv(path)
    except ValueError as error:
        raise UserError(f"{path}: not a history of training ({error}); delete it and run again") from error
    missing = {column.key for column in COLUMNS[1:]} - set(history)
    if missing or (history.empty and not diverged):
        raise UserError(f"{path}: lacks {', '.join(sorted(missing)) or 'any epoch'}; delete it and run again")
    return history


def _row(run: str, line: Mapping[Any, Any]) -> Row:
    numbers = {column.key: Number(float(line[column.key]), DIGITS.get(column.key, 1)) for column in COLUMNS[1:]}
    finite = {key: number for key, number in numbers.items() if math.isfinite(number.value)}
    return make_row(COLUMNS, {"run": run, **finite}, partial=True)


def _plot(curves: Sequence[_Curve]) -> Drawing:
    """The names stand at the ends of the lines in the last panel, which is as high as they need."""
    named = curves[:NAMED]
    with draw.figure(WIDE, max(LEAST, HEADS + LINE * len(named))) as figure:
        _panels(figure.subplots(1, len(PANELS)), curves, named)
        return draw.save(figure)


def _narrow(curves: Sequence[_Curve]) -> Narrow:
    """The panels one below the other."""
    named = curves[:NAMED]
    height = max(NARROW_HIGH, HEADS + LINE * len(named))
    with draw.figure(NARROW, height * len(PANELS)) as figure:
        _panels(figure.subplots(len(PANELS), 1), curves, named)
        return Narrow(draw.save_narrow(figure))


def _panels(axes: Sequence[Axes], curves: Sequence[_Curve], named: Sequence[_Curve]) -> None:
    for ax, (column, title) in zip(axes, PANELS.items(), strict=True):
        _panel(ax, curves, column)
        ax.set_title(title)
        ax.set_xlabel("epoch")
    _name_lines(axes[-1], named, next(reversed(PANELS)))


def _panel(ax: Axes, curves: Sequence[_Curve], column: str) -> None:
    """The limits follow the runs that did not diverge: the last values of one that did may be huge."""
    ax.grid(axis="y")
    if max((len(curve.history) for curve in curves), default=0) > 1:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    else:
        ax.set_xticks([1])
    for curve in curves:
        finite = curve.finite(column)
        marker, style = ("o" if len(finite) == 1 else ""), (":" if curve.diverged else "-")
        line = ax.plot(finite["epoch"], finite[column], marker=marker, color=curve.colour, linestyle=style)
        line[0].set(linewidth=0.9 if curve.variant else 1.7, markersize=4, zorder=2 if curve.variant else 3)
    largest = [curve.history[column].max() for curve in curves if not curve.diverged]
    if largest:
        ax.set_ylim(top=min(ax.get_ylim()[1], 1.05 * max(largest)))


def _name_lines(ax: Axes, curves: Sequence[_Curve], column: str) -> None:
    """Each name beside the last value of its line, moved up or down where two would lie on each other."""
    low, high = ax.get_ylim()
    ends = {curve: finite.iloc[-1] for curve in curves if len(finite := curve.finite(column))}
    values = [min(float(line[column]), high) for line in ends.values()]
    places = spread_out([(value - low) / (high - low) for value in values], min(APART, 1 / max(1, len(ends) - 1)))
    for (curve, line), value, place in zip(ends.items(), values, places, strict=True):
        leader = {
            "arrowstyle": "-",
            "color": curve.colour,
            "linewidth": 0.5,
            "shrinkA": 1,
            "shrinkB": 1,
            "relpos": (0, 0.5),
            "patchA": None,
        }
        ax.annotate(
            shorten(curve.label, NAME, SIZE), (float(line["epoch"]), value), (1.12, place), textcoords="axes fraction", fontsize=SIZE,
            color=curve.ink, va="center", weight="normal" if curve.variant else "bold", annotation_clip=False, arrowprops=leader,
        )  # fmt: skip


def spread_out(heights: Sequence[float], apart: float) -> list[float]:
    """The heights from 0 to 1, moved as little as possible (by least squares) until they are `apart` from each other."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    groups: list[list[float]] = []  # of neighbours that touch: their heights without the room of those below
    for place, i in enumerate(order):
        groups.append([heights[i] - place * apart])
        while len(groups) > 1 and fmean(groups[-2]) > fmean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    free = 1 - (len(heights) - 1) * apart
    moved = [min(max(0.0, fmean(group)), max(0.0, free)) for group in groups for _ in group]
    places = [height + place * apart for place, height in enumerate(moved)]
    return [place for _, place in sorted(zip(order, places, strict=True))]
