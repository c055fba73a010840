"""Fig 9: accuracy on Caltech-256 by training images per class, and how few of them suffice to exceed a baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zfrepro import paper
from zfrepro.exhibits.kit import accuracy_curves, draw
from zfrepro.exhibits.kit.accuracy_curves import Curve, Level, Panel
from zfrepro.exhibits.kit.base import Cell, Column, Highlight, Picture, Row, heading, make_row
from zfrepro.exhibits.kit.numbers import Number, fold_curve, printed_number, printed_value
from zfrepro.measurements import transfers

TITLE = "Accuracy on Caltech-256 by number of training images"
PAPER = "Figure 9"
TARGET = "caltech256"
COLUMNS = (
    Column("series", "Features and classifier", "label"),
    Column("per_class", "Training images per class"),
    Column("accuracy_paper", "paper", "paper"),
    Column("accuracy_ours", "ours", "ours"),
)
CURVES, LEVELS = "Accuracy (%)", "The dashed line"
NAMES = {  # label of `transfers.needs` -> series
    "pretrained": "Pretrained layers 1-7, softmax",
    "scratch": "Non-pretrained convnet",
    "hog": transfers.HOG,
    "random": "Random layers 1-7, softmax",
}
PRINTED = {"Our Model": NAMES["pretrained"], "Bo etal": "Bo et al., 2013", "Sohn etal": "Sohn et al., 2011"}
BO = PRINTED["Bo etal"]
BASELINES = ("hog", "scratch")  # the first that was run is the dashed line, which pretrained features should exceed
STYLES = {  # series -> colour, marker
    NAMES["pretrained"]: (draw.OURS, "o"),
    NAMES["hog"]: (draw.PURPLE, "s"),
    NAMES["scratch"]: (draw.GREEN, "^"),
    NAMES["random"]: (draw.ORANGE, "v"),
}
PRINTED_STYLES = {NAMES["pretrained"]: (draw.PAPER, "o"), BO: (draw.MUTED, "s"), PRINTED["Sohn etal"]: ("#9aa1ac", "^")}


def needs(config: Any) -> dict[str, str]:
    return {label: file for label, file in transfers.needs(config, TARGET).items() if not label.startswith("run/")}


def build(files: Mapping[str, Path]) -> Picture:
    folds, curves, printed = transfers.Folds.load(files["folds"]), _ours(files), _paper_curves()
    theirs, ours = Level.from_curves(BO, printed[BO], printed[NAMES["pretrained"]]), _level(curves)
    panels = (
        Panel("Paper: ImageNet to Caltech-256", printed, theirs, PRINTED_STYLES, hollow=True),
        Panel(f"This experiment: {folds.target}", curves, ours, STYLES, hollow=False),
    )
    bars = (
        "Bars: ± in the paper, standard deviation over the splits here" if folds.folds > 1 else "Bars: ± in the paper"
    )
    levels = [_describe("Dashed, left", theirs, printed), *([_describe("Dashed, right", ours, curves)] if ours else [])]
    return Picture(
        caption=f"Left: the paper's figure. Right: this experiment. Target here: {folds.text()}. {bars}. {' '.join(levels)}",
        columns=COLUMNS,
        rows=(*_rows(printed, curves), *_levels(theirs, ours)),
        drawing=accuracy_curves.draw_panels(panels),
        alt=_alt(curves, theirs, ours),
        notes=(
            "The paper's own curve is read from the vector paths of its figure, to about 0.05. The other methods and the non-pretrained "
            "network, which the figure lacks, are from its Table 5.",
        ),
        highlights=_highlights(theirs, ours),
    )


def _ours(files: Mapping[str, Path]) -> dict[str, Curve]:
    """Series -> measured curve, pretrained first."""
    accuracies = transfers.load_accuracies(files)
    measured = {series: fold_curve(transfers.shown_curve(accuracies, method)) for method, series in NAMES.items()}
    return {series: curve for series, curve in measured.items() if curve}


def _paper_curves() -> dict[str, Curve]:
    """Series -> the curve of the paper's figure."""
    curves: dict[str, dict[int, Number]] = {}
    for line in paper.rows("fig9_caltech256_curve_digitised"):
        spread = printed_value(line["acc_pm"])
        number = printed_number(line["acc_pct"], None if spread is None else round(spread, 1))
        if number:
            curves.setdefault(PRINTED[line["series"]], {})[int(line["train_per_class"])] = number
    return {**curves}


