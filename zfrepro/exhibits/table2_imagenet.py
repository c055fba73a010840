"""Table 2: what the improved network and ensembles change, ours beside the paper's; then the errors themselves."""

from __future__ import annotations

from collections.abc import Mapping
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
from zfrepro.exhibits.kit.effects import (
    effect_cells,
    effect_note,
    explain_missing,
    measure_effect,
    recipe_notes,
)
from zfrepro.exhibits.kit.error_notes import divergence_notes, interval_note, name_views
from zfrepro.exhibits.kit.numbers import Number, measured_number, printed_number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import ensembles, runs
from zfrepro.measurements.estimate import Estimate
from zfrepro.measurements.networks import Networks

TITLE = "Classification error on the source set"
PAPER = "Table 2"
ERRORS = {"val_top1": "Validation top-1", "val_top5": "Validation top-5"}
TOPS = {"val_top1": 1, "val_top5": 5}
SINGLE = ("baseline", "improved", "improved-wide")  # rows of the same names in Table 3
ENSEMBLES = {"improved-ensemble": ("improved",), "improved-and-wide-ensemble": ("improved", "improved-wide")}
BASES = {  # row -> the row of the paper that it is compared with, how the table names it, networks of both in rows of Table 3
    "improved": ("baseline", "replication", ("improved", "baseline")),
    "improved-ensemble": ("improved", "its members", ("improved", "improved")),
    "improved-wide": ("improved", "Fig. 3", ("improved-wide", "improved")),
    "improved-and-wide-ensemble": ("improved-ensemble", "(a)", ("improved-wide", "improved")),
}
FALLS = {
    "improved-ensemble": ensembles.fall_in_ensemble,
    "improved-and-wide-ensemble": ensembles.fall_by_joining,
}
IN_PLOT = {
    "improved": "Fig. 3, against the replication",
    "improved-ensemble": "(a) ensemble, against its members",
    "improved-wide": "(b) 512, 1024, 512 maps, against Fig. 3",
    "improved-and-wide-ensemble": "(a) and (b) together, against (a)",
}
GROUPS = {"prior": "Earlier work", "ours": "Zeiler & Fergus", "later": "Later entries (ECCV version of the paper only)"}
COLUMNS = (
    Column("row", "Network", "label"),
    Column("base", "Compared with"),
    *(column for key, top in ERRORS.items() for column in compared_columns(f"{key}_effect", f"Effect, {top.lower()}")),
    *(
        column
        for key, group in ERRORS.items()
        for column in (
            *compared_columns(key, group),
            Column(f"{key}_ours_single_view", "ours, 1 view", "plain", group, shown=False),
        )
    ),
    Column("test_top5_paper", "paper", "paper", "Test top-5"),
    Column("networks", "Networks, ours"),
)


def needs(config: Any) -> dict[str, str]:
    return runs.needs(config, scores=True)


def build(files: Mapping[str, Path]) -> Table:
    networks = Networks.load(files)
    trained, views = networks.runs, networks.views
    table = paper.rows("table2_imagenet_error")
    rows = [_row(line, networks) for line in table]
    our_rows = [row for line, row in zip(table, rows, strict=True) if line["name"] in BASES]
    images = " or ".join(f"{n:,}" for n in sorted({run.errors["n"] for run in trained}))
    return Table(
        caption="What the improved network and ensembles add to the error of what they are compared with, in points, in the paper and "
        f"here; then the errors in percent. Ours: {images} validation images, {name_views(views)}; the CSV file also has the centre "
        "view alone. The paper's numbers are for ImageNet 2012; its test labels are not public, so that column has the paper's only.",
        columns=COLUMNS,
        rows=_under_headings(table, rows),
        drawing=_plot(our_rows, [_seeds(line["name"], networks) for line in table if line["name"] in BASES]),
        alt=_alt(our_rows),
        notes=(
            f"{effect_note(networks)} "
            "What an ensemble adds to its members has an interval over images, for these networks: another seed changes both alike.",
            interval_note(networks.spread_of_error(1, views) is not None),
            "An ensemble averages probabilities; the last column gives its number of networks, which may be smaller than the paper's. Its "
            "spread over seeds is assumed to be that of the mean of as many networks.",
            *recipe_notes(networks, (pair for _, _, pair in BASES.values())),
            *divergence_notes(trained),
        ),
        highlights=_highlights(table, rows),
    )


def _row(line: dict[str, Any], networks: Networks) -> Row:
    errors, members = _errors(line["name"], networks)
    missing = _explain_missing(line, networks)
    cells: dict[str, Cell] = {"row": line["row_label"]}
    for key in ERRORS:
        theirs = printed_number(line[f"{key}_err_pct"])
        main = measured_number(errors.get((TOPS[key], networks.views)))
        single = measured_number(errors.get((TOPS[key], 1)))
        cells |= {
            f"{key}_paper": theirs,
            f"{key}_ours": main or missing,
            f"{key}_diff": difference(main, theirs),
            f"{key}_ours_single_view": Number(single.value) if single else None,
            **_effect(line, key, networks, None if members else missing),
        }
    cells["base"] = BASES[line["name"]][1] if line["name"] in BASES else None
    cells["test_top5_paper"] = printed_number(line["test_top5_err_pct"])
    cells["networks"] = Number(members, 0) if members else None
    return make_row(COLUMNS, cells, "unrun" if missing and not members else "")


