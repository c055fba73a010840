"""How much the object matters: occlusion maps of many pictures scored against the object's box."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro import artifacts
from zfrepro.exhibits import draw, estimates, runs
from zfrepro.exhibits.base import Column, Highlight, Number, Row, Table

TITLE = "Covering the object, over many pictures"
PAPER = "Section 4.2, with Figure 7"
COLUMNS = (
    Column("quantity", "Quantity", "label"),
    Column("value", "Mean", "ours"),
    Column("expected", "If the place did not matter"),
    Column("pictures", "Pictures"),
)


def needs(config: Any) -> dict[str, str]:
    run = runs.improved(config, config.occlusion.runs)
    return {"scores": f"occlusion/{run}/scores.npz", "about": f"occlusion/{run}/occlusion.json"}


def build(files: Mapping[str, Path]) -> Table:
    scores, about = artifacts.load_arrays(files["scores"]), artifacts.load_json(files["about"])
    rows = tuple(_rows(scores)) if len(scores["picture"]) else ()
    return Table(
        caption=f"{len(scores['picture'])} pictures of the {about['split']} split that are classified correctly and whose object's "
        f"box is known; the square of {about['square']} pixels moves in steps of {about['score_stride']}. It is on the object "
        "where its middle lies in the box. Intervals: 95 %, bootstrap over pictures.",
        columns=COLUMNS,
        rows=rows or (Row(("no picture with a known box is classified correctly", None, None, Number(0, 0))),),
        png=_plot(scores),
        alt=_alt(rows),
        notes=(
            "The fall is what the probability of the true class loses against the uncovered picture, added up over positions. "
            "Its share on the object, and the pointing game (does the position with the lowest probability lie on the object?), "
            "are to be compared with the share of positions that lie on the object. The paper shows three pictures and gives no "
            "such numbers.",
        ),
        highlights=_highlights(rows),
    )


def _rows(scores: Mapping[str, np.ndarray]) -> list[Row]:
    both = np.isfinite(scores["inside"]) & np.isfinite(scores["outside"])
    apart = np.isfinite(scores["touching"]) & np.isfinite(scores["elsewhere"])
    inside, outside = scores["inside"][both], scores["outside"][both]
    touching, elsewhere = scores["touching"][apart], scores["elsewhere"][apart]
    area = 100 * scores["area"]
    return [
        _row("P(true class), uncovered", scores["clean"], 3),
        _row("P(true class), square on the object", inside, 3),
        _row("P(true class), square elsewhere", outside, 3),
        _row("Difference, on the object less elsewhere", inside - outside, 3, Number(0, 0), signed=True),
        _row("Lower on the object (% of pictures)", 100.0 * (inside < outside), 1, Number(50, 0)),
        _row(
            "Lower where the square touches the box at all (% of pictures)",
            100.0 * (touching < elsewhere),
            1,
            Number(50, 0),
        ),
        _row("Fall that lies on the object (%)", 100 * scores["energy"], 1, _mean(area)),
        _row("Pointing game (% of pictures)", 100 * scores["pointing"], 1, _mean(area)),
        _row("Positions that keep the label (%)", 100 * scores["kept"], 1),
        _row(
            "Strongest map where the square covers its projection, over its mean", scores["projection"], 3, Number(1, 0)
        ),
        _row("Pixels between the lowest places of that map and of P(true class)", scores["minima"], 1),
    ]


def _row(label: str, values: np.ndarray, digits: int, expected: Number | None = None, signed: bool = False) -> Row:
    known = int(np.isfinite(values).sum())
    return Row((label, estimates.mean(values, digits, signed), expected, Number(known, 0)))


def _mean(values: np.ndarray) -> Number:
    return Number(float(values.mean()), 1)


def _plot(scores: Mapping[str, np.ndarray]) -> bytes:
    """Every picture a point: below the diagonal, the true class is less probable when the object is covered."""
    with draw.figure(6.6, 2.9) as drawn:
        left, right = drawn.subplots(1, 2)
        both = np.isfinite(scores["inside"]) & np.isfinite(scores["outside"])
        left.plot([0, 1], [0, 1], color=draw.LINE, linewidth=1)
        left.scatter(scores["outside"][both], scores["inside"][both], s=9, color=draw.OURS, alpha=0.6, linewidths=0)
        left.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal", title="Mean P(true class)")
        left.set(xlabel="square elsewhere", ylabel="square on the object")
        gain = 100 * (scores["energy"] - scores["area"])
        right.axvline(0, color=draw.LINE, linewidth=1)
        right.hist(gain[np.isfinite(gain)], bins=np.arange(-100, 101, 5), color=draw.OURS)
        right.set(title="Fall on the object, beyond chance", xlabel="points of its share", ylabel="pictures")
        known = np.abs(gain[np.isfinite(gain)])
        reach = max(20.0, 5 * np.ceil(known.max() / 5)) if len(known) else 20.0
        right.set_xlim(-reach, reach)
        return draw.png(drawn)


def _alt(rows: tuple[Row, ...]) -> str:
    said = [f"{row.cells[0]}: {row.cells[1].texts()['text']}" for row in rows if isinstance(row.cells[1], Number)]
    return "Scatter of the true class's probability by picture, square on the object against elsewhere. " + "; ".join(
        said
    )


def _highlights(rows: tuple[Row, ...]) -> tuple[Highlight, ...]:
    if not rows or not isinstance(rows[4].cells[1], Number):
        return ()
    share, count = rows[4].cells[1].texts()["text"], rows[4].cells[3].texts()["text"]
    return (Highlight(f"Pictures (%) whose true class is less probable when the object is covered, of {count}", share),)
