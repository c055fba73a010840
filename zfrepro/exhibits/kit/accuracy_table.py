"""What pretraining gains on a target set, by training images per class, and the accuracies: the body of Tables 4 and 5."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zfrepro import paper
from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import (
    Cell,
    Column,
    Highlight,
    Row,
    Table,
    compared_columns,
    difference,
    heading,
    make_panel,
    make_row,
)
from zfrepro.exhibits.kit.effects import effect_cells
from zfrepro.exhibits.kit.numbers import Number, fold_curve, measured_number, printed_number, printed_value
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import transfers
from zfrepro.measurements.intervals import MIN_UNITS
from zfrepro.storage import artifacts

METHODS = {  # rows that the paper has and we run, also labels of `transfers.needs` -> full name
    "scratch": "Non-pretrained convnet",
    "pretrained": "Pretrained convnet",
}
BASELINES = {"hog": transfers.HOG, "random": transfers.RANDOM}
GAINS = {  # what the pretrained features are compared with
    "scratch": "over training from scratch",
    "random": "over random weights",
    "hog": "over HOG (paper: best published)",
}
GAIN = "Gain of pretraining (points)"
SECTIONS = "Accuracy (%): rows of the paper", "Accuracy (%): baselines of our own, not in the paper"
GAIN_NOTE = (
    "Gains: [ ]: 95 % interval of the mean difference over the splits, Student's t, with the variance of splits that share images "
    "(Nadeau and Bengio, 2003), no less than the binomial one, where both have three splits; the claims judge these estimates."
)
Curves = Mapping[str, Mapping[int, Number]]  # method -> training images per class -> accuracy


def needs(config: Any, target: str) -> dict[str, str]:
    return {
        label: file for label, file in transfers.needs(config, target).items() if not label.startswith("run/")
    }  # those are Table 7's


def build(files: Mapping[str, Path], table: str, role: str) -> Table:
    """`table`: name of the paper's table; `role`: the paper's data set, for which the target stands."""
    accuracies = transfers.load_accuracies(files)
    curves = {
        method: fold_curve(transfers.shown_curve(accuracies, method))
        for method in ("scratch", "pretrained", *BASELINES)
    }
    lines = paper.rows(table)
    sizes = _sizes(lines[0], curves)
    columns = _columns(sizes)
    rows = [_row(line, curves, sizes, columns) for line in lines]
    baselines = [_baseline_row(label, curves[method], columns) for method, label in BASELINES.items() if curves[method]]
    target = transfers.Target(artifacts.load_json(files["folds"]), accuracies)
    gains = [_gain_row(method, lines, target, sizes, columns) for method in GAINS]
    record, folds = artifacts.load_json(files["folds"]), transfers.Folds.load(files["folds"])
    overlap = record["overlap"]
    return Table(
        caption="What pretraining adds to the mean of the per-class accuracies, in points, in the paper and here; then the accuracies "
        f"in percent, by training images per class. Target here: {folds.text()}. "
        f"Pretrained: the paper's network on ImageNet, ours on {overlap['source']}, {overlap['source_pictures']:,} images.",
        columns=columns,
        rows=(
            heading(GAIN, columns),
            *gains,
            heading(SECTIONS[0], columns),
            *rows,
            *([heading(SECTIONS[1], columns), *baselines] if baselines else []),
        ),
        drawing=_plot(gains, [*rows, *baselines], columns),
        alt=_alt(gains, [*rows, *baselines], columns),
        notes=tuple(_notes(files, record, folds)),
        highlights=_highlights(lines, accuracies, role),
    )


def _sizes(line: Mapping[str, Any], curves: Curves) -> list[int]:
    """The sizes of the paper's table; also our largest where we measured none of them."""
    printed = [int(key.removeprefix("acc").removesuffix("_pct")) for key in line if key.endswith("_pct")]
    measured = sorted({k for curve in curves.values() for k in curve})
    return printed if set(printed) & set(measured) else sorted({*printed, *measured[-1:]})


def _columns(sizes: Sequence[int]) -> tuple[Column, ...]:
    return (
        Column("row", "Method", "label"),
        *(column for k in sizes for column in compared_columns(f"acc{k}", f"{k} per class")),
    )


def _gain_row(
    method: str, lines: Sequence[Mapping[str, Any]], target: transfers.Target, sizes: Sequence[int], columns: Sequence[Column]
) -> Row:  # fmt: skip
    """By how much pretrained features exceed a method, in points, at each number of training images."""
    cells: dict[str, Cell] = {"row": GAINS[method]}
    measured = set(target.curve("pretrained")) & set(target.curve(method))
    for k in sizes:
        ours = measured_number(target.difference("pretrained", method, k), signed=True) if k in measured else "not run"
        cells |= effect_cells(f"acc{k}", _printed_gain(method, lines, k), ours)
    return make_row(columns, cells, "" if measured else "unrun")


def _printed_gain(method: str, lines: Sequence[Mapping[str, Any]], per_class: int) -> float | None:
    """The paper's: over its network from scratch, over the best of the published methods in place of HOG; None: not printed."""
    printed = {line["name"]: printed_value(line.get(f"acc{per_class}_pct")) for line in lines}
    published = [printed[line["name"]] for line in lines if line["group"] == "prior"]
    rivals = {"scratch": [printed["scratch"]], "hog": published}.get(method, [])
    numbers = [number for number in rivals if number is not None]
    pretrained = printed["pretrained"]
    return pretrained - max(numbers) if numbers and pretrained is not None else None


