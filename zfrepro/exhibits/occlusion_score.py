"""How much the object matters: occlusion maps of many images, scored against the object's box.

All rows, and claims 22 and 27 to 29, use the same images: those for which the quantity of every row is defined. A row with a
further condition states it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import Column, Highlight, Row, Table, make_row
from zfrepro.exhibits.kit.image_numbers import mean_number, mean_probability, share_number
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import files as measured_files
from zfrepro.measurements.estimate import NotMeasured
from zfrepro.measurements.intervals import Limits
from zfrepro.measurements.occlusion_scores import FALL, RIVAL, Scores, share_by_chance
from zfrepro.storage import artifacts

TITLE = "Covering the object, over many images"
PAPER = "Section 4.2, with Figure 7"
COLUMNS = (
    Column("quantity", "Quantity", "label"),
    Column("value", "Mean", "ours"),
    Column("expected", "Expected by chance"),
    Column("images", "Images"),
)
PERCENT = (0.0, 100.0)  # what a mean of shares cannot leave
LOWER = "Lower on the object (% of images)"


def needs(config: Any) -> dict[str, str]:
    return measured_files.occlusion_scores(config)


def build(files: Mapping[str, Path]) -> Table:
    """Raises NotMeasured where no image can be scored, such as in a set without object boxes."""
    scores, about = Scores.load(files), artifacts.load_json(files["about"])
    if not len(scores):
        raise NotMeasured(_explain_none(scores, about))
    rows = tuple(_rows(scores))
    return Table(
        caption=_caption(scores, about),
        columns=COLUMNS,
        rows=rows,
        drawing=_plot(scores),
        alt=_alt(rows),
        notes=(
            "The fall is the decrease of the true class's probability relative to the uncovered image, summed over positions. "
            "Compare its share on the object, and the pointing game (is the position with the lowest probability on the object?), "
            "with the share of positions that are on the object. The paper shows three images and gives no "
            "such numbers.",
            f"A minimum is clear if the map falls by at least {100 * FALL:.0f} % of its median, and by at most {100 * RIVAL:.0f} % of "
            "that fall at positions further away than the square's side. Expected by chance: the strongest map's minimum in one image "
            "against the probability's in another, over all pairs.",
        ),
        highlights=_highlights(rows),
    )


def _explain_none(scores: Scores, about: Mapping[str, Any]) -> str:
    """Why no image can be scored."""
    undefined = f", and in {scores.left_out} a quantity is undefined" if scores.left_out else ""
    return (
        f"of {about['split_correct']:,} correctly classified images of split {about['split']}, {about['correct_with_box']:,} have a known "
        f"box of the object, {about['correct_with_room']:,} of these leave room for the square on and beside it{undefined}"
    )


def _caption(scores: Scores, about: Mapping[str, Any]) -> str:
    lacking = f" Left out because a quantity is undefined: {scores.left_out}." if scores.left_out else ""
    return (
        f"{len(scores)} images of the {about['split']} split, the same in every row unless it states a condition: classified "
        f"correctly ({about['split_correct']:,} of {about['split_pictures']:,}), with a known box of the object "
        f"({about['correct_with_box']:,}) and with positions of the square on and beside it ({about['correct_with_room']:,}).{lacking} "
        f"The square of {about['square']} pixels moves in steps of {about['score_stride']}. It is on the object where its centre "
        "is in the box. Intervals: 95 %, Student's t over images for means, Wilson's for shares of images."
    )


def _rows(scores: Scores) -> list[Row]:
    columns = scores.values
    inside, outside, area = columns["inside"], columns["outside"], _mean(100 * columns["area"])
    return [
        _probability("P(true class), uncovered", columns["clean"]),
        _probability("P(true class), square on the object", inside),
        _probability("P(true class), square elsewhere", outside),
        _row("Difference, on the object minus elsewhere", inside - outside, 3, Number(0, 0), signed=True),
        _share(LOWER, inside < outside, Number(50, 0)),
        _share(
            "Lower where the square touches the box at all (% of images)", columns["touching"] < columns["elsewhere"], Number(50, 0)
        ),
        _row("Fall that lies on the object (%)", 100 * columns["energy"], 1, area, within=PERCENT),
        _share("Pointing game (% of images)", columns["pointing"] > 0, area),
        _row("Positions that keep the label (%)", 100 * columns["kept"], 1, within=PERCENT),
        _row(
            "The same, half of the images with the highest P(true class) (%)", 100 * columns["kept"][scores.surer], 1, within=PERCENT,
        ),
        _row(
            "Positions that change the label, on the object minus elsewhere (points)",
            100 * (columns["kept_outside"] - columns["kept_inside"]), 1, Number(0, 0), signed=True,
        ),
        _row("Strongest map where the square covers its projection, over its mean", columns["projection"], 3, Number(1, 0)),
        _share("The same, below its mean (% of images)", columns["projection"] < 1, Number(50, 0)),
        _share("Minima of that map and of P(true class) both clear (% of images)", scores.clear),
        *_minima(scores),
    ]  # fmt: skip


def _minima(scores: Scores) -> list[Row]:
    distant = scores.distant_minima()
    if len(distant) < 2:
        return []
    label = f"These minima more than {scores.square} pixels apart (% of images with both clear)"
    return [_share(label, np.diag(distant), Number(share_by_chance(distant)))]


def _row(
    label: str, values: np.ndarray, digits: int, expected: Number | None = None, signed: bool = False,
    within: Limits = (-math.inf, math.inf),
) -> Row:  # fmt: skip
    return _line(label, mean_number(values, digits, signed, within), expected, len(values))


def _probability(label: str, values: np.ndarray) -> Row:
    return _line(label, mean_probability(values), None, len(values))


def _share(label: str, hits: np.ndarray, expected: Number | None = None) -> Row:
    return _line(label, share_number(hits), expected, len(hits))


def _line(label: str, value: Number | None, expected: Number | None, images: int) -> Row:
    return make_row(COLUMNS, {"quantity": label, "value": value, "expected": expected, "images": Number(images, 0)})


def _mean(values: np.ndarray) -> Number:
    return Number(float(values.mean()), 1)


def _plot(scores: Scores) -> Drawing:
    """One point per image: below the diagonal, the true class is less probable when the object is covered."""
    columns = scores.values
    with draw.figure(6.6, 2.9) as figure:
        left, right = figure.subplots(1, 2)
        left.plot([0, 1], [0, 1], color=draw.LINE, linewidth=1)
        left.scatter(columns["outside"], columns["inside"], s=9, color=draw.OURS, alpha=0.6, linewidths=0)
        left.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal", title="Mean P(true class)")
        left.set(xlabel="square elsewhere", ylabel="square on the object")
        gain = 100 * (columns["energy"] - columns["area"])
        right.axvline(0, color=draw.LINE, linewidth=1)
        right.hist(gain, bins=np.arange(-100, 101, 5), color=draw.OURS)
        right.set(
            title="Fall on the object, beyond chance", xlabel="share minus that expected (points)", ylabel="images"
        )
        reach = max(20.0, 5 * np.ceil(np.abs(gain).max() / 5)) if len(gain) else 20.0
        right.set_xlim(-reach, reach)
        return draw.save(figure)


def _alt(rows: tuple[Row, ...]) -> str:
    texts = [f"{row.label}: {row.text('value')}" for row in rows if row.number("value")]
    return "Scatter of the true class's probability by image, square on the object against elsewhere. " + "; ".join(
        texts
    )


def _highlights(rows: tuple[Row, ...]) -> tuple[Highlight, ...]:
    label = "Images (%) whose true class is less probable when the object is covered"
    return tuple(
        Highlight(label, f"{row.text('value')} (n = {row.text('images')})") for row in rows if row.label == LOWER
    )
