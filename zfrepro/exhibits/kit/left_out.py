"""An exhibit whose data cannot be there: its title and the reason, in the place where it would stand.

It draws without `kit.draw`, since the stage imports it for every exhibit: a change of how figures look must not judge the claims again.
"""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from zfrepro.exhibits.kit.base import Column, Exhibit, make_row
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
        png=_picture(text),
        alt=text,
    )


def _picture(text: str) -> bytes:
    lines = textwrap.wrap(text, LETTERS)
    png = io.BytesIO()
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        figure = Figure(figsize=(WIDE, 0.3 + LINE * len(lines)))
        figure.text(0.02, 0.5, "\n".join(lines), fontsize=8, color="#6b7280", va="center")
        figure.savefig(png, format="png", dpi=200, metadata={"Software": None})
    return png.getvalue()