def _row(line: Mapping[str, Any], curves: Curves, sizes: Sequence[int], columns: Sequence[Column]) -> Row:
    method = line["name"] if line["name"] in METHODS else None
    label = METHODS[method] if method else line["row_label"]
    cells: dict[str, Cell] = {"row": label}
    for k in sizes:
        theirs = printed_number(line.get(f"acc{k}_pct"), printed_value(line.get(f"acc{k}_pm")))
        ours = curves[method].get(k) if method else None
        cells |= {f"acc{k}_paper": theirs, f"acc{k}_ours": ours or ("not run" if method else None)}
        cells[f"acc{k}_diff"] = difference(ours, theirs)
    return make_row(columns, cells, "unrun" if method and not curves[method] else "")


def _baseline_row(label: str, curve: Mapping[int, Number], columns: Sequence[Column]) -> Row:
    accuracies = {f"acc{k}_ours": number for k, number in curve.items()}
    ours = {column.key: accuracies.get(column.key, "not run") for column in columns if column.role == "ours"}
    return make_row(columns, {"row": label, **ours}, partial=True)


def _notes(files: Mapping[str, Path], record: Mapping[str, Any], folds: transfers.Folds) -> list[str]:
    spread = (
        f"± of ours: standard deviation over the {folds.folds} splits, which differ in training and test images."
        if folds.folds > 1
        else "Ours has no ± because there was one split."
    )
    notes = [f"{spread} The paper does not say what its ± is.", *([GAIN_NOTE] if folds.folds >= MIN_UNITS else [])]
    if "scratch" in files:
        notes.append(_scratch_note(artifacts.load_json(files["scratch"]), folds))
    left_out = _left_out(record)
    return [*notes, left_out] if left_out else notes


def _scratch_note(scratch: Mapping[str, Any], folds: transfers.Folds) -> str:
    """How long the network was trained from scratch, and how well it fits its training images at the end."""
    fewer = f", on the first {scratch['folds']} of the splits only" if 1 < scratch["folds"] < folds.folds else ""
    fewer = ", on the first split only, hence without ±" if scratch["folds"] == 1 < folds.folds else fewer
    errors = "; ".join(_training_error(accuracy) for accuracy in scratch["accuracies"])
    return (
        f"Non-pretrained: a network of the same kind, trained only on the target's training images for {scratch['steps']:,} "
        f"mini-batches{fewer}. Its training error in the last epoch: {errors}."
    )


def _training_error(accuracy: Mapping[str, Any]) -> str:
    error, fell = (statistics.fmean(accuracy[name]) for name in ("train_error", "still_falling"))
    change = f"{'down' if fell >= 0 else 'up'} {abs(fell):.1f} points over the last fifth of training"
    return f"{error:.1f} % with {accuracy['per_class']} per class ({change})"


def _left_out(record: Mapping[str, Any]) -> str:
    """How many images of the target set were not used, and why; "" if all were."""
    overlap, copies, dropped = record["overlap"], len(record["duplicates"]), len(record["dropped"])
    similar, threshold = len(overlap["left_out"]), overlap["threshold"]
    reasons = [
        f"{similar} {'image' if similar == 1 else 'images'} similar to one of the source (correlation of at least {threshold})",
        f"{copies} {'copy' if copies == 1 else 'copies'} within the set",
        f"{dropped} {'class' if dropped == 1 else 'classes'} with too few images",
    ]
    applicable = [reason for reason, count in zip(reasons, (similar, copies, dropped), strict=True) if count]
    return (
        f"Left out of the target set: {', '.join(applicable)}. The exhibit on overlaps lists them."
        if applicable
        else ""
    )


def _plot(gains: Sequence[Row], accuracies: Sequence[Row], columns: Sequence[Column]) -> Drawing:
    rows = [heading(GAIN, columns), *gains, heading("Accuracy (%)", columns), *accuracies]
    keys = {column.group: column.key.removesuffix("_ours") for column in columns if column.role == "ours"}
    panels = [make_panel(group, rows, key) for group, key in keys.items()]
    headings = {i for i, row in enumerate(rows) if row.kind == "heading"}
    return draw.dot_plot([row.label for row in rows], panels, "percent", headings, zero=True)


def _alt(gains: Sequence[Row], accuracies: Sequence[Row], columns: Sequence[Column]) -> str:
    return (
        "Dot plot of what pretraining gains, and of accuracy by method, paper hollow, ours filled. Our gains in points: "
        f"{_list_ours(gains, columns)}. Our accuracies in percent: {_list_ours(accuracies, columns)}"
    )


def _list_ours(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    return "; ".join(
        f"{row.label}, {column.group}: {row.text(column.key)}"
        for row in rows
        for column in columns
        if column.role == "ours" and row.number(column.key)
    )


def _highlights(lines: Sequence[Mapping[str, Any]], accuracies: pd.DataFrame, role: str) -> tuple[Highlight, ...]:
    """What pretraining adds at the most training images that both methods have: the mean over the folds that both have."""
    scratch, pretrained = (transfers.shown_curve(accuracies, method) for method in ("scratch", "pretrained"))
    shared = sorted(set(scratch) & set(pretrained))
    if not shared:
        return ()
    k, by_method = shared[-1], {line["name"]: line for line in lines}
    gain = Number(statistics.fmean(transfers.subtract_folds(pretrained[k], scratch[k])), signed=True)
    theirs, without = (printed_number(by_method[method].get(f"acc{k}_pct")) for method in ("pretrained", "scratch"))
    printed = difference(theirs, without)
    label = f"{role}: accuracy (points) gained by pretraining, {k} images per class"
    return (Highlight(label, gain.texts()["text"], printed.texts()["text"] if printed else ""),)
