"""Table 2: classification error of single networks and of ensembles, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zfrepro import paper
from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import (
    COMPARED,
    Cell,
    Column,
    Highlight,
    Role,
    Row,
    Table,
    difference,
    heading,
    make_panel,
    make_row,
)
from zfrepro.exhibits.kit.error_notes import divergence_notes, interval_note, name_views
from zfrepro.exhibits.kit.numbers import Number, measured_number, printed_number
from zfrepro.measurements import runs
from zfrepro.measurements.estimate import Estimate
from zfrepro.measurements.networks import Networks

TITLE = "Classification error on the source set"
PAPER = "Table 2"
ERRORS = {"val_top1": "Validation top-1", "val_top5": "Validation top-5"}
TOPS = {"val_top1": 1, "val_top5": 5}
SINGLE = ("baseline", "improved", "improved-wide")  # rows of the same names in Table 3
ENSEMBLES = {"improved-ensemble": ("improved",), "improved-and-wide-ensemble": ("improved", "improved-wide")}
IN_PLOT = {
    "baseline": "Replication of Krizhevsky et al.",
    "improved": "Fig. 3, one network",
    "improved-ensemble": "Fig. 3, ensemble: (a)",
    "improved-wide": "512, 1024, 512 maps: (b)",
    "improved-and-wide-ensemble": "(a) and (b) together",
}
GROUPS = {"prior": "Earlier work", "ours": "Zeiler & Fergus", "later": "Later entries (ECCV version of the paper only)"}
SHOWN_COLUMNS: tuple[tuple[str, str, Role], ...] = (*COMPARED, ("ours_single_view", "ours, 1 view", "plain"))
COLUMNS = (
    Column("row", "Network", "label"),
    *(
        Column(f"{key}_{suffix}", label, role, group)
        for key, group in ERRORS.items()
        for suffix, label, role in SHOWN_COLUMNS
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
    our_rows = [row for line, row in zip(table, rows, strict=True) if line["group"] == "ours"]
    images = " or ".join(f"{n:,}" for n in sorted({run.errors["n"] for run in trained}))
    return Table(
        caption=f"Error in percent on {images} validation images; ours: {name_views(views)}, and the single centre view. "
        "The paper's numbers are for ImageNet 2012; its test labels are not public, so that column has the paper's numbers only.",
        columns=COLUMNS,
        rows=_under_headings(table, rows),
        png=_plot(our_rows, [_seeds(line["name"], networks) for line in table if line["group"] == "ours"]),
        alt=_alt(our_rows),
        notes=(
            interval_note(networks.spread_of_error(1, views) is not None),
            "An ensemble averages probabilities; the last column gives its number of networks, which may be smaller than the paper's. Its "
            "spread over seeds is assumed to be that of the mean of as many networks.",
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
        }
    cells["test_top5_paper"] = printed_number(line["test_top5_err_pct"])
    cells["networks"] = Number(members, 0) if members else None
    return make_row(COLUMNS, cells, "unrun" if missing and not members else "")


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
    """The errors of single seeds for each key of ERRORS, in percent."""
    single = runs.select_row(networks.runs, row) if row in SINGLE else []
    errors = [[run.error(f"top{k}", networks.views) for run in single] for k in TOPS.values()]
    return [[error for error in kind_errors if error is not None] for kind_errors in errors]


def _under_headings(table: list[dict[str, Any]], rows: list[Row]) -> tuple[Row, ...]:
    ordered: list[Row] = []
    for group, title in GROUPS.items():
        ordered.append(heading(title, COLUMNS))
        ordered += [row for line, row in zip(table, rows, strict=True) if line["group"] == group]
    return tuple(ordered)


def _plot(our_rows: list[Row], seeds: list[list[list[float]]]) -> bytes:
    panels = [make_panel(title, our_rows, key) for key, title in ERRORS.items()]
    by_panel = [[row[i] for row in seeds] for i in range(len(ERRORS))]
    return draw.dot_plot(list(IN_PLOT.values()), panels, "error (%)", seeds=by_panel)


def _alt(our_rows: list[Row]) -> str:
    errors = [f"{row.label}: {row.text('val_top1_ours')}" for row in our_rows if row.number("val_top1_ours")]
    return "Dot plot of error, paper hollow, ours filled. Our validation top-1 error in percent: " + "; ".join(errors)


def _highlights(table: list[dict[str, Any]], rows: list[Row]) -> tuple[Highlight, ...]:
    titles = {"baseline": "Top-1 error, baseline", "improved": "Top-1 error, improved network"}
    return tuple(
        Highlight(titles[line["name"]], f"{row.text('val_top1_ours')} %", f"{row.text('val_top1_paper')} %")
        for line, row in zip(table, rows, strict=True)
        if line["name"] in titles and row.number("val_top1_ours")
    )
