"""Table 3: what removing or resizing layers does to the errors, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zfrepro import paper
from zfrepro.exhibits import draw, runs
from zfrepro.exhibits.base import Cell, Column, Highlight, Number, Row, Table, difference, heading

TITLE = "Ablations: layers removed and resized"
PAPER = "Table 3"
ERRORS = {"train_top1": "Train top-1", "val_top1": "Validation top-1", "val_top5": "Validation top-5"}
COLUMNS = (
    Column("row", "Network", "label"),
    *(
        Column(f"{key}_{who}", label, role, group)
        for key, group in ERRORS.items()
        for who, label, role in (("paper", "paper", "paper"), ("ours", "ours", "ours"), ("diff", "diff.", "difference"))
    ),
    Column("parameters_full_size", "Parameters, full size (M)"),
    Column("runs", "Runs"),
)


def needs(config: Any) -> dict[str, str]:
    return runs.needs(config)


def build(files: Mapping[str, Path]) -> Table:
    found = runs.load(files)
    views = runs.views_taken(found)
    table = paper.table("table3_ablation").to_dict("records")
    rows = [_row(line, runs.of_row(found, line["row_id"]), views) for line in table]
    ran = [row for row in rows if row.kind != "unrun"]
    pictures = sorted({run.errors["n"] for run in found})
    return Table(
        caption=f"Error in percent. {len(ran)} of the paper's {len(rows)} networks were trained here. Validation errors: "
        f"{runs.said(views)}, {_listed(pictures)} pictures; training error: centre crop, without dropout, "
        f"{_listed(sorted({run.errors['train_n'] for run in found}))} pictures.",
        columns=COLUMNS,
        rows=_under_headings(table, rows),
        png=_plot(table, rows),
        alt=_alt(ran),
        notes=(
            "Brackets: 95 % interval over the validation pictures (Wilson) where a row is one run; ± is the standard "
            "deviation over seeds where it is several. Difference: ours minus the paper's.",
            *_unfinished(found),
        ),
        highlights=_highlights(table, rows),
    )


def _unfinished(found: list[runs.Run]) -> list[str]:
    """A warning where a shallower network also fits its training set better: then the deep one is not trained to its end."""
    full, shallow = (runs.of_row(found, row_id) for row_id in ("t3r01", "t3r05"))
    if not full or not shallow or full[0].errors["train_top1"] <= shallow[0].errors["train_top1"]:
        return []
    return [
        "Here the network without layers 3, 4, 6, 7 has the lower error on its training set as well, so the full network "
        f"was not trained to its end in {full[0].spec['epochs']} epochs: the ranks say how fast networks learn, not how well "
        "they could."
    ]


def _row(line: dict[str, Any], found: list[runs.Run], views: int) -> Row:
    cells: list[Cell] = [_label(line)]
    n = found[0].errors["n"] if found else 0
    for key in ERRORS:
        theirs = runs.value(line[f"{key}_err_pct"])
        ours = None
        if found and key == "train_top1":
            ours = runs.number([run.errors["train_top1"] for run in found], found[0].errors["train_n"])
        elif found:
            ours = runs.number([run.error(key.removeprefix("val_"), views) for run in found], n)
        cells += [runs.shown(theirs), ours or "not run", difference(ours and ours.value, theirs)]
    size = Number(found[0].full_size / 1e6) if found else None
    return Row((*cells, size, Number(len(found), 0) if found else None), "" if found else "unrun")


def _label(line: dict[str, Any]) -> str:
    if line["change"] == "none":
        return "Replication of Krizhevsky et al." if line["base_model"] != "fig3" else "The improved network of Fig. 3"
    return line["row_label"]


def _under_headings(table: list[dict[str, Any]], rows: list[Row]) -> tuple[Row, ...]:
    names = {"krizhevsky_replication": "Baseline: Krizhevsky et al.", "fig3": "Improved: Fig. 3"}
    placed: list[Row] = []
    for i, (line, row) in enumerate(zip(table, rows, strict=True)):
        if i == 0 or line["base_model"] != table[i - 1]["base_model"]:
            placed.append(heading(names[line["base_model"]], COLUMNS))
        placed.append(row)
    return tuple(placed)


def _plot(table: list[dict[str, Any]], rows: list[Row]) -> bytes:
    lines = _under_headings(table, rows)
    panels = [
        (title, [_number(row.cells[1 + 3 * i]) for row in lines], [_number(row.cells[2 + 3 * i]) for row in lines])
        for i, title in enumerate(ERRORS.values())
    ]
    headings = {i for i, row in enumerate(lines) if row.kind == "heading"}
    return draw.dot_plot([str(row.cells[0]) for row in lines], panels, "error (%)", headings)


def _number(cell: Cell) -> Number | None:
    return cell if isinstance(cell, Number) else None


def _alt(ran: list[Row]) -> str:
    said = [f"{row.cells[0]} {row.cells[5].texts()['text']}" for row in ran if isinstance(row.cells[5], Number)]
    return (
        "Dot plot of error by network, paper hollow, ours filled. Our validation top-1 error in percent: "
        + "; ".join(said)
    )


def _highlights(table: list[dict[str, Any]], rows: list[Row]) -> tuple[Highlight, ...]:
    """The price of taking out the middle and the full layers together, if that was run."""
    by_id = {line["row_id"]: row for line, row in zip(table, rows, strict=True)}
    base, bare = by_id["t3r01"].cells, by_id["t3r05"].cells
    if not isinstance(base[5], Number) or not isinstance(bare[5], Number):
        return ()
    ours, theirs = difference(bare[5].value, base[5].value), difference(bare[4].value, base[4].value)
    return (
        Highlight(
            "Top-1 error (points) added by removing layers 3, 4, 6, 7", ours.texts()["text"], theirs.texts()["text"]
        ),
    )


def _listed(numbers: list[int]) -> str:
    return " or ".join(f"{number:,}" for number in numbers)
