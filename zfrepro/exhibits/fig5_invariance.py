"""Fig 5: how far features move, and what becomes of the true class, when pictures are shifted, scaled and turned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import Cell, Column, Highlight, Picture, Piece, Row, heading
from zfrepro.measurements import bootstrap
from zfrepro.measurements import files as measured_files
from zfrepro.measurements.invariance import (
    EIGHTHS,
    PRINTED,
    QUARTERS,
    SMALL_STEPS,
    amounts,
    at,
    linearity,
    ratio,
    share_of_largest,
)
from zfrepro.storage import artifacts

TITLE = "Invariance: shifted, scaled, turned"
PAPER = "Figure 5"
KINDS = {  # name -> heading, label of the axis
    "shift": ("(a) Vertical translation", "vertical translation (pixels)"),
    "scale": ("(b) Scale", "scale (ratio)"),
    "turn": ("(c) Rotation", "rotation (degrees)"),
}
COLUMNS = (
    Column("measure", "Mean over all pictures", "label"),
    Column("layer1", "Layer 1", "ours"),
    Column("layer7", "Layer 7", "ours"),
    Column("difference", "Layer 7 minus layer 1", "ours"),
    Column("probability", "P(true class)", "ours"),
    Column("paper", "Paper, read from the figure", "paper"),
)
WIDE, HIGH = 7.4, 1.75  # inches of one transformation
THUMBNAILS, MARGIN, SPACE, FOOT, HEAD, EDGE = 2.05, 0.04, 0.42, 0.36, 0.2, 0.1  # inches
LEGEND, LEGEND_LINE, LEGEND_LETTERS = 0.26, 0.14, 130  # inches, inches a further line, letters that one line holds


def needs(config: Any) -> dict[str, str]:
    return measured_files.of_one_run(config, "invariance")


def build(files: Mapping[str, Path]) -> Picture:
    arrays, about = artifacts.load_arrays(files["arrays"]), artifacts.load_json(files["about"])
    count = len(about["pictures"])
    return Picture(
        caption=f"Left: {about['shown']} pictures under the transformation. Then, against its amount: Euclidean distance of the "
        "features from those of the untouched picture, in layers 1 and 7, and the probability of the true class. A line a picture; "
        f"black: mean over {count} pictures, grey: the middle half of them. Input {about['input_size']} pixels.",
        columns=COLUMNS,
        rows=tuple(row for kind in KINDS for row in _rows(kind, arrays)),
        png=_drawn(list(KINDS), arrays, about),
        alt="Three rows, for translation, scale and rotation: pictures, and curves of both distances and of the probability.",
        notes=(
            f"Distances: every map of layer 1 is scaled to unit length, so that two pictures are at most {about['largest']['1']:.1f} "
            "apart here and 13.9 with the paper's 96 maps; layer 7 counts as one map, at most 1.41. A small step is 10 of 60 pixels, "
            "or 0.2 of 0.8 in ratio, in proportion. R\u00b2: of a straight line through the untouched view, picture by picture; 1 for "
            "a line, below 0 where a constant fits better. Intervals: 95 %, bootstrap over pictures.",
            "The paper's view slides inside larger pictures; here a picture goes on as its own mirror image. Turned views have "
            "black corners, as in the paper.",
        ),
        highlights=_highlights(arrays),
        pieces=tuple(_piece(kind, arrays, about) for kind in KINDS),
        rows_title="The curves in numbers",
    )


def _rows(kind: str, arrays: Mapping[str, np.ndarray]) -> list[Row]:
    head, small = KINDS[kind][0], SMALL_STEPS[kind]
    amount, curves = amounts(arrays, kind), [arrays[f"distance{layer}_{kind}"] for layer in (1, 7)]
    probability = arrays[f"probability_{kind}"]
    untouched = probability[:, int(amount.argmin())]
    kept = ("P(true class) over the whole range", None, None, None, bootstrap.mean(probability.mean(1), 3))
    rows = [heading(head, COLUMNS), Row((*_at_the_end(kind, curves, amount), PRINTED[kind, "largest"]))]
    if small is not None:
        shares = _both([share_of_largest(curve, amount, small) for curve in curves])
        rows.append(Row(("Distance at a small step, over that at the end", *shares, None, PRINTED[kind, "small"])))
        fits = _both([linearity(curve, amount) for curve in curves])
        rows.append(Row(("R\u00b2 of a straight line", *fits, None, "layer 7 called quasi-linear")))
    else:
        rows += _at_angles(arrays[kind], curves, probability)
    return [
        *rows,
        Row(("P(true class), untouched", None, None, None, bootstrap.mean(untouched, 3), None)),
        Row((*kept, None)),
    ]


def _both(layers: list[np.ndarray]) -> tuple[Cell, ...]:
    """Means over the images of layers 1 and 7, and of their differences."""
    one, seven = layers
    return (*(bootstrap.mean(values, 2) for values in layers), bootstrap.mean(seven - one, 2, signed=True))


def _at_the_end(kind: str, curves: list[np.ndarray], amount: np.ndarray) -> tuple[Cell, ...]:
    if kind == "turn":
        return ("Distance, mean over all angles", *(bootstrap.mean(curve.mean(1), 2) for curve in curves), None, None)
    ends = amount >= amount.max() - 1e-9
    return (
        "Distance at the end of the range",
        *(bootstrap.mean(curve[:, ends].mean(1), 2) for curve in curves),
        None,
        None,
    )


def _at_angles(degrees: np.ndarray, curves: list[np.ndarray], probability: np.ndarray) -> list[Row]:
    shares = [ratio(at(curve, degrees, QUARTERS), at(curve, degrees, EIGHTHS)) for curve in curves]
    ratios: list[Cell] = [bootstrap.mean(share, 2) for share in shares]
    angles = {"quarters": ("90, 180, 270", QUARTERS), "eighths": ("45, 135, 225, 315", EIGHTHS)}
    return [
        Row(("Distance at 90, 180, 270 degrees, over that at 45, 135 ...", *ratios, None, None, PRINTED["turn", "quarters"])),
        *(
            Row((f"P(true class) at {said} degrees", None, None, None, bootstrap.mean(at(probability, degrees, some), 3),
                 PRINTED["turn", f"at {name}"]))
            for name, (said, some) in angles.items()
        ),
    ]  # fmt: skip


def _piece(kind: str, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Piece:
    names = ", ".join(one["class"] for one in about["pictures"][: about["shown"]])
    ends = arrays[f"distance7_{kind}"].mean(0)
    return Piece(
        kind,
        _drawn([kind], arrays, about),
        f"{KINDS[kind][0]} of {names}: thumbnails and three curves. Mean distance in layer 7 reaches {ends.max():.2f}.",
        KINDS[kind][0],
        least=680,
    )


def _drawn(kinds: list[str], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> bytes:
    named, entries = len(kinds) > 1, _entries(about)
    columns = len(entries) if sum(len(label) + 8 for _, label in entries) <= LEGEND_LETTERS else 3
    legend = LEGEND + LEGEND_LINE * (-(-len(entries) // columns) - 1)
    row = HIGH + (0.2 if named else 0)
    height = row * len(kinds) + legend
    with draw.figure(WIDE, height) as drawn:
        drawn.set_layout_engine("none")
        for line, kind in enumerate(kinds):
            bottom = height - legend - (line + 1) * row
            if named:
                drawn.text(MARGIN / WIDE, (bottom + row - 0.06) / height, KINDS[kind][0], weight="bold", va="top")
            _line(drawn, kind, bottom, height, arrays, about)
        drawn.legend(
            handles=[Line2D([], [], color=colour, label=label) for colour, label in entries],
            loc="upper center", ncols=columns, fontsize=6.5, handlelength=1.2, columnspacing=1.2,
        )  # fmt: skip
        return draw.png(drawn)


def _line(
    drawn: Figure, kind: str, bottom: float, height: float, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> None:
    high = HIGH - HEAD - FOOT
    first = drawn.add_axes((MARGIN / WIDE, (bottom + FOOT) / height, THUMBNAILS / WIDE, high / height))
    _thumbnails(first, arrays[f"views_{kind}"])
    width = (WIDE - THUMBNAILS - 3 * MARGIN - 3 * SPACE - EDGE) / 3
    titles = {"distance1": "Distance, layer 1", "distance7": "Distance, layer 7", "probability": "P(true class)"}
    for place, (quantity, title) in enumerate(titles.items()):
        left = MARGIN + THUMBNAILS + SPACE + place * (width + SPACE)
        ax = drawn.add_axes((left / WIDE, (bottom + FOOT) / height, width / WIDE, high / height))
        _curves(ax, arrays[kind], arrays[f"{quantity}_{kind}"], about["shown"])
        ax.set_title(title, pad=3)
        ax.set_xlabel(KINDS[kind][1], labelpad=1, fontsize=7)
        ax.set_ylim(0, 1 if quantity == "probability" else None)
        if kind == "turn":
            ax.set_xticks(range(0, 361, 90))


def _thumbnails(ax: Axes, views: np.ndarray) -> None:
    """Pictures one below the other, a coloured edge at the left as in the curves."""
    side = 60
    lines = [draw.block(list(one), len(one), side, 2) for one in views]
    sheet = np.array(draw.below(lines, 2))
    ax.imshow(sheet, interpolation="antialiased", aspect="equal", extent=(0, sheet.shape[1], sheet.shape[0], 0))
    for line, colour in zip(range(len(views)), draw.CYCLE, strict=False):
        top = line * (side + 2)
        ax.fill_between([-14, -5], top, top + side, color=colour, linewidth=0)
    ax.set_xlim(-14, sheet.shape[1])
    ax.set_anchor("NW")
    ax.axis("off")


def _curves(ax: Axes, amounts: np.ndarray, curves: np.ndarray, shown: int) -> None:
    low, high = np.percentile(curves, (25, 75), axis=0)
    ax.fill_between(amounts, low, high, color="#d9dce1", linewidth=0)
    for curve, colour in zip(curves[:shown], draw.CYCLE * (1 + shown // len(draw.CYCLE)), strict=False):
        ax.plot(amounts, curve, color=colour, linewidth=0.9)
    ax.plot(amounts, curves.mean(0), color=draw.INK, linewidth=1.6)
    ax.grid(True)
    ax.set_axisbelow(True)
    ax.tick_params(length=0, labelsize=6.5, pad=3)
    ax.set_xlim(amounts[0], amounts[-1])


def _entries(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Colour and label of every line."""
    shown = about["pictures"][: about["shown"]]
    names = [_short(one["class"]) + ("" if one["correct"] else " (taken for another)") for one in shown]
    colours = draw.CYCLE * (1 + len(names) // len(draw.CYCLE))
    return [*zip(colours, names, strict=False), (draw.INK, f"mean of {len(about['pictures'])}")]


def _short(name: str) -> str:
    return name if len(name) <= 22 else name[:21] + "\u2026"


def _highlights(arrays: Mapping[str, np.ndarray]) -> tuple[Highlight, ...]:
    found = []
    for kind in ("shift", "scale"):
        fits = [bootstrap.mean(linearity(arrays[f"distance{n}_{kind}"], amounts(arrays, kind)), 2) for n in (7, 1)]
        if all(fits):
            seven, one = (fit.texts()["text"] for fit in fits)
            found.append(
                Highlight(f"Straightness (R\u00b2) of layer 7 against layer 1, {kind}", f"{seven} against {one}")
            )
    return tuple(found)