def _effect(line: dict[str, Any], key: str, networks: Networks, missing: str | None) -> dict[str, Cell]:
    """Of a row on the error of the row that it is compared with; `missing`: why it has no error itself."""
    name = line["name"]
    if name not in BASES:
        return effect_cells(f"{key}_effect", None, None)
    base, _, pair = BASES[name]
    ours = measure_effect(lambda: _measure(name, TOPS[key], networks), missing or _explain_effect(name, pair, networks))
    errors = {row["name"]: row[f"{key}_err_pct"] for row in paper.rows("table2_imagenet_error")}
    return effect_cells(f"{key}_effect", errors[name] - errors[base], ours)


def _measure(name: str, k: int, networks: Networks) -> Estimate:
    if name in FALLS:
        return FALLS[name](networks, k).negated()
    row, base = BASES[name][2]
    return networks.sum_of_errors({row: 1, base: -1}, k)


def _explain_effect(name: str, pair: tuple[str, str], networks: Networks) -> str:
    """Where a row has an error: with one seed of the improved network there is no ensemble to join."""
    alone = name in FALLS and len(runs.select_row(networks.runs, ensembles.IMPROVED)) < 2
    return "base not run" if alone else explain_missing(networks, pair)


def _explain_missing(line: dict[str, Any], networks: Networks) -> str | None:
    """The text in place of an error that was not measured."""
    if line["group"] != "ours":
        return None
    diverged = [run for row in _table3_rows(line["name"]) for run in runs.diverged_in_row(networks.runs, row)]
    return "diverged" if diverged else "not run"


def _table3_rows(row: str) -> tuple[str, ...]:
    """The rows of Table 3 whose networks a row of Table 2 uses."""
    return (row,) if row in SINGLE else ENSEMBLES.get(row, ())


def _errors(row: str, networks: Networks) -> tuple[dict[tuple[int, int], Estimate | None], int]:
    """(k, views) -> our top-k error, and of how many networks."""
    parts = [runs.select_row(networks.runs, part) for part in _table3_rows(row)]
    members = [run for part in parts for run in part]
    kinds = [(k, views) for k in TOPS.values() for views in (1, 10)]
    if not parts or not all(parts) or (row in ENSEMBLES and len(members) < 2):
        return {}, 0
    if row in ENSEMBLES:
        return {kind: networks.ensemble_error(members, *kind) for kind in kinds}, len(members)
    return {kind: networks.error(row, *kind) for kind in kinds}, len(members)


def _seeds(row: str, networks: Networks) -> list[list[float]]:
    """For each key of ERRORS, what single seeds add to the base's mean error; none of an ensemble."""
    if row in FALLS:
        return [[] for _ in ERRORS]
    pair = BASES[row][2]
    return [networks.seed_changes(*pair, networks.validation_error(k)) for k in TOPS.values()]


def _under_headings(table: list[dict[str, Any]], rows: list[Row]) -> tuple[Row, ...]:
    ordered: list[Row] = []
    for group, title in GROUPS.items():
        ordered.append(heading(title, COLUMNS))
        ordered += [row for line, row in zip(table, rows, strict=True) if line["group"] == group]
    return tuple(ordered)


def _plot(our_rows: list[Row], seeds: list[list[list[float]]]) -> Drawing:
    panels = [make_panel(title, our_rows, f"{key}_effect") for key, title in ERRORS.items()]
    by_panel = [[row[i] for row in seeds] for i in range(len(ERRORS))]
    return draw.dot_plot(list(IN_PLOT.values()), panels, "effect (points)", seeds=by_panel, zero=True)


def _alt(our_rows: list[Row]) -> str:
    key = "val_top1_effect"
    effects = [
        f"{label} {row.text(f'{key}_ours')} ({row.text(f'{key}_paper')})"
        for label, row in zip(IN_PLOT.values(), our_rows, strict=True)
        if row.number(f"{key}_ours")
    ]
    return (
        "Dot plot of what networks and ensembles add to the error that they are compared with, paper hollow, ours filled. Validation "
        f"top-1, in points, in brackets the paper's: {'; '.join(effects)}"
    )


def _highlights(table: list[dict[str, Any]], rows: list[Row]) -> tuple[Highlight, ...]:
    titles = {"baseline": "Top-1 error, baseline", "improved": "Top-1 error, improved network"}
    return tuple(
        Highlight(titles[line["name"]], f"{row.text('val_top1_ours')} %", f"{row.text('val_top1_paper')} %")
        for line, row in zip(table, rows, strict=True)
        if line["name"] in titles and row.number("val_top1_ours")
    )
