"""Fig 1: one layer of the network beside its deconvnet layer, drawn from what the code itself recorded."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image

from zfrepro.exhibits.kit import draw, saving
from zfrepro.exhibits.kit.base import Column, Picture, Piece, Row, make_row
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import files as measured_files
from zfrepro.storage import artifacts

TITLE = "How the deconvnet projects back to pixels"
PAPER = "Figure 1"
OPERATIONS = {"conv": "Convolution", "relu": "Rectify", "pool": "Max pooling", "norm": "Contrast normalisation"}
OUTPUTS = {"conv": "Feature maps", "relu": "Rectified feature maps", "pool": "Pooled maps", "norm": "Normalised maps"}
RECONSTRUCTIONS = {
    "max unpooling": "Unpooled maps",
    "rectify": "Rectified unpooled maps",
    "transposed filters": "Reconstruction",
}
COLOURS = (draw.BLUE, draw.ORANGE, draw.GREEN, draw.PURPLE)
HEADS = {"Map": "values", "Switches": None, "Pooled": "pooled", "From above": "above", "Unpooled": "unpooled",
         "Rectified": "rectified"}  # fmt: skip
WIDE, LINE = 7.4, 1.58  # inches: the figure, a worked example
BOX, STEP = (2.5, 0.42), 0.98  # width and height of a box, distance of boxes
COLUMNS = (
    Column("step", "Step", "label"),
    Column("up", "Forward pass", "label"),
    Column("maps", "Maps above"),
    Column("below", "Side below"),
    Column("above", "Side above"),
    Column("down", "Deconvnet pass", "label"),
)


def needs(config: Any) -> dict[str, str]:
    return {"about": measured_files.files_of_run(config, "deconvnet")["about"]}


def build(files: Mapping[str, Path]) -> Picture:
    about = artifacts.load_json(files["about"])
    layer = [step for step in about["path"] if step["name"].endswith("1")]
    paths, pooling = _paths(layer), _pooling(about["pooling"])
    passed = ", ".join(step["name"] for step in about["path"] if step["down"] == "skipped")
    return Picture(
        caption="Right: the forward pass through layer 1 of this experiment's network. Left: the deconvnet pass through the same layer. "
        "The reconstruction from the layer above is unpooled with the switches recorded in pooling, rectified, and filtered with the "
        "same filters transposed. Below, pooling and unpooling of a map of 4 x 4 values. Every step and number was recorded from the "
        "code as it ran.",
        columns=COLUMNS,
        rows=tuple(_row(step) for step in about["path"]),
        drawing=Drawing(saving.encode(_sheet([paths.png, pooling.png]))),
        alt=f"Two stacks of boxes. {_describe_passes(layer)} Below, two worked examples of pooling.",
        notes=(
            (
                f"The paper's sketch has no box for contrast normalisation; the deconvnet pass skips it ({passed}). "
                if passed
                else ""
            )
            + "The sketch's pooling regions of 2 x 2 do not overlap; those of the networks, 3 x 3 with stride 2, do. Two regions may then "
            "share their maximum, and the values unpooled from both are added at its position.",
        ),
        pieces=(
            Piece("layer", paths, _describe_passes(layer), "Layer 1, forward and deconvnet pass", least=560, plot=True),
            Piece(
                "pooling",
                pooling,
                _describe_pooling(about["pooling"]),
                "Worked examples of pooling and unpooling",
                least=560,
                plot=True,
            ),
        ),
        rows_title="All layers, forward and deconvnet pass",
    )


def _describe_passes(layer: Sequence[Mapping[str, Any]]) -> str:
    up, down = [_operation(step).lower() for step in layer], [step["down"] for step in layer[::-1]]
    return f"Forward pass: {', '.join(up)}. Deconvnet pass: {', '.join(down)}."


def _describe_pooling(examples: Sequence[Mapping[str, Any]]) -> str:
    return " ".join(
        f"Regions of {example['kernel']} x {example['kernel']}: {example['values']} is pooled to {example['pooled']}; "
        f"{example['above']} from above is unpooled to {example['unpooled']} and rectified to {example['rectified']}."
        for example in examples
    )


def _row(step: Mapping[str, Any]) -> Row:
    numbers = {key: Number(step[key], 0) for key in ("maps", "below", "above")}
    return make_row(
        COLUMNS, {"step": step["name"], "up": _operation(step), **numbers, "down": step["down"].capitalize()}
    )


def _operation(step: Mapping[str, Any]) -> str:
    window = f" {step['kernel']} x {step['kernel']}, stride {step['stride']}" if step["kernel"] else ""
    return OPERATIONS.get(step["kind"], step["kind"]) + window


def _sheet(pngs: Sequence[bytes]) -> Image.Image:
    return draw.join_rows([Image.open(io.BytesIO(png)).convert("RGB") for png in pngs], 30)


def _paths(layer: Sequence[Mapping[str, Any]]) -> Drawing:
    """The convnet's stack at the right, the deconvnet's at the left, with the same maps at the same level."""
    height = len(layer) * STEP + BOX[1]
    with draw.figure(WIDE, height + 0.55) as figure:
        ax = figure.subplots()
        ax.set(xlim=(0, WIDE), ylim=(-0.1, height + 0.45), aspect="equal")
        ax.axis("off")
        left, right = 1.9, 5.5  # middles of the stacks
        for x, head in ((left, "Deconvnet pass"), (right, "Forward pass")):
            ax.text(x, height + 0.2, head, ha="center", weight="bold", fontsize=9)
        _box(ax, right, 0, "Image", _size(layer[0], "below"), draw.BLUE)
        coming = "Reconstruction from the layer above"
        _box(ax, left, len(layer), coming, _size(layer[-1], "above"), draw.RED)
        for level, step in enumerate(layer):
            _box(ax, right, level + 1, OUTPUTS.get(step["kind"], step["name"]), _size(step, "above"), draw.BLUE)
            _arrow(ax, right, level, 1, _operation(step), draw.BLUE)
            _box(ax, left, level, _reconstruction(layer, level), _size(step, "below"), draw.RED)
            _arrow(
                ax,
                left,
                level + 1,
                -1,
                step["down"].capitalize(),
                draw.MUTED if step["down"] == "skipped" else draw.RED,
                side=-1,
            )
            if step["down"] == "max unpooling":
                _switches(ax, left, right, level)
        return draw.save(figure)


def _reconstruction(layer: Sequence[Mapping[str, Any]], level: int) -> str:
    """What the deconvnet has computed below a step; a skipped step changes nothing."""
    names = [RECONSTRUCTIONS[step["down"]] for step in layer[level:] if step["down"] in RECONSTRUCTIONS]
    return names[0] if names else "Reconstruction from the layer above"


def _size(step: Mapping[str, Any], end: str) -> str:
    """The size of the maps above (after) or below (before) a step; below the first convolution, of the image."""
    side = step[end]
    if end == "above":
        return f"{step['maps']} maps of {side} x {side}"
    return f"3 colours, {side} x {side}" if step["kind"] == "conv" else f"{step['maps']} maps of {side} x {side}"


def _box(ax: Axes, x: float, level: int, name: str, size: str, colour: str) -> None:
    y = level * STEP
    style: dict[str, Any] = {"facecolor": "white", "edgecolor": colour, "linewidth": 1.2}
    ax.add_patch(FancyBboxPatch((x - BOX[0] / 2, y), *BOX, boxstyle="round,pad=0,rounding_size=0.07", **style))
    ax.text(x, y + 0.65 * BOX[1], name, ha="center", va="center", fontsize=8)
    ax.text(x, y + 0.27 * BOX[1], size, ha="center", va="center", fontsize=6.8, color=draw.MUTED)


def _arrow(ax: Axes, x: float, level: int, direction: int, text: str, colour: str, side: int = 1) -> None:
    """From a box to the one above (direction 1) or below (-1), and the operation at its right (side 1) or left (-1)."""
    start = level * STEP + (BOX[1] if direction > 0 else 0)
    end = start + direction * (STEP - BOX[1])
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.4, "shrinkA": 1, "shrinkB": 1}
    ax.annotate("", (x, end), (x, start), arrowprops=style)
    ha = "left" if side > 0 else "right"
    ax.text(x + 0.12 * side, (start + end) / 2, text, ha=ha, va="center", fontsize=7.8, color=colour)


def _switches(ax: Axes, left: float, right: float, level: int) -> None:
    """From the arrow of pooling, which records them, to that of unpooling, which uses them."""
    y = level * STEP + (STEP + BOX[1]) / 2
    style = {
        "arrowstyle": "-|>",
        "color": draw.GREEN,
        "linewidth": 1.4,
        "linestyle": (0, (4, 2)),
        "shrinkA": 0,
        "shrinkB": 0,
    }
    ax.plot([right], [y], "o", color=draw.GREEN, markersize=4, zorder=4)
    ax.annotate("", (left, y), (right, y), arrowprops=style)
    ax.text((left + right) / 2, y + 0.07, "switches", ha="center", va="bottom", fontsize=7.8, color=draw.GREEN)


def _pooling(examples: Sequence[Mapping[str, Any]]) -> Drawing:
    """A line per worked example, a panel per step."""
    with draw.figure(WIDE, LINE * len(examples)) as figure:
        for part, example in zip(figure.subfigures(len(examples), 1, squeeze=False)[:, 0], examples, strict=True):
            kernel, stride = example["kernel"], example["stride"]
            kind = "no overlap, as in the paper's sketch" if kernel <= stride else "overlapping, as in the networks"
            title = f"Regions of {kernel} x {kernel}, stride {stride}: {kind}"
            part.suptitle(title, x=0.012, ha="left", weight="bold", fontsize=8.5)
            for ax, head in zip(part.subplots(1, len(HEADS), gridspec_kw={"wspace": 0.2}), HEADS, strict=True):
                _panel(ax, head, example)
        return draw.save(figure)


def _panel(ax: Axes, head: str, example: Mapping[str, Any]) -> None:
    """Values in cells, in the colours of their regions where there is one per region; an arrow from the panel before."""
    side = len(example["values"])
    ax.set(xlim=(0, side), ylim=(side, 0), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.patch.set_alpha(0)
    ax.set_title(head, fontsize=7.5, weight="normal", loc="center", pad=3)
    if head not in ("Map", "From above"):
        style = {"arrowstyle": "-|>", "color": draw.MUTED}
        ax.annotate("", (-0.03, 0.5), (-0.2, 0.5), xycoords="axes fraction", arrowprops=style)
    key = HEADS[head]
    cells = np.array(example[key]) if key else np.zeros((side, side), dtype=int)
    off = (side - len(cells)) / 2
    for (row, column), value in np.ndenumerate(cells):
        _cell(ax, row + off, column + off, value, COLOURS[row * len(cells) + column] if off else None)
        if key:
            faint = head in ("Unpooled", "Rectified") and value == 0
            colour = "#b3b8c0" if faint else draw.INK
            ax.text(column + off + 0.5, row + off + 0.52, f"{value}", ha="center", va="center", color=colour)
    if head == "Map":
        _outlines(ax, example)
    elif not key:
        _points(ax, example["switches"])


def _cell(ax: Axes, row: float, column: float, value: int, region: str | None) -> None:
    edge, line = (draw.LINE, 0.8) if region is None else (region, 1.8)
    shade = "#f7e3dc" if value < 0 else "white"
    ax.add_patch(Rectangle((column + 0.02, row + 0.02), 0.96, 0.96, facecolor=shade, edgecolor=edge, linewidth=line))


def _outlines(ax: Axes, example: Mapping[str, Any]) -> None:
    """The regions, each in its colour, slightly smaller one after the other so that overlapping ones can be told apart."""
    side, kernel, stride = len(example["values"]), example["kernel"], example["stride"]
    for region, (row, column) in enumerate(np.ndindex(*np.shape(example["pooled"]))):
        inset = 0.05 + (0.05 * region if kernel > stride else 0)
        y, x = row * stride, column * stride
        width, height = (min(kernel, side - start) - 2 * inset for start in (x, y))
        ax.add_patch(
            Rectangle((x + inset, y + inset), width, height, fill=False, edgecolor=COLOURS[region], linewidth=1.5)
        )


def _points(ax: Axes, switches: Sequence[Sequence[Sequence[int]]]) -> None:
    """A point per region at its maximum; two at the same position are drawn side by side."""
    positions = [tuple(position) for line in switches for position in line]
    for region, (row, column) in enumerate(positions):
        same = [i for i, position in enumerate(positions) if position == (row, column)]
        shift = 0.44 * (same.index(region) - (len(same) - 1) / 2)
        ax.plot([column + 0.5 + shift], [row + 0.5], "o", color=COLOURS[region], markersize=6)
