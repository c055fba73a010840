"""Table 6: average precision by class on PASCAL VOC 2012, beside the paper's; or on a set that stands in for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from zfrepro import paper
from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import Cell, Column, Highlight, Row, Table, difference, heading, make_row
from zfrepro.measurements import runs, transfers
from zfrepro.measurements.estimate import Number
from zfrepro.storage import artifacts

TITLE = "Transfer to PASCAL VOC 2012"
PAPER = "Table 6"
TARGET = "voc2012"
NAMES = {  # VOC's names of classes that the paper spells otherwise
    "aeroplane": "Airplane",
    "diningtable": "Dining table",
    "pottedplant": "Potted plant",
    "tvmonitor": "Tv",
}
PRINTED = {
    "A_sande2012": "Sande et al.",
    "B_yan2012": "Yan et al.",
    "oquab2014_eccv_only": "Oquab et al.",
    "ours": "its own",
}
MEAN, CLASSES, WON = "mean", 20, "Classes on which it is the best of the three published in arXiv's version"
OURS = {  # column -> label of `transfers.needs`, classifier, heading
    "softmax": ("pretrained", "softmax", "one softmax"),
    "sigmoids": ("pretrained", "sigmoids", "one sigmoid a class"),
    "hog": ("hog", "sigmoids", "HOG, sigmoids"),
    "random": ("random", "softmax", "random layers, softmax"),
}
LOOKS = {
    "paper": (draw.PAPER, "o", "paper, one softmax"),
    "softmax": (draw.OURS, "D", "this experiment, one softmax"),
    "sigmoids": (draw.SKY, "x", "this experiment, one sigmoid a class"),
    "hog": (draw.PURPLE, "s", "HOG, sigmoids"),
}


def needs(config: Any) -> dict[str, str]:
    files = transfers.needs(config, TARGET)
    return {label: files[label] for label in ("folds", "pretrained", "random", "hog") if label in files}


@dataclass(frozen=True)
class _Found:
    """One classifier: class name -> average precision in percent (None: no test picture shows it), and their mean."""

    classes: dict[str, Number | None]
    mean: Number


def build(files: Mapping[str, Path]) -> Table:
    told, found = artifacts.load_json(files["folds"]), _found(files)
    lines = {line["name"]: line for line in paper.table("table6_pascal2012").to_dict("records")}
    printed = {line["row_label"]: line for line in list(lines.values())[:CLASSES]}
    names = list(found["softmax"].classes)
    same = {name: _printed_name(name) for name in names} if told["target"] == TARGET else {}
    columns = _columns(found)
    rows = [_row("Mean", lines[MEAN], {name: one.mean for name, one in found.items()}, columns)]
    if same:
        rows += _beside(printed, same, found, columns)
        rows.append(_won(lines["won-of-3"], printed, same, found, columns))
    else:
        here = [_row(name, {}, {c: one.classes[name] for c, one in found.items()}, columns) for name in names]
        rows = [
            heading("Mean over the classes", columns), *rows,
            heading("Classes of this experiment; the paper's are in the picture", columns), *here,
        ]  # fmt: skip
    return Table(
        caption=_caption(told, names),
        columns=columns,
        rows=tuple(rows),
        png=_plot(printed, same, names, found, told["target"]),
        alt=_alt(found),
        notes=tuple(_notes(same)),
        highlights=_highlights(lines[MEAN], found["softmax"]),
    )


def _found(files: Mapping[str, Path]) -> dict[str, _Found]:
    """Column -> what was measured, of those that were."""
    measured = {label: artifacts.load_json(path) for label, path in files.items() if label != "folds"}
    found = {}
    for column, (label, classifier, _) in OURS.items():
        for one in measured.get(label, {"precisions": ()})["precisions"]:
            if one["classifier"] == classifier:
                numbers = [None if value is None else Number(value) for value in one["classes"]]
                classes = dict(zip(measured[label]["class_names"], numbers, strict=True))
                found[column] = _Found(classes, Number(one["mean"], low=one["low"], high=one["high"]))
    return found


def _printed_name(name: str) -> str:
    return NAMES.get(name, name.capitalize())


def _columns(found: Mapping[str, _Found]) -> tuple[Column, ...]:
    theirs = [Column(key, label, "paper", "paper, test set") for key, label in PRINTED.items()]
    ours = [Column(f"here_{name}", OURS[name][2], "ours", "ours, validation set") for name in found]
    diff = Column("difference", "softmax less paper", "difference", "ours, validation set")
    return (Column("row", "Class", "label"), *theirs, ours[0], diff, *ours[1:])


def _row(
    label: str, line: Mapping[str, Any], ours: Mapping[str, Number | None], columns: Sequence[Column], kind: str = ""
) -> Row:
    theirs = {key: runs.shown(line.get(key)) for key in PRINTED}
    beside = theirs["ours"] and ours.get("softmax") and difference(ours["softmax"].value, theirs["ours"].value)
    cells: dict[str, Cell] = {"row": label, **theirs, "difference": beside or None}
    cells |= {f"here_{name}": number or "no picture shows it" for name, number in ours.items()}
    return make_row(columns, cells, kind, partial=True)


def _beside(
    printed: Mapping[str, Mapping[str, Any]],
    same: Mapping[str, str],
    found: Mapping[str, _Found],
    columns: Sequence[Column],
) -> list[Row]:
    """VOC itself: the paper's rows, ours in them; classes that were not taken stay without."""
    own = {theirs: name for name, theirs in same.items()}
    return [
        _row(label, line, {c: one.classes[own[label]] for c, one in found.items()} if label in own else {}, columns)
        for label, line in printed.items()
    ]


