"""Table 3: what removing or resizing layers adds to the errors of the base, ours beside the paper's; then the errors themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
from zfrepro.exhibits.kit.effects import NONE, effect_cells, effect_note, explain_missing, measure_effect, recipe_notes
from zfrepro.exhibits.kit.error_notes import divergence_notes, interval_note, name_views
from zfrepro.exhibits.kit.numbers import Number, measured_number, printed_number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import convergence, runs
from zfrepro.measurements.estimate import NotMeasured
from zfrepro.measurements.networks import FOUR_LAYERS, Networks
from zfrepro.measurements.runs import Run
from zfrepro.paper.printed import printed_error

TITLE = "Ablations: layers removed and resized"
PAPER = "Table 3"
ERRORS = {"train_top1": "Train top-1", "val_top1": "Validation top-1", "val_top5": "Validation top-5"}
EFFECTS = {
    "val_top1": "Effect, validation top-1",
    "val_top5": "Effect, validation top-5",
    "train_top1": "Effect, train top-1",
}
TOPS = {"val_top1": 1, "val_top5": 5}
BASES = {"krizhevsky_replication": "baseline", "fig3": "improved"}
COLUMNS = (
    Column("row", "Network", "label"),
    *(
        column
        for key, group in EFFECTS.items()
        for column in compared_columns(f"{key}_effect", group, shown=key in TOPS)  # a page has no room for all
    ),
    *(column for key, group in ERRORS.items() for column in compared_columns(key, group)),
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
    seeds = {line["name"]: _seeds(line, networks) for line in table}
    pairs = [(line["name"], BASES[line["base_model"]]) for line in table]
    return Table(
        caption="What each change adds to the errors of the network that it was made to, in points, in the paper and here; then the "
        f"errors in percent. {len(ran)} of the paper's {len(rows)} networks were trained here. Validation errors: "
        f"{name_views(views)}, {_join(images)} images; training error: centre crop, without dropout, "
        f"{_join(sorted({run.errors['train_n'] for run in trained}))} images.",
        columns=COLUMNS,
        rows=_under_headings(table, rows),
        drawing=_plot(table, rows, seeds),
        alt=_alt(ran),
        notes=(
            effect_note(networks),
            interval_note(networks.spread_of_error(1, views) is not None),
            *recipe_notes(networks, pairs),
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
            **_effect(key, name, BASES[line["base_model"]], networks),
        }
    cells["parameters_full_size"] = Number(row_runs[0].full_size / 1e6) if row_runs else None
    cells["runs"] = Number(len(row_runs), 0) if row_runs else None
    return make_row(COLUMNS, cells, "" if row_runs else "unrun")


def _effect(key: str, row: str, base: str, networks: Networks) -> dict[str, Cell]:
    """Of a network on one of the errors of its base."""
    if row == base:
        return effect_cells(f"{key}_effect", 0.0, NONE if runs.select_row(networks.runs, base) else "not run")
    change = {row: 1.0, base: -1.0}
    ours = measure_effect(
        lambda: networks.sum_of_errors(change, TOPS[key]) if key in TOPS else networks.training(change),
        explain_missing(networks, (row, base)),
    )
    return effect_cells(f"{key}_effect", printed_error(change, key), ours)


def _seeds(line: Mapping[str, Any], networks: Networks) -> list[list[float]]:
    """For each key of EFFECTS, what single seeds add to the base's mean error."""
    return [networks.seed_changes(line["name"], BASES[line["base_model"]], _error(key, networks)) for key in EFFECTS]


def _error(key: str, networks: Networks) -> Callable[[Run], float | None]:
    return networks.validation_error(TOPS[key]) if key in TOPS else lambda run: run.errors[key]


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


def _plot(table: list[dict[str, Any]], rows: list[Row], seeds: Mapping[str, list[list[float]]]) -> Drawing:
    """seeds: row of the paper's table -> the effects of single seeds, by panel."""
    lines = _under_headings(table, rows)
    panels = [
        make_panel(title.removeprefix("Effect, ").capitalize(), lines, f"{key}_effect")
        for key, title in EFFECTS.items()
    ]
    headings = {i for i, row in enumerate(lines) if row.kind == "heading"}
    names = iter(line["name"] for line in table)
    single: list[list[list[float]]] = [
        [[] for _ in EFFECTS] if row.kind == "heading" else seeds[next(names)] for row in lines
    ]
    by_panel = [[row[i] for row in single] for i in range(len(EFFECTS))]
    labels = [row.label for row in lines]
    return draw.dot_plot(labels, panels, "effect (points)", headings, by_panel, zero=True)


def _alt(ran: list[Row]) -> str:
    key = "val_top1_effect"
    effects = [
        f"{row.label} {row.text(f'{key}_ours')} ({row.text(f'{key}_paper')})"
        for row in ran
        if row.number(f"{key}_ours")
    ]
    return (
        "Dot plot of what each change adds to the errors of its base, paper hollow, ours filled. Validation top-1, in points, in "
        f"brackets the paper's: {'; '.join(effects)}"
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
