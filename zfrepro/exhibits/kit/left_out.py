"""An exhibit whose data cannot be there: its title and the reason, in the place where it would stand.

It draws without the style of `kit.draw`: the stage imports it for every exhibit, and a new colour of figures must not judge claims again.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from zfrepro.exhibits.kit import saving
from zfrepro.exhibits.kit.base import Column, Exhibit, make_row
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.exhibits.kit.texts import writable
from zfrepro.measurements.estimate import NotMeasured

__all__ = ["LeftOut", "NotMeasured", "leave_out"]

WIDE, LINE = 6.6, 0.17  # inches: the picture, a line of text
LETTERS = 105  # in a line
STYLE: dict[Any, Any] = {
    "backend": "agg",
    "font.family": "DejaVu Sans",
    "text.parse_math": False,
    "savefig.facecolor": "white",
}
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
        drawing=_picture(text),
        alt=text,
    )


def _picture(text: str) -> Drawing:
    lines = textwrap.wrap(writable(text), LETTERS)
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        figure = Figure(figsize=(WIDE, 0.3 + LINE * len(lines)))
        figure.text(0.02, 0.5, "\n".join(lines), fontsize=8, color="#6b7280", va="center")
        return Drawing(saving.encode(saving.render(figure, saving.DPI)))
