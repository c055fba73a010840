"""Table 6: average precision per class on PASCAL VOC 2012, or on a set that stands in for it, beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from zfrepro import paper
from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import Cell, Column, Highlight, Row, Table, difference, heading, make_row
from zfrepro.exhibits.kit.numbers import Number, printed_number, printed_value
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.exhibits.kit.texts import shorten
from zfrepro.measurements import transfers
from zfrepro.storage import artifacts

TITLE = "Transfer to PASCAL VOC 2012"
PAPER = "Table 6"
TARGET = "voc2012"
LABEL = 1.5  # inches of a class name beside a panel
NAMES = {  # VOC's class name -> the paper's, where they differ
    "aeroplane": "Airplane",
    "diningtable": "Dining table",
    "pottedplant": "Potted plant",
    "tvmonitor": "Tv",
}
PRINTED = {
    "A_sande2012": "Sande et al.",
    "B_yan2012": "Yan et al.",
    "oquab2014_eccv_only": "Oquab et al.",
    "ours": "Zeiler & Fergus",
}
MEAN, CLASSES, WON = "mean", 20, "Classes with the highest average precision of the three methods in the arXiv version"
OURS = {  # column -> label of `transfers.needs`, classifier, heading
    "softmax": ("pretrained", "softmax", "one softmax"),
    "sigmoids": ("pretrained", "sigmoids", "one sigmoid per class"),
    "hog": ("hog", "sigmoids", "HOG, sigmoids"),
    "random": ("random", "softmax", "random layers, softmax"),
}
STYLES = {
    "paper": (draw.PAPER, "o", "paper, one softmax"),
    "softmax": (draw.OURS, "D", "this experiment, one softmax"),
    "sigmoids": (draw.SKY, "x", "this experiment, one sigmoid per class"),
    "hog": (draw.PURPLE, "s", "HOG, sigmoids"),
}


def needs(config: Any) -> dict[str, str]:
    files = transfers.needs(config, TARGET)
    return {label: files[label] for label in ("folds", "pretrained", "random", "hog") if label in files}


@dataclass(frozen=True)
class _Precisions:
    """One classifier: class name -> average precision in percent (None: in no test image), and their mean."""

    classes: dict[str, Number | None]
    mean: Number


def build(files: Mapping[str, Path]) -> Table:
    record, precisions = artifacts.load_json(files["folds"]), _load(files)
    lines = {line["name"]: line for line in paper.rows("table6_pascal2012")}
    printed = {line["row_label"]: line for line in list(lines.values())[:CLASSES]}
    names = list(precisions["softmax"].classes)
    printed_names = {name: _printed_name(name) for name in names} if record["target"] == TARGET else {}
    columns = _columns(precisions)
    rows = [_row("Mean", lines[MEAN], {name: classifier.mean for name, classifier in precisions.items()}, columns)]
    if printed_names:
        rows += _rows_of_paper(printed, printed_names, precisions, columns)
        rows.append(_count_wins(lines["won-of-3"], printed, printed_names, precisions, columns))
    else:
        class_rows = [
            _row(name, {}, {c: classifier.classes[name] for c, classifier in precisions.items()}, columns)
            for name in names
        ]
        rows = [
            heading("Mean over the classes", columns), *rows,
            heading("Classes of this experiment; the figure shows the paper's", columns), *class_rows,
        ]  # fmt: skip
    return Table(
        caption=_caption(record, names),
        columns=columns,
        rows=tuple(rows),
        drawing=_plot(printed, printed_names, names, precisions, record["target"]),
        alt=_alt(precisions),
        notes=tuple(_notes(printed_names)),
        highlights=_highlights(lines[MEAN], precisions["softmax"]),
    )


def _load(files: Mapping[str, Path]) -> dict[str, _Precisions]:
    """Column -> average precisions, of the classifiers that were run."""
    records = {label: artifacts.load_json(path) for label, path in files.items() if label != "folds"}
    precisions = {}
    for column, (label, classifier, _) in OURS.items():
        for record in records.get(label, {"precisions": ()})["precisions"]:
            if record["classifier"] == classifier:
                numbers = [None if value is None else Number(value) for value in record["classes"]]
                classes = dict(zip(records[label]["class_names"], numbers, strict=True))
                precisions[column] = _Precisions(
                    classes, Number(record["mean"], low=record["low"], high=record["high"])
                )
    return precisions


def _printed_name(name: str) -> str:
    return NAMES.get(name, name.capitalize())


def _columns(precisions: Mapping[str, _Precisions]) -> tuple[Column, ...]:
    theirs = [Column(key, label, "paper", "paper, test set") for key, label in PRINTED.items()]
    ours = [Column(f"here_{name}", OURS[name][2], "ours", "ours, validation set") for name in precisions]
    diff = Column("difference", "softmax minus paper", "difference", "ours, validation set")
    return (Column("row", "Class", "label"), *theirs, ours[0], diff, *ours[1:])


def _row(
    label: str, line: Mapping[str, Any], ours: Mapping[str, Number | None], columns: Sequence[Column], kind: str = ""
) -> Row:
    theirs = {key: printed_number(line.get(key)) for key in PRINTED}
    cells: dict[str, Cell] = {"row": label, **theirs, "difference": difference(ours.get("softmax"), theirs["ours"])}
    cells |= {f"here_{name}": number or "in no test image" for name, number in ours.items()}
    return make_row(columns, cells, kind, partial=True)


def _rows_of_paper(
    printed: Mapping[str, Mapping[str, Any]],
    printed_names: Mapping[str, str],
    precisions: Mapping[str, _Precisions],
    columns: Sequence[Column],
) -> list[Row]:
    """VOC itself: the paper's rows with our numbers, except for classes that were not used."""
    our_names = {theirs: name for name, theirs in printed_names.items()}
    return [
        _row(label, line, {c: result.classes[our_names[label]] for c, result in precisions.items()}, columns)
        if label in our_names
        else _row(label, line, {}, columns)
        for label, line in printed.items()
    ]