def _level(curves: Mapping[str, Curve]) -> Level | None:
    baseline = next((NAMES[method] for method in BASELINES if NAMES[method] in curves), None)
    if baseline is None:
        return None
    return Level.from_curves(baseline, curves[baseline], curves.get(NAMES["pretrained"], {}))


def _rows(printed: Mapping[str, Curve], curves: Mapping[str, Curve]) -> list[Row]:
    paper_curves = {**_non_pretrained(), **printed}
    rows = [heading(CURVES, COLUMNS)]
    for series in dict.fromkeys((*printed, *curves)):
        theirs, ours = paper_curves.get(series, {}), curves.get(series, {})
        absent = "not run" if series == NAMES["pretrained"] else None
        rows += [_row(series, Number(k, 0), theirs.get(k), ours.get(k) or absent) for k in sorted({*theirs, *ours})]
    return rows


def _row(series: str, per_class: Number | None, paper: Cell, ours: Cell) -> Row:
    cells = {"series": series, "per_class": per_class, "accuracy_paper": paper, "accuracy_ours": ours}
    return make_row(COLUMNS, cells)


def _non_pretrained() -> dict[str, Curve]:
    """From the paper's Table 5; its figure lacks it."""
    line = next(line for line in paper.rows("table5_caltech256") if line["name"] == "scratch")
    sizes = [int(key[3:-4]) for key in line if key.endswith("_pct")]
    numbers = {k: printed_number(line[f"acc{k}_pct"], line[f"acc{k}_pm"]) for k in sizes}
    return {NAMES["scratch"]: {k: number for k, number in numbers.items() if number}}


def _levels(theirs: Level, ours: Level | None) -> list[Row]:
    numbers: dict[str, Callable[[Level], Cell]] = {
        "Training images per class": lambda level: Number(level.per_class, 0),
        "Accuracy (%)": lambda level: Number(level.value),
        "Fewest images per class that exceed it": lambda level: (
            Number(level.exceeded_at, 0) if level.exceeded_at else level.exceeded
        ),
    }
    lines = [_row(name, None, number(theirs), number(ours) if ours else None) for name, number in numbers.items()]
    return [heading(LEVELS, COLUMNS), *lines]


def _describe(name: str, level: Level, curves: Mapping[str, Curve]) -> str:
    """`Dashed, left: Bo et al., 2013, with 60 per class, 55.2 %; pretrained features exceed it with 6, not with 5.`"""
    curve = curves.get(NAMES["pretrained"], {})
    head = f"{name}: {level.series}, with {level.per_class} per class, {level.value:.1f} %;"
    if level.exceeded_at is None:
        best = max(curve.items(), key=lambda point: point[1].value, default=None)
        top = f" (at best {best[1].value:.1f} %, with {best[0]})" if best else ""
        return f"{head} pretrained features never exceed it{top}."
    fewer = [k for k in curve if k < level.exceeded_at]
    below = f", not with {max(fewer)}" if fewer else ", the fewest measured"
    return f"{head} pretrained features exceed it with {level.exceeded_at}{below}."


def _alt(curves: Mapping[str, Curve], theirs: Level, ours: Level | None) -> str:
    ends = [
        f"{series} {curve[min(curve)].value:.1f} with {min(curve)}, {curve[max(curve)].value:.1f} with {max(curve)}"
        for series, curve in curves.items()
    ]
    exceeded = [f"{name} {level.exceeded}" for name, level in (("paper", theirs), ("here", ours)) if level]
    return (
        "Two line plots of accuracy over training images per class, the paper's and this experiment's. Ours in percent: "
        f"{'; '.join(ends)}. Images per class with which pretrained features exceed the dashed line: {', '.join(exceeded)}."
    )


def _highlights(theirs: Level, ours: Level | None) -> tuple[Highlight, ...]:
    if ours is None:
        return ()
    label = "Caltech-256: images per class with which pretrained features exceed the best other method"
    return (
        Highlight(label, f"{ours.exceeded} ({ours.series}, {ours.per_class} per class)", f"{theirs.exceeded} ({BO})"),
    )
