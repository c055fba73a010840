"""Weighted sums of the errors in the paper's Table 3, by the names of its rows.

A sum is a mapping from row to weight: `{"baseline-without-3-4": 1, "baseline": -1}` is what removing layers 3 and 4 adds to
the error.
"""

from __future__ import annotations

from collections.abc import Mapping

from zfrepro import paper

Sum = Mapping[str, float]
COLUMNS = {"top-5": "val_top5", "top-1": "val_top1"}


def total(*scaled: tuple[float, Sum]) -> Sum:
    """A weighted sum of sums; rows that cancel are left out."""
    rows = sorted({row for _, weights in scaled for row in weights}, key=list(paper.VARIANTS).index)
    summed = {row: sum(factor * weights.get(row, 0) for factor, weights in scaled) for row in rows}
    return {row: weight for row, weight in summed.items() if weight}


def printed_error(rows: Sum, column: str = "val_top5") -> float:
    """The sum in points; `column` is val_top5, val_top1 or train_top1."""
    table = paper.table("table3_ablation").set_index("name")[f"{column}_err_pct"]
    return round(sum(weight * float(table[row]) for row, weight in rows.items()), 2)


def printed_errors(rows: Sum) -> dict[str, float]:
    """`top-5`, `top-1` -> the sum, in points."""
    return {top: printed_error(rows, column) for top, column in COLUMNS.items()}


def printed_text(rows: Sum) -> str:
    """`+4.3 points of top-5 error, +4.3 of top-1`"""
    return f"{printed_error(rows):+.1f} points of top-5 error, {printed_error(rows, 'val_top1'):+.1f} of top-1"
