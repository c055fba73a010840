"""Fig 5: how features and the probability of the true class change when images are shifted, scaled and rotated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import Cell, Column, Highlight, Narrow, Picture, Piece, Row, heading, make_row
from zfrepro.exhibits.kit.image_numbers import mean_number, mean_probability
from zfrepro.exhibits.kit.interaction import Box
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.exhibits.kit.texts import shorten, width_of
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

TITLE = "Invariance to translation, scale and rotation"
PAPER = "Figure 5"
KINDS = {  # name -> heading, label of the axis
    "shift": ("(a) Vertical translation", "vertical translation (pixels)"),
    "scale": ("(b) Scale", "scale (ratio)"),
    "turn": ("(c) Rotation", "rotation (degrees)"),
}
COLUMNS = (
    Column("measure", "Mean over all images", "label"),
    Column("layer1", "Layer 1", "ours"),
    Column("layer7", "Layer 7", "ours"),
    Column("difference", "Layer 7 minus layer 1", "ours"),
    Column("probability", "P(true class)", "ours"),
    Column("paper", "Paper, read from the figure", "paper"),
)
QUANTITIES = {"distance1": "Distance, layer 1", "distance7": "Distance, layer 7", "probability": "P(true class)"}
WIDE, HIGH = 7.4, 1.75  # inches: the figure, a transformation
NARROW, NARROW_HIGH = 3.2, 3.3  # inches: the figure for a narrow screen, without its legend
LEGEND_LINE, NAME, HANDLE, LETTERS = (
    0.16,
    1.4,
    0.36,
    6.5,
)  # inches: a line of the legend, a name, its line and gaps; points

LEGEND: dict[str, Any] = {
    "loc": "outside upper center", "fontsize": LETTERS, "handlelength": 1.2, "columnspacing": 1.2
}  # fmt: skip


def needs(config: Any) -> dict[str, str]:
    return measured_files.files_of_run(config, "invariance")


def build(files: Mapping[str, Path]) -> Picture:
    arrays, about = artifacts.load_arrays(files["arrays"]), artifacts.load_json(files["about"])
    chosen = _correct(about)
    return Picture(
        caption=f"Left: {about['shown']} images under the transformation. Then, against its amount: Euclidean distance between the "
        "features of the transformed and the original image, in layers 1 and 7, and the probability of the true class. One line per "
        f"image; black: {_describe_mean(chosen)}, grey: the middle half of these. Input {about['input_size']} pixels.",
        columns=COLUMNS,
        rows=tuple(row for kind in KINDS for row in _rows(kind, arrays, chosen)),
        drawing=Drawing(_draw(list(KINDS), arrays, about)[0].png),
        alt="Three rows, for translation, scale and rotation: images, and curves of both distances and of the probability.",
        notes=(
            f"Distances: every map of layer 1 is scaled to unit length, so that two images are at most {about['largest']['1']:.1f} "
            "apart here and 13.9 with the paper's 96 maps; layer 7 counts as one map, at most 1.41. A small step is 10 of 60 pixels, "
            "or 0.2 of 0.8 in ratio, in proportion. R\u00b2: fit of a straight line through the original view, computed per image; 1 "
            "for a line, below 0 where a constant fits better. Intervals: 95 %, Student's t over images.",
            "The paper's view moves inside larger images; here borders are filled by reflection. Rotated views have black corners, as "
            "in the paper.",
        ),
        highlights=_highlights(arrays),
        pieces=tuple(_piece(kind, arrays, about) for kind in KINDS),
        rows_title="The curves in numbers",
    )


def _correct(about: Mapping[str, Any]) -> np.ndarray:
    """bool (images,): those that the network classifies correctly when nothing is changed; all where it classifies none so."""
    correct = np.array([picture["correct"] for picture in about["pictures"]], dtype=bool)
    return correct if correct.any() else np.ones_like(correct)


def _describe_mean(chosen: np.ndarray) -> str:
    """`mean over the 36 of 55 images that are classified correctly`"""
    if chosen.all():
        return f"mean over {len(chosen)} images"
    return f"mean over the {chosen.sum()} of {len(chosen)} images that are classified correctly"


def _rows(kind: str, arrays: Mapping[str, np.ndarray], chosen: np.ndarray) -> list[Row]:
    small, amount = SMALL_STEPS[kind], amounts(arrays, kind)
    curves = [arrays[f"distance{layer}_{kind}"] for layer in (1, 7)]
    probability = arrays[f"probability_{kind}"]
    rows = [heading(KINDS[kind][0], COLUMNS), _at_the_end(kind, curves, amount)]
    if small is None:
        rows += _at_angles(arrays[kind], curves, probability)
    else:
        shares = [share_of_largest(curve, amount, small) for curve in curves]
        fits = [linearity(curve, amount) for curve in curves]
        step = "Distance at a small step, over that at the end"
        rows.append(_distances(step, shares, paired=True, paper=PRINTED[kind, "small"]))
        rows.append(_distances("R\u00b2 of a straight line", fits, paired=True, paper="layer 7 called quasi-linear"))
    original, whole = probability[:, int(amount.argmin())], probability.mean(1)
    rows.append(_probability("P(true class), original image", original))
    rows.append(_probability("P(true class) over the whole range", whole))
    if not chosen.all():
        rows.append(_probability("P(true class), original image, classified correctly", original[chosen]))
        rows.append(_probability("P(true class) over the whole range, classified correctly", whole[chosen]))
    return rows


def _distances(label: str, layers: list[np.ndarray], paired: bool = False, paper: str | None = None) -> Row:
    """Means over the images of layers 1 and 7 and, if `paired`, of their differences. layers: two of (images,)."""
    first, last = layers
    cells: dict[str, Cell] = {"measure": label, "layer1": mean_number(first, 2), "layer7": mean_number(last, 2)}
    if paired:
        cells["difference"] = mean_number(last - first, 2, signed=True)
    return make_row(COLUMNS, cells | {"paper": paper}, partial=True)


def _probability(label: str, values: np.ndarray, paper: str | None = None) -> Row:
    cells = {"measure": label, "probability": mean_probability(values), "paper": paper}
    return make_row(COLUMNS, cells, partial=True)


def _at_the_end(kind: str, curves: list[np.ndarray], amount: np.ndarray) -> Row:
    full_turn = kind == "turn"
    ends = np.ones(len(amount), dtype=bool) if full_turn else amount >= amount.max() - 1e-9
    label = "Distance, mean over all angles" if full_turn else "Distance at the end of the range"
    return _distances(label, [curve[:, ends].mean(1) for curve in curves], paper=PRINTED[kind, "largest"])


def _at_angles(degrees: np.ndarray, curves: list[np.ndarray], probability: np.ndarray) -> list[Row]:
    shares = [ratio(at(curve, degrees, QUARTERS), at(curve, degrees, EIGHTHS)) for curve in curves]
    label = "Distance at 90, 180, 270 degrees, over that at 45, 135 ..."
    angles = {"quarters": ("90, 180, 270", QUARTERS), "eighths": ("45, 135, 225, 315", EIGHTHS)}
    return [
        _distances(label, shares, paper=PRINTED["turn", "quarters"]),
        *(
            _probability(
                f"P(true class) at {text} degrees", at(probability, degrees, angle), PRINTED["turn", f"at {name}"]
            )
            for name, (text, angle) in angles.items()
        ),
    ]


def _piece(kind: str, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Piece:
    names = ", ".join(picture["class"] for picture in about["pictures"][: about["shown"]])
    ends = arrays[f"distance7_{kind}"].mean(0)
    drawing, thumbnails = _draw([kind], arrays, about)
    return Piece(
        kind,
        drawing,
        f"{KINDS[kind][0]} of {names}: thumbnails and three curves. Mean distance in layer 7 reaches {ends.max():.2f}.",
        KINDS[kind][0],
        least=680,
        images=thumbnails,
        narrow=_narrow(kind, arrays, about),
    )


def _draw(
    kinds: list[str], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> tuple[Drawing, tuple[Box, ...]]:
    """A row per transformation, named where there are several: thumbnails, and where they lie, then three panels of curves."""
    entries = _legend_entries(about)
    lines = [Line2D([], [], color=colour, label=label) for colour, label in entries]
    across = sum(width_of(label, LETTERS) + HANDLE for _, label in entries)
    columns = len(lines) if across <= WIDE else 3
    height = HIGH * len(kinds) + LEGEND_LINE * -(-len(lines) // columns)
    with draw.figure(WIDE, height) as figure:
        axes = figure.subplots(len(kinds), 4, width_ratios=(1.6, 1, 1, 1), squeeze=False)
        for kind, line in zip(kinds, axes, strict=True):
            _line(line, kind, KINDS[kind][0] if len(kinds) > 1 else "", arrays, about)
        figure.legend(handles=lines, ncols=columns, **LEGEND)
        return draw.save(figure), draw.boxes_of(figure, axes[:, 0])


def _narrow(kind: str, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Narrow:
    """Two panels side by side."""
    lines = [Line2D([], [], color=colour, label=label) for colour, label in _legend_entries(about)]
    with draw.figure(NARROW, NARROW_HIGH + LEGEND_LINE * -(-len(lines) // 2)) as figure:
        axes = figure.subplots(2, 2).ravel()
        _line(axes, kind, "", arrays, about)
        figure.legend(handles=lines, ncols=2, **LEGEND)
        return Narrow(draw.save_narrow(figure), images=draw.boxes_of(figure, axes[:1]))


def _line(
    axes: Sequence[Axes], kind: str, title: str, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> None:
    """Thumbnails and the three panels of one transformation."""
    first, *panels = axes
    chosen = _correct(about)
    _thumbnails(first, arrays[f"views_{kind}"])
    first.set_title(title)
    for ax, (quantity, name) in zip(panels, QUANTITIES.items(), strict=True):
        _curves(ax, arrays[kind], arrays[f"{quantity}_{kind}"], about["shown"], chosen)
        ax.set_title(name)
        ax.set_xlabel(KINDS[kind][1], fontsize=7)
        ax.set_ylim(0, min(1.0, ax.get_ylim()[1]) if quantity == "probability" else None)
        if kind == "turn":
            ax.set_xticks(range(0, 361, 90))


def _thumbnails(ax: Axes, views: np.ndarray) -> None:
    """An image per row, with the colour of its curves at the left edge."""
    side = 60
    lines = [draw.block(list(image_views), len(image_views), side, 2) for image_views in views]
    sheet = np.array(draw.join_rows(lines, 2))
    ax.imshow(sheet, interpolation="antialiased", aspect="equal", extent=(0, sheet.shape[1], sheet.shape[0], 0))
    for line, colour in zip(range(len(views)), draw.CYCLE, strict=False):
        top = line * (side + 2)
        ax.fill_between([-14, -5], top, top + side, color=colour, linewidth=0)
    ax.set_xlim(-14, sheet.shape[1])
    ax.set_anchor("NW")
    ax.axis("off")


def _curves(ax: Axes, amounts: np.ndarray, curves: np.ndarray, shown: int, chosen: np.ndarray) -> None:
    low, high = np.percentile(curves[chosen], (25, 75), axis=0)
    ax.fill_between(amounts, low, high, color="#d9dce1", linewidth=0)
    for curve, colour in zip(curves[:shown], draw.CYCLE * (1 + shown // len(draw.CYCLE)), strict=False):
        ax.plot(amounts, curve, color=colour, linewidth=0.9)
    ax.plot(amounts, curves[chosen].mean(0), color=draw.INK, linewidth=1.8)
    ax.grid(True)
    ax.set_axisbelow(True)
    ax.tick_params(length=0, labelsize=6.5, pad=3)
    ax.tick_params(axis="x", pad=5)  # below the lowest number of the other axis
    ax.set_xlim(amounts[0], amounts[-1])


def _legend_entries(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Colour and label of every line."""
    shown = about["pictures"][: about["shown"]]
    names = [
        shorten(picture["class"], NAME, LETTERS) + ("" if picture["correct"] else " (misclassified)")
        for picture in shown
    ]
    colours = draw.CYCLE * (1 + len(names) // len(draw.CYCLE))
    return [*zip(colours, names, strict=False), (draw.INK, _label_mean(_correct(about)))]


def _label_mean(chosen: np.ndarray) -> str:
    return f"mean of {chosen.sum()}" if chosen.all() else f"mean of the {chosen.sum()} classified correctly"


def _highlights(arrays: Mapping[str, np.ndarray]) -> tuple[Highlight, ...]:
    highlights = []
    for kind in ("shift", "scale"):
        last, first = (mean_number(linearity(arrays[f"distance{n}_{kind}"], amounts(arrays, kind)), 2) for n in (7, 1))
        if last and first:
            fits = f"{last.texts()['text']} against {first.texts()['text']}"
            highlights.append(Highlight(f"Straightness (R\u00b2) of layer 7 against layer 1, {kind}", fits))
    return tuple(highlights)