def _count_wins(
    line: Mapping[str, Any],
    printed: Mapping[str, Mapping[str, Any]],
    printed_names: Mapping[str, str],
    precisions: Mapping[str, _Precisions],
    columns: Sequence[Column],
) -> Row:
    """Ours against the paper's two other methods, as the paper counts: theirs on the test set, ours on the validation set."""
    wins = {}
    for name, classifier in precisions.items():
        pairs = [
            (number, printed[theirs])
            for our_name, theirs in printed_names.items()
            if (number := classifier.classes[our_name])
        ]
        wins[name] = sum(number.value > max(others["A_sande2012"], others["B_yan2012"]) for number, others in pairs)
    theirs = {key: Number(value, 0) for key in PRINTED if (value := printed_value(line.get(key))) is not None}
    cells: dict[str, Cell] = {"row": WON, **theirs, **{f"here_{name}": Number(n, 0) for name, n in wins.items()}}
    return make_row(columns, cells, partial=True)


def _caption(record: Mapping[str, Any], names: Sequence[str]) -> str:
    split = (
        f"trained on its {record['train_pictures']:,} training images, scored on its {record['val_pictures']:,} validation images"
        if record["own_splits"]
        else "on a random split"
    )
    return (
        f"Average precision in percent, as PASCAL VOC defines it. Target here: {record['target']}, {len(names)} classes, "
        f"{split}, because the labels of VOC's test images are not public. One softmax: over one label per image, that of its "
        "largest object, as in the paper; one sigmoid per class: over all of them. Layer 7 is frozen. Intervals of the mean: 95 %, "
        "bootstrap over test images."
    )


def _notes(printed_names: Mapping[str, str]) -> list[str]:
    notes = [
        "Objects marked as difficult are ignored, as in VOC's evaluation.",
        "The paper's table has misprints: for dining table both other methods repeat the row above, Oquab's boat repeats bottle. "
        "Means and counts are as printed.",
    ]
    if not printed_names:
        notes.append("The classes here are not VOC's, so only the means can be compared.")
    elif len(printed_names) < CLASSES:
        notes.append(f"{len(printed_names)} of the {CLASSES} classes were used; our mean is over these.")
    return notes


def _plot(
    printed: Mapping[str, Mapping[str, Any]],
    printed_names: Mapping[str, str],
    names: Sequence[str],
    precisions: Mapping[str, _Precisions],
    target: str,
) -> Drawing:
    theirs = {label: printed_number(line["ours"]) for label, line in printed.items()}
    ours = {
        name: {printed_names.get(label, label): number for label, number in precisions[name].classes.items()}
        for name in STYLES
        if name in precisions
    }
    panels = [("Average precision", list(theirs), {"paper": theirs, **ours})]
    if not printed_names:
        panels = [("Paper: PASCAL VOC 2012", list(theirs), {"paper": theirs}), (f"Here: {target}", list(names), ours)]
    with draw.figure(6.6, 1.0 + 0.17 * max(len(labels) for _, labels, _ in panels)) as figure:
        axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
        for ax, (title, labels, series) in zip(axes, panels, strict=True):
            _panel(ax, labels, series)
            ax.set_title(title)
        handles = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=2)
        return draw.save(figure)


def _panel(ax: Axes, labels: Sequence[str], series: Mapping[str, Mapping[str, Number | None]]) -> None:
    ax.grid(axis="both")
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    for name, numbers in series.items():
        colour, marker, label = STYLES[name]
        points = [(number.value, y) for y, row in enumerate(labels) if (number := numbers.get(row))]
        style: dict[str, Any] = {"facecolors": "none", "edgecolors": colour} if marker in "os" else {"color": colour}
        x, y = zip(*points, strict=True) if points else ((), ())
        ax.scatter(x, y, marker=marker, s=20, linewidths=1.1, label=label, zorder=3, **style)
    ax.set_yticks(range(len(labels)), [shorten(label, LABEL, 7.5) for label in labels])
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.set_xlim(0, 100)
    ax.set_xlabel("average precision (%)")


def _alt(precisions: Mapping[str, _Precisions]) -> str:
    means = "; ".join(f"{OURS[name][2]} {classifier.mean.texts()['text']}" for name, classifier in precisions.items())
    return f"Dot plot of average precision by class, the paper's hollow. Means of ours in percent: {means}."


def _highlights(line: Mapping[str, Any], softmax: _Precisions) -> tuple[Highlight, ...]:
    label, printed = "PASCAL VOC: mean average precision (%), one softmax", Number(line["ours"])
    return (Highlight(label, softmax.mean.texts()["text"], printed.texts()["text"]),)
