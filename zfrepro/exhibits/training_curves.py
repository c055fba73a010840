"""Loss and error of the networks after every epoch. Not in the paper."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from zfrepro.errors import UserError
from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import Column, Picture, Row, make_row
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.exhibits.kit.texts import shorten, width_of
from zfrepro.storage import artifacts

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Training curves"
PAPER = "Not in the paper"
PANELS = {"train_loss": "Training loss", "val_loss": "Validation loss", "val_top1_error": "Validation top-1 error (%)"}
NETWORK = "network/"
WIDE, LINE = 6.6, 0.14  # inches: the figure, a line of the legend
NAMES, SIZE, SWATCH = (
    4,
    7.5,
    0.45,
)  # most names in a line of the legend, points, inches that a name takes besides its letters
LABELLED = len(draw.CYCLE)  # the curves beyond the number of colours are grey
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
    epochs = max((int(history["epoch"].max()) for history in histories.values() if len(history)), default=0)
    return Picture(
        caption=f"Loss and error of {len(histories)} network{'s' * (len(histories) != 1)} after "
        f"{'each of up to ' * (epochs != 1)}{epochs} epoch{'s' * (epochs != 1)}. Training loss and error are computed "
        "during training, on crops and with dropout; validation uses the single centre view.",
        columns=COLUMNS,
        rows=tuple(_row(run, line) for run, history in histories.items() for line in history.to_dict("records")),
        drawing=_plot(histories, diverged),
        alt="Three line plots over epochs. Last validation top-1 error in percent: "
        + "; ".join(f"{run} {_last_error(history, run in diverged)}" for run, history in histories.items()),
        notes=(
            *(f"{run} diverged in epoch {record['epoch']} ({record['what']})." for run, record in diverged.items()),
            _initial_weights_left(networks),
        ),
        rows_title="Every epoch of every run",
    )


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


def _plot(histories: dict[str, pd.DataFrame], diverged: Container[str]) -> Drawing:
    names = _curve_names(list(histories), diverged)
    columns = _legend_columns(names)
    with draw.figure(WIDE, 2.6 + LINE * -(-len(names) // columns)) as figure:
        axes = figure.subplots(1, len(PANELS))
        for ax, (column, title) in zip(axes, PANELS.items(), strict=True):
            _panel(ax, histories, column, names, diverged)
            ax.set_title(title)
            ax.set_xlabel("epoch")
        handles = axes[0].get_legend_handles_labels()[0][::-1]
        texts = [shorten(name, WIDE / columns - SWATCH, SIZE) for name in names]
        figure.legend(handles, texts, loc="outside lower center", ncols=columns, fontsize=SIZE)
        return draw.save(figure)


def _curve_names(runs: Sequence[str], diverged: Container[str]) -> list[str]:
    """Of the curves that have a colour, and of all others together."""
    named = [f"{run} (diverged)" if run in diverged else run for run in runs[:LABELLED]]
    return [*named, *(["others"] if len(runs) > LABELLED else [])]


def _legend_columns(names: Iterable[str]) -> int:
    """As many as the widest name leaves room for: names that differ only at their ends must not be cut there."""
    widest = max(width_of(name, SIZE) for name in names)
    return max(1, min(NAMES, int(WIDE / (widest + SWATCH))))


def _panel(
    ax: Axes, histories: dict[str, pd.DataFrame], column: str, names: Sequence[str], diverged: Container[str]
) -> None:
    """The limits follow the runs that did not diverge: the last values of one that did may be huge."""
    ax.grid(axis="y")
    if max((len(history) for history in histories.values()), default=0) > 1:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    else:
        ax.set_xticks([1])
    for i, (run, history) in reversed(list(enumerate(histories.items()))):
        style = {"color": draw.CYCLE[i]} if i < LABELLED else {"color": "#c3c8d0", "linewidth": 1}
        style["label"] = names[i] if i < len(names) else "_"  # which matplotlib leaves out of the legend
        if run in diverged and i < LABELLED:
            style["linestyle"] = ":"
        finite = history[np.isfinite(history[column].astype(float))]
        ax.plot(finite["epoch"], finite[column], marker="o" if len(finite) == 1 else "", **style)
    largest = [history[column].max() for run, history in histories.items() if run not in diverged]
    if largest:
        ax.set_ylim(top=min(ax.get_ylim()[1], 1.05 * max(largest)))
