"""Accuracy on a target set, by method and training images per class: the body of Tables 4 and 5."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from zfrepro import paper
from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import (
    COMPARED,
    Cell,
    Column,
    Highlight,
    Row,
    Table,
    difference,
    heading,
    make_panel,
    make_row,
)
from zfrepro.exhibits.kit.numbers import Number, fold_curve, printed_number, printed_value
from zfrepro.measurements import transfers
from zfrepro.storage import artifacts

METHODS = {  # rows that the paper has and we run, also labels of `transfers.needs` -> full name
    "scratch": "Non-pretrained convnet",
    "pretrained": "Pretrained convnet",
}
BASELINES = {"hog": transfers.HOG, "random": transfers.RANDOM}
SECTIONS = "Rows of the paper", "Baselines of our own, not in the paper"
MAX_SIZES = 3  # with more numbers of training images, the columns of differences are left out
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
    record, folds = artifacts.load_json(files["folds"]), transfers.Folds.load(files["folds"])
    overlap = record["overlap"]
    return Table(
        caption=f"Mean of the per-class accuracies in percent, by training images per class. Target here: {folds.text()}. "
        f"Pretrained: the paper's network on ImageNet, ours on {overlap['source']}, {overlap['source_pictures']:,} images.",
        columns=columns,
        rows=(
            heading(SECTIONS[0], columns),
            *rows,
            *([heading(SECTIONS[1], columns), *baselines] if baselines else []),
        ),
        png=_plot([*rows, *baselines], columns),
        alt=_alt([*rows, *baselines], columns),
        notes=tuple(_notes(files, record, folds)),
        highlights=_highlights(lines, accuracies, role),
    )


def _sizes(line: Mapping[str, Any], curves: Curves) -> list[int]:
    """The sizes of the paper's table; also our largest where we measured none of them."""
    printed = [int(key.removeprefix("acc").removesuffix("_pct")) for key in line if key.endswith("_pct")]
    measured = sorted({k for curve in curves.values() for k in curve})
    return printed if set(printed) & set(measured) else sorted({*printed, *measured[-1:]})


def _columns(sizes: Sequence[int]) -> tuple[Column, ...]:
    compared_columns = COMPARED if len(sizes) <= MAX_SIZES else COMPARED[:2]
    return (
        Column("row", "Method", "label"),
        *(
            Column(f"acc{k}_{suffix}", label, role, f"{k} per class")
            for k in sizes
            for suffix, label, role in compared_columns
        ),
    )


def _row(line: Mapping[str, Any], curves: Curves, sizes: Sequence[int], columns: Sequence[Column]) -> Row:
    method = line["name"] if line["name"] in METHODS else None
    label = METHODS[method] if method else line["row_label"]
    cells: dict[str, Cell] = {"row": label}
    for k in sizes:
        theirs = printed_number(line.get(f"acc{k}_pct"), printed_value(line.get(f"acc{k}_pm")))
        ours = curves[method].get(k) if method else None
        cells |= {f"acc{k}_paper": theirs, f"acc{k}_ours": ours or ("not run" if method else None)}
        cells[f"acc{k}_diff"] = difference(ours, theirs)
    row_cells = {column.key: cells[column.key] for column in columns}
    return make_row(columns, row_cells, "unrun" if method and not curves[method] else "")


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
    notes = [f"{spread} The paper does not say what its ± is."]
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


def _plot(rows: Sequence[Row], columns: Sequence[Column]) -> bytes:
    keys = {column.group: column.key.removesuffix("_ours") for column in columns if column.role == "ours"}
    panels = [make_panel(group, rows, key) for group, key in keys.items()]
    return draw.dot_plot([row.label for row in rows], panels, "accuracy (%)")


def _alt(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    accuracies = [
        f"{row.label}, {column.group}: {row.text(column.key)}"
        for row in rows
        for column in columns
        if column.role == "ours" and row.number(column.key)
    ]
    return "Dot plot of accuracy by method, paper hollow, ours filled. Ours in percent: " + "; ".join(accuracies)


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
