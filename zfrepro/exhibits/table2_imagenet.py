"""Table 2: classification error of single networks and of ensembles, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro import artifacts, paper
from zfrepro.exhibits import draw, runs
from zfrepro.exhibits.base import Cell, Column, Highlight, Number, Row, Table, difference, heading

TITLE = "Classification error on the source set"
PAPER = "Table 2"
ERRORS = {"val_top1": "Validation top-1", "val_top5": "Validation top-5"}
ABLATION_ROW = {
    "t2r07": "t3r01",
    "t2r08": "t3r08",
    "t2r10": "t3r11",
}  # single networks; the same networks stand in Table 3
ENSEMBLES = {"t2r09": ("t3r08",), "t2r11": ("t3r08", "t3r11")}
IN_PLOT = {
    "t2r07": "Replication of Krizhevsky et al.",
    "t2r08": "Fig. 3, one network",
    "t2r09": "Fig. 3, ensemble: (a)",
    "t2r10": "512, 1024, 512 maps: (b)",
    "t2r11": "(a) and (b) together",
}
GROUPS = {"prior": "Earlier work", "ours": "Zeiler & Fergus", "later": "Later entries (ECCV version of the paper only)"}
COLUMNS = (
    Column("row", "Network", "label"),
    *(
        Column(f"{key}_{who}", label, role, group)
        for key, group in ERRORS.items()
        for who, label, role in (
            ("paper", "paper", "paper"),
            ("ours", "ours", "ours"),
            ("diff", "diff.", "difference"),
            ("ours_single_view", "ours, 1 view", "plain"),
        )
    ),
    Column("test_top5_paper", "paper", "paper", "Test top-5"),
    Column("networks", "Networks, ours"),
)


def needs(config: Any) -> dict[str, str]:
    return runs.needs(config, scores=True)


def build(files: Mapping[str, Path]) -> Table:
    found = runs.load(files)
    views = runs.views_taken(found)
    table = paper.table("table2_imagenet_error").to_dict("records")
    rows = [_row(line, found, views, files) for line in table]
    own = [row for line, row in zip(table, rows, strict=True) if line["group"] == "ours"]
    pictures = " or ".join(f"{n:,}" for n in sorted({run.errors["n"] for run in found}))
    return Table(
        caption=f"Error in percent on {pictures} validation pictures; ours: {runs.said(views)}, and the single centre view. "
        "The paper's numbers are ImageNet 2012's; its test labels are not public, so that column is the paper's alone.",
        columns=COLUMNS,
        rows=_under_headings(table, rows),
        png=_plot(own),
        alt=_alt(own),
        notes=(
            "Brackets: 95 % interval over the validation pictures (Wilson) for one network or one ensemble; ± is the standard "
            "deviation over seeds where a single network was trained several times. An ensemble averages "
            "probabilities; the last column says of how many networks, which may be fewer than the paper's.",
        ),
        highlights=_highlights(table, rows),
    )


def _row(line: dict[str, Any], found: list[runs.Run], views: int, files: Mapping[str, Path]) -> Row:
    measured, networks = _measured(line["row_id"], found, files)
    cells: list[Cell] = [line["row_label"]]
    ours_alone = line["group"] == "ours"
    for key in ERRORS:
        theirs = runs.value(line[f"{key}_err_pct"])
        what = key.removeprefix("val_")
        main, single = measured.get((what, views)), measured.get((what, 1))
        cells += [
            runs.shown(theirs),
            main or ("not run" if ours_alone else None),
            difference(main and main.value, theirs),
            Number(single.value) if single else None,
        ]
    cells += [runs.shown(line["test_top5_err_pct"]), Number(networks, 0) if networks else None]
    return Row(tuple(cells), "unrun" if ours_alone and not networks else "")


def _measured(row_id: str, found: list[runs.Run], files: Mapping[str, Path]) -> tuple[dict, int]:
    """(top1 or top5, views) -> our number, and how many networks it rests on."""
    if row_id in ABLATION_ROW:
        single = runs.of_row(found, ABLATION_ROW[row_id])
        n = single[0].errors["n"] if single else 0
        kinds = [(what, views) for what in ("top1", "top5") for views in (1, 10)]
        return {kind: runs.number([run.error(*kind) for run in single], n) for kind in kinds if single}, len(single)
    if row_id not in ENSEMBLES:
        return {}, 0
    parts = [runs.of_row(found, row) for row in ENSEMBLES[row_id]]
    members = [run for part in parts for run in part]
    if not all(parts) or len(members) < 2:
        return {}, 0
    return _ensemble([files[f"scores/{run.name}"] for run in members]), len(members)


def _ensemble(scores: list[Path]) -> dict[tuple[str, int], Number | None]:
    stored = [artifacts.load_arrays(path) for path in scores]
    labels = stored[0]["labels"]
    measured = {}
    for views in (1, 10):
        if all(f"probabilities_{views}" in one for one in stored):
            mean = np.mean([one[f"probabilities_{views}"] for one in stored], axis=0)
            for what, k in (("top1", 1), ("top5", 5)):
                measured[what, views] = runs.number([top_error(mean, labels, k)], len(labels))
    return measured


def top_error(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Percent of rows whose label is not among the k most probable classes."""
    of_label = probabilities[np.arange(len(labels)), labels][:, None]
    better = (probabilities > of_label).sum(1)
    return 100 * float((better >= k).mean())


def _under_headings(table: list[dict[str, Any]], rows: list[Row]) -> tuple[Row, ...]:
    placed: list[Row] = []
    for group, title in GROUPS.items():
        placed.append(heading(title, COLUMNS))
        placed += [row for line, row in zip(table, rows, strict=True) if line["group"] == group]
    return tuple(placed)


def _plot(own: list[Row]) -> bytes:
    panels = [
        (title, [row.cells[1 + 4 * i] for row in own], [_number(row.cells[2 + 4 * i]) for row in own])
        for i, title in enumerate(ERRORS.values())
    ]
    return draw.dot_plot(list(IN_PLOT.values()), panels, "error (%)")


def _number(cell: Cell) -> Number | None:
    return cell if isinstance(cell, Number) else None


def _alt(own: list[Row]) -> str:
    said = [f"{row.cells[0]}: {row.cells[2].texts()['text']}" for row in own if isinstance(row.cells[2], Number)]
    return "Dot plot of error, paper hollow, ours filled. Our validation top-1 error in percent: " + "; ".join(said)


def _highlights(table: list[dict[str, Any]], rows: list[Row]) -> tuple[Highlight, ...]:
    titles = {"t2r07": "Top-1 error, baseline", "t2r08": "Top-1 error, improved network"}
    made = []
    for line, row in zip(table, rows, strict=True):
        if line["row_id"] in titles and isinstance(row.cells[2], Number):
            ours, theirs = row.cells[2].texts()["text"], row.cells[1].texts()["text"]
            made.append(Highlight(titles[line["row_id"]], f"{ours} %", f"{theirs} %"))
    return tuple(made)
