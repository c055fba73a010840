"""An exhibit whose data cannot be there: its title and the reason, in the place where it would stand."""

from __future__ import annotations

from dataclasses import dataclass

from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import Column, Exhibit, make_row
from zfrepro.exhibits.kit.texts import wrap
from zfrepro.measurements.estimate import NotMeasured

__all__ = ["LeftOut", "NotMeasured", "leave_out"]

WIDE, LINE = 6.6, 0.17  # inches: the picture, a line of text
COLUMNS = (Column("left_out", "Left out", "label"),)


@dataclass(frozen=True)
class LeftOut(Exhibit):
    """The page shows the caption, which is the reason, and nothing else."""

    kind = "left-out"


def leave_out(title: str, reason: str) -> LeftOut:
    """reason: a clause or sentences, such as `the set has no part boxes`."""
    sentence = f"{reason[:1].upper()}{reason[1:]}".rstrip(". ") + "."
    text = f"{title}. Left out: {sentence}"
    return LeftOut(
        caption=sentence,
        columns=COLUMNS,
        rows=(make_row(COLUMNS, {"left_out": sentence}),),
        png=_picture(text),
        alt=text,
    )


def _picture(text: str) -> bytes:
    lines = wrap(text, WIDE - 0.4, 8)
    with draw.figure(WIDE, 0.3 + LINE * (1 + lines.count("\n"))) as figure:
        ax = figure.subplots()
        ax.axis("off")
        ax.text(0, 0.5, lines, fontsize=8, color=draw.MUTED, va="center", transform=ax.transAxes)
        return draw.png(figure)
