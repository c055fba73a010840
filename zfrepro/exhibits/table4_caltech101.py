"""Table 4: accuracy on a second data set, features kept from the source set against training from nothing."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zfrepro import artifacts, paper
from zfrepro.exhibits import draw, runs
from zfrepro.exhibits.base import Cell, Column, Highlight, Number, Row, Table, difference

TITLE = "Transfer to Caltech-101"
PAPER = "Table 4"
TARGET = "caltech101"
PRINTED = (15, 30)  # training pictures a class in the paper
METHODS = {"t4r3": "scratch", "t4r4": "pretrained"}
RANDOM = "Random layers 1-7, only the softmax trained"


def needs(config: Any) -> dict[str, str]:
    targets = config.transfer.targets
    target = TARGET if TARGET in targets else targets[0]
    return {method: f"transfer/{target}/{method}.json" for method in config.transfer.methods}


def build(files: Mapping[str, Path]) -> Table:
    found = {method: artifacts.load_json(path) for method, path in sorted(files.items())}
    sizes = sorted({int(k) for one in found.values() for k in one["accuracies"]} | set(PRINTED))
    lines = paper.table("table4_caltech101").to_dict("records")
    rows = [_row(line, found.get(METHODS.get(line["row_id"], "")), sizes) for line in lines]
    if "random" in found:
        rows.append(_row({"row_label": RANDOM, "group": "extra"}, found["random"], sizes))
    any_one = next(iter(found.values()))
    return Table(
        caption=f"Mean of the per-class accuracies in percent, by training pictures a class. Target here: {any_one['target']}, "
        f"{any_one['classes']} classes, {any_one['folds']} random splits, at most {any_one['test_per_class']} test pictures "
        "a class.",
        columns=_columns(sizes),
        rows=tuple(rows),
        png=_plot(rows, sizes),
        alt=_alt(rows, sizes),
        notes=(
            f"± of ours: standard deviation over {any_one['folds']} splits. The paper does not say what its ± is. "
            "The row with random layers is not in the paper: it shows what the features themselves are worth.",
        ),
        highlights=_highlights(rows, sizes),
    )


def _columns(sizes: list[int]) -> tuple[Column, ...]:
    kinds = (("paper", "paper", "paper"), ("ours", "ours", "ours"), ("diff", "diff.", "difference"))
    numbers = [Column(f"acc{k}_{who}", label, role, f"{k} a class") for k in sizes for who, label, role in kinds]
    return (Column("row", "Method", "label"), *numbers)


def _row(line: dict[str, Any], one: dict[str, Any] | None, sizes: list[int]) -> Row:
    cells: list[Cell] = [line["row_label"]]
    for k in sizes:
        theirs = runs.shown(line.get(f"acc{k}_pct"), runs.value(line.get(f"acc{k}_pm")))
        ours = _accuracy(one["accuracies"].get(str(k), [])) if one else None
        absent = "not run" if line["group"] != "prior" else None
        cells += [theirs, ours or absent, difference(ours and ours.value, theirs and theirs.value)]
    return Row(tuple(cells), "unrun" if one is None and line["group"] == "ours" else "")


def _accuracy(folds: list[float]) -> Number | None:
    if not folds:
        return None
    return Number(statistics.fmean(folds), spread=statistics.stdev(folds) if len(folds) > 1 else None)


def _plot(rows: list[Row], sizes: list[int]) -> bytes:
    panels = [
        (
            f"{k} a class",
            [row.cells[1 + 3 * i] for row in rows],
            [_number(row.cells[2 + 3 * i]) for row in rows],
        )
        for i, k in enumerate(sizes)
    ]
    return draw.dot_plot([str(row.cells[0]) for row in rows], panels, "accuracy (%)")


def _number(cell: Cell) -> Number | None:
    return cell if isinstance(cell, Number) else None


def _alt(rows: list[Row], sizes: list[int]) -> str:
    said = [
        f"{row.cells[0]}, {k} a class: {number.texts()['text']}"
        for row in rows
        for i, k in enumerate(sizes)
        if (number := _number(row.cells[2 + 3 * i]))
    ]
    return "Dot plot of accuracy by method, paper hollow, ours filled. Ours in percent: " + "; ".join(said)


def _highlights(rows: list[Row], sizes: list[int]) -> tuple[Highlight, ...]:
    """What pretraining adds at the most training pictures that both methods have."""
    scratch, pretrained = rows[2].cells, rows[3].cells
    for i, k in reversed(list(enumerate(sizes))):
        ours = _number(scratch[2 + 3 * i]), _number(pretrained[2 + 3 * i])
        theirs = _number(scratch[1 + 3 * i]), _number(pretrained[1 + 3 * i])
        if all(ours):
            gain = difference(ours[1].value, ours[0].value).texts()["text"]
            printed = difference(theirs[1].value, theirs[0].value).texts()["text"] if all(theirs) else ""
            return (Highlight(f"Accuracy gained by pretraining, {k} pictures a class", gain, printed),)
    return ()
