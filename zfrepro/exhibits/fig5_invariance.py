"""Fig 5: how far features move, and what becomes of the true class, when pictures are shifted, scaled and turned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zfrepro import artifacts
from zfrepro.exhibits import draw, estimates, runs
from zfrepro.exhibits.base import Cell, Column, Highlight, Picture, Piece, Row, heading

TITLE = "Invariance: shifted, scaled, turned"
PAPER = "Figure 5"
KINDS = {  # name -> heading, label of the axis, the untouched view, a small step of the paper's as a share of the range
    "shift": ("(a) Vertical translation", "vertical translation (pixels)", 0.0, 10 / 60),
    "scale": ("(b) Scale", "scale (ratio)", 1.0, 0.2 / 0.8),
    "turn": ("(c) Rotation", "rotation (degrees)", 0.0, None),
}
COLUMNS = (
    Column("measure", "Mean over all pictures", "label"),
    Column("layer1", "Layer 1", "ours"),
    Column("layer7", "Layer 7", "ours"),
    Column("probability", "P(true class)", "ours"),
    Column("paper", "Paper, read from the figure", "paper"),
)
PRINTED = {  # read by eye from the paper's curves of five pictures
    ("shift", "small"): "layer 1: 0.5 to 0.85, layer 7: 0.1 to 0.2",
    ("shift", "largest"): "layer 1: 5 to 9, layer 7: 0.25 to 0.7",
    ("scale", "small"): "layer 1: 0.7 and more, layer 7: 0.2 to 0.35",
    ("scale", "largest"): "layer 1: 5.6 to 11, layer 7: 0.55 to 0.65",
    ("turn", "largest"): "layer 1: 5 to 12, layer 7: 0.4 to 1.35",
    ("turn", "quarters"): "layer 7: 0.5 to 0.6 against 1.2 to 1.35, one picture",
}
WIDE, HIGH = 7.4, 1.75  # inches of one transformation
THUMBNAILS, MARGIN, SPACE, FOOT, HEAD, EDGE = 2.05, 0.04, 0.42, 0.36, 0.2, 0.1  # inches


def needs(config: Any) -> dict[str, str]:
    run = runs.improved(config, config.invariance.runs)
    return {name: f"invariance/{run}/invariance.{suffix}" for name, suffix in (("arrays", "npz"), ("about", "json"))}


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
    head, _, neutral, small = KINDS[kind]
    amount, curves = np.abs(arrays[kind] - neutral), [arrays[f"distance{layer}_{kind}"] for layer in (1, 7)]
    probability = arrays[f"probability_{kind}"]
    untouched = probability[:, int(amount.argmin())]
    kept = ("P(true class) over the whole range", None, None, estimates.mean(probability.mean(1), 3))
    rows = [heading(head, COLUMNS), Row((*_at_the_end(kind, curves, amount), PRINTED[kind, "largest"]))]
    if small is not None:
        shares = [estimates.mean(share_of_largest(curve, amount, small), 2) for curve in curves]
        rows.append(Row(("Distance at a small step, over that at the end", *shares, None, PRINTED[kind, "small"])))
        fits = [estimates.mean(linearity(curve, amount), 2) for curve in curves]
        rows.append(Row(("R\u00b2 of a straight line", *fits, None, "layer 7 called quasi-linear")))
    else:
        ratios: list[Cell] = [estimates.mean(quarters_over_eighths(curve, arrays[kind]), 2) for curve in curves]
        rows.append(
            Row(("At 90, 180, 270 degrees, over that at 45, 135 ...", *ratios, None, PRINTED[kind, "quarters"]))
        )
    return [
        *rows,
        Row(("P(true class), untouched", None, None, estimates.mean(untouched, 3), None)),
        Row((*kept, None)),
    ]


def _at_the_end(kind: str, curves: list[np.ndarray], amount: np.ndarray) -> tuple[Cell, ...]:
    if kind == "turn":
        return ("Distance, mean over all angles", *(estimates.mean(curve.mean(1), 2) for curve in curves), None)
    ends = amount >= amount.max() - 1e-9
    return ("Distance at the end of the range", *(estimates.mean(curve[:, ends].mean(1), 2) for curve in curves), None)


def share_of_largest(curve: np.ndarray, amount: np.ndarray, small: float) -> np.ndarray:
    """(N,): distance at `small` of the range, over that at its end; curves (N, T), amounts (T,) from the untouched view."""
    near = np.abs(amount - small * amount.max())
    at, ends = near <= near.min() + 1e-9, amount >= amount.max() - 1e-9
    with np.errstate(invalid="ignore", divide="ignore"):
        return curve[:, at].mean(1) / curve[:, ends].mean(1)


def linearity(curve: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """(N,): R^2 = 1 - residual / total sum of squares of the best line through the origin, for each curve (N, T)."""
    slope = (curve @ amount) / (amount @ amount)
    residual = ((curve - slope[:, None] * amount) ** 2).sum(1)
    total = ((curve - curve.mean(1, keepdims=True)) ** 2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - residual / total


def quarters_over_eighths(curve: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """(N,): mean at 90, 180 and 270 degrees over the mean at 45, 135, 225 and 315, at the nearest angles there are."""

    def at(angles: tuple[int, ...]) -> np.ndarray:
        return curve[:, [int(np.abs(degrees - angle).argmin()) for angle in angles]].mean(1)

    with np.errstate(invalid="ignore", divide="ignore"):
        return at((90, 180, 270)) / at((45, 135, 225, 315))


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
    named, legend = len(kinds) > 1, 0.26
    row = HIGH + (0.2 if named else 0)
    height = row * len(kinds) + legend
    with draw.figure(WIDE, height) as drawn:
        drawn.set_layout_engine("none")
        for line, kind in enumerate(kinds):
            bottom = height - legend - (line + 1) * row
            if named:
                drawn.text(MARGIN / WIDE, (bottom + row - 0.06) / height, KINDS[kind][0], weight="bold", va="top")
            _line(drawn, kind, bottom, height, arrays, about)
        _legend(drawn, about)
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
    ax.tick_params(length=0, labelsize=6.5, pad=2)
    ax.set_xlim(amounts[0], amounts[-1])


def _legend(drawn: Figure, about: Mapping[str, Any]) -> None:
    shown = about["pictures"][: about["shown"]]
    names = [one["class"] + ("" if one["correct"] else " (taken for another)") for one in shown]
    colours = draw.CYCLE * (1 + len(names) // len(draw.CYCLE))
    handles = [_key(colour, name) for colour, name in zip(colours, names, strict=False)]
    handles.append(_key(draw.INK, f"mean of {len(about['pictures'])}"))
    drawn.legend(
        handles=handles, loc="upper center", ncols=len(handles), fontsize=6.5, handlelength=1.2, columnspacing=1.2
    )


def _key(colour: str, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, label=label if len(label) <= 34 else label[:33] + "\u2026")


def _highlights(arrays: Mapping[str, np.ndarray]) -> tuple[Highlight, ...]:
    found = []
    for kind in ("shift", "scale"):
        _, _, neutral, _ = KINDS[kind]
        fits = [
            estimates.mean(linearity(arrays[f"distance{n}_{kind}"], np.abs(arrays[kind] - neutral)), 2) for n in (7, 1)
        ]
        if all(fits):
            seven, one = (fit.texts()["text"] for fit in fits)
            found.append(
                Highlight(f"Straightness (R\u00b2) of layer 7 against layer 1, {kind}", f"{seven} against {one}")
            )
    return tuple(found)
