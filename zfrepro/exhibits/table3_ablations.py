"""Table 3: how removing or resizing layers changes the errors, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from zfrepro.exhibits.kit.error_notes import divergence_notes, interval_note, name_views
from zfrepro.exhibits.kit.numbers import Number, measured_number, printed_number
from zfrepro.measurements import convergence, runs
from zfrepro.measurements.estimate import NotMeasured
from zfrepro.measurements.networks import FOUR_LAYERS, Networks
from zfrepro.paper.printed import printed_error

TITLE = "Ablations: layers removed and resized"
PAPER = "Table 3"
ERRORS = {"train_top1": "Train top-1", "val_top1": "Validation top-1", "val_top5": "Validation top-5"}
TOPS = {"val_top1": 1, "val_top5": 5}
COLUMNS = (
    Column("row", "Network", "label"),
    *(
        Column(f"{key}_{suffix}", label, role, group)
        for key, group in ERRORS.items()
        for suffix, label, role in COMPARED
    ),
    Column("parameters_full_size", "Parameters, full size (M)"),
    Column("runs", "Runs"),
)


def needs(config: Any) -> dict[str, str]:
    return runs.needs(config, scores=True)


def build(files: Mapping[str, Path]) -> Table:
    networks = Networks.load(files)
    trained, views = networks.runs, networks.views
    table = paper.rows("table3_ablation")
    rows = [_row(line, networks) for line in table]
    ran = [row for row in rows if row.kind != "unrun"]
    images = sorted({run.errors["n"] for run in trained})
    seeds = {line["name"]: _seeds(line["name"], networks) for line in table}
    return Table(
        caption=f"Error in percent. {len(ran)} of the paper's {len(rows)} networks were trained here. Validation errors: "
        f"{name_views(views)}, {_join(images)} images; training error: centre crop, without dropout, "
        f"{_join(sorted({run.errors['train_n'] for run in trained}))} images.",
        columns=COLUMNS,
        rows=_under_headings(table, rows),
        png=_plot(table, rows, seeds),
        alt=_alt(ran),
        notes=(
            f"{interval_note(networks.spread_of_error(1, views) is not None)} Difference: ours minus the paper's.",
            *_warn_unfinished(trained),
            *divergence_notes(trained),
        ),
        highlights=_highlights(networks),
    )


def _warn_unfinished(trained: Sequence[runs.Run]) -> list[str]:
    """A warning where a shallower network fits its training set better: then the deep one is not fully trained."""
    reason = convergence.shallow_fits_better(trained)
    if not reason:
        return []
    epochs = runs.select_row(trained, convergence.FULL)[0].spec["epochs"]
    return [
        f"Not fully trained: {reason}. After {epochs} epochs the ranking shows how fast the networks learn, not their final accuracy."
    ]


def _row(line: dict[str, Any], networks: Networks) -> Row:
    cells: dict[str, Cell] = {"row": _label(line)}
    name = line["name"]
    row_runs = runs.select_row(networks.runs, name)
    missing = "diverged" if runs.diverged_in_row(networks.runs, name) else "not run"
    for key in ERRORS:
        theirs = printed_number(line[f"{key}_err_pct"])
        ours = None
        if row_runs:
            error = networks.error(name, TOPS[key], networks.views) if key in TOPS else networks.training_error(name)
            ours = measured_number(error)
        cells |= {
            f"{key}_paper": theirs,
            f"{key}_ours": ours or missing,
            f"{key}_diff": difference(ours, theirs),
        }
    cells["parameters_full_size"] = Number(row_runs[0].full_size / 1e6) if row_runs else None
    cells["runs"] = Number(len(row_runs), 0) if row_runs else None
    return make_row(COLUMNS, cells, "" if row_runs else "unrun")


def _seeds(row: str, networks: Networks) -> list[list[float]]:
    """The errors of single seeds for each key of ERRORS, in percent."""
    row_runs = runs.select_row(networks.runs, row)
    validation = [[run.error(f"top{k}", networks.views) for run in row_runs] for k in TOPS.values()]
    return [
        [run.errors["train_top1"] for run in row_runs],
        *([error for error in errors if error is not None] for errors in validation),
    ]


def _label(line: dict[str, Any]) -> str:
    if line["change"] == "none":
        return "Replication of Krizhevsky et al." if line["base_model"] != "fig3" else "The improved network of Fig. 3"
    return line["row_label"]


def _under_headings(table: list[dict[str, Any]], rows: list[Row]) -> tuple[Row, ...]:
    names = {"krizhevsky_replication": "Baseline: Krizhevsky et al.", "fig3": "Improved: Fig. 3"}
    ordered: list[Row] = []
    for i, (line, row) in enumerate(zip(table, rows, strict=True)):
        if i == 0 or line["base_model"] != table[i - 1]["base_model"]:
            ordered.append(heading(names[line["base_model"]], COLUMNS))
        ordered.append(row)
    return tuple(ordered)


def _plot(table: list[dict[str, Any]], rows: list[Row], seeds: Mapping[str, list[list[float]]]) -> bytes:
    """seeds: row of the paper's table -> the errors of single seeds, by panel."""
    lines = _under_headings(table, rows)
    panels = [make_panel(title, lines, key) for key, title in ERRORS.items()]
    headings = {i for i, row in enumerate(lines) if row.kind == "heading"}
    names = iter(line["name"] for line in table)
    single: list[list[list[float]]] = [
        [[] for _ in ERRORS] if row.kind == "heading" else seeds[next(names)] for row in lines
    ]
    by_panel = [[row[i] for row in single] for i in range(len(ERRORS))]
    return draw.dot_plot([row.label for row in lines], panels, "error (%)", headings, by_panel)


def _alt(ran: list[Row]) -> str:
    errors = [f"{row.label} {row.text('val_top1_ours')}" for row in ran if row.number("val_top1_ours")]
    return (
        "Dot plot of error by network, paper hollow, ours filled. Our validation top-1 error in percent: "
        + "; ".join(errors)
    )


def _highlights(networks: Networks) -> tuple[Highlight, ...]:
    """How much removing the middle and the fully connected layers raises the error, if that was run; claims 8 to 13 print it too."""
    try:
        rise = networks.errors(FOUR_LAYERS)["top-1"]
    except NotMeasured:
        return ()
    ours, theirs = (
        Number(value, signed=True).texts()["text"] for value in (rise.value, printed_error(FOUR_LAYERS, "val_top1"))
    )
    return (Highlight("Top-1 error (points) added by removing layers 3, 4, 6, 7", ours, theirs),)


def _join(numbers: list[int]) -> str:
    return " or ".join(f"{number:,}" for number in numbers)