def _won(
    line: Mapping[str, Any],
    printed: Mapping[str, Mapping[str, Any]],
    same: Mapping[str, str],
    found: Mapping[str, _Found],
    columns: Sequence[Column],
) -> Row:
    """Ours against the paper's two rivals, as the paper counted its own: they saw the test set, ours the validation set."""
    wins = {}
    for name, one in found.items():
        both = [(one.classes[own], printed[theirs]) for own, theirs in same.items() if one.classes[own]]
        wins[name] = sum(number.value > max(of["A_sande2012"], of["B_yan2012"]) for number, of in both)
    theirs = {key: Number(value, 0) for key in PRINTED if (value := runs.value(line.get(key))) is not None}
    cells: dict[str, Cell] = {"row": WON, **theirs, **{f"here_{name}": Number(n, 0) for name, n in wins.items()}}
    return make_row(columns, cells, partial=True)


def _caption(told: Mapping[str, Any], names: Sequence[str]) -> str:
    split = (
        f"trained on its {told['train_pictures']:,} training pictures, scored on its {told['val_pictures']:,} validation pictures"
        if told["own_splits"]
        else "on a random split"
    )
    return (
        f"Average precision in percent, by PASCAL VOC's own definition. Target here: {told['target']}, {len(names)} classes, "
        f"{split}, because the labels of VOC's test pictures are not public. One softmax: over one label a picture, that of its "
        "largest object, as in the paper; one sigmoid a class: over all of them. Layer 7 is frozen. Intervals of the mean: 95 %, "
        "bootstrap over test pictures."
    )


def _notes(same: Mapping[str, str]) -> list[str]:
    notes = [
        "Objects that are marked difficult are left out of account, as in VOC's evaluation.",
        "The paper's table has misprints: for dining table both rivals repeat the row above, Oquab's boat repeats bottle. "
        "Means and counts are as printed.",
    ]
    if not same:
        notes.append("The classes here are not VOC's, so nothing but the means can be set side by side.")
    elif len(same) < CLASSES:
        notes.append(f"{len(same)} of the {CLASSES} classes were taken; the mean of ours is over these.")
    return notes


def _plot(
    printed: Mapping[str, Mapping[str, Any]],
    same: Mapping[str, str],
    names: Sequence[str],
    found: Mapping[str, _Found],
    target: str,
) -> bytes:
    theirs = {label: runs.shown(line["ours"]) for label, line in printed.items()}
    ours = {
        name: {same.get(label, label): number for label, number in found[name].classes.items()}
        for name in LOOKS
        if name in found
    }
    panels = [("Average precision", list(theirs), {"paper": theirs, **ours})]
    if not same:
        panels = [("Paper: PASCAL VOC 2012", list(theirs), {"paper": theirs}), (f"Here: {target}", list(names), ours)]
    with draw.figure(6.6, 1.0 + 0.17 * max(len(labels) for _, labels, _ in panels)) as drawn:
        axes = drawn.subplots(1, len(panels), sharex=True, squeeze=False)[0]
        for ax, (title, labels, series) in zip(axes, panels, strict=True):
            _panel(ax, labels, series)
            ax.set_title(title)
        named = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        drawn.legend(named.values(), named.keys(), loc="outside lower left", ncols=2)
        return draw.png(drawn)


def _panel(ax: Axes, labels: Sequence[str], series: Mapping[str, Mapping[str, Number | None]]) -> None:
    ax.grid(axis="both")
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    for name, numbers in series.items():
        colour, marker, label = LOOKS[name]
        there = [(number.value, y) for y, row in enumerate(labels) if (number := numbers.get(row))]
        look = {"facecolors": "none", "edgecolors": colour} if marker in "os" else {"color": colour}
        x, y = zip(*there, strict=True) if there else ((), ())
        ax.scatter(x, y, marker=marker, s=20, linewidths=1.1, label=label, zorder=3, **look)
    ax.set_yticks(range(len(labels)), [draw.shortened(label, 24) for label in labels])
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.set_xlim(0, 100)
    ax.set_xlabel("average precision (%)")


def _alt(found: Mapping[str, _Found]) -> str:
    means = "; ".join(f"{OURS[name][2]} {one.mean.texts()['text']}" for name, one in found.items())
    return f"Dot plot of average precision by class, the paper's hollow. Means of ours in percent: {means}."


def _highlights(line: Mapping[str, Any], softmax: _Found) -> tuple[Highlight, ...]:
    printed = runs.shown(line["ours"]).texts()["text"]
    return (Highlight("PASCAL VOC: mean average precision (%), one softmax", softmax.mean.texts()["text"], printed),)
