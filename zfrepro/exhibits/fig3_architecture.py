"""Fig 3: the improved network, drawn from the layers that the code built, at full size and as trained here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from zfrepro import paper
from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import Cell, Column, Picture, Piece, Row, make_row
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import runs
from zfrepro.storage import artifacts

TITLE = "The improved network"
PAPER = "Figure 3"
PRINTED = {  # operation -> maps or units, side of a map in pixels, as printed in the figure
    "conv1": (96, 110), "pool1": (96, 55), "conv2": (256, 26), "pool2": (256, 13), "conv3": (384, 13),
    "conv4": (384, 13), "conv5": (256, 13), "pool5": (256, 6), "full6": (4096, None), "full7": (4096, None),
}  # fmt: skip
NAMES = {
    "conv": "convolution, ReLU",
    "pool": "max pooling",
    "norm": "contrast normalisation",
    "full": "fully connected, ReLU",
}
COLUMNS = (
    Column("layer", "Layer"),
    Column("operation", "Operation", "label"),
    Column("kernel", "Filter"),
    Column("stride", "Stride"),
    Column("maps_paper", "maps", "paper", "Paper"),
    Column("size_paper", "size", "paper", "Paper"),
    Column("maps_full", "maps", "ours", "Code, full size"),
    Column("size_full", "size", "ours", "Code, full size"),
    Column("parameters_full", "parameters", "ours", "Code, full size"),
    Column("maps_here", "maps", "plain", "Trained here"),
    Column("size_here", "size", "plain", "Trained here"),
    Column("parameters_here", "parameters", "plain", "Trained here"),
    Column("field_full", "Receptive field"),
)
WIDE, LEFT, HEIGHT = 7.4, 0.1, 1.05  # inches: the figure, its border, the input's side
SKEW = 0.3  # how far a box's depth goes up and right, as a share of its side
TIMES = "\u00d7"
TONES = {"input": "#8b95a5", "conv": draw.BLUE, "pool": draw.SKY, "full": draw.ORANGE}


def needs(config: Any) -> dict[str, str]:
    run = runs.find_row(config, config.train.runs, "improved")
    return {"network": f"train/{run}/network.json"}


def build(files: Mapping[str, Path]) -> Picture:
    network = artifacts.load_json(files["network"])
    full, trained, spec = network["full_size"], network, network["spec"]
    as_printed = runs.full_description(spec["network"]) == runs.full_description(paper.VARIANTS["improved"])
    pictures = {"At full size": full["rows"], "As trained here": trained["rows"]}
    return Picture(
        caption=f"At full size: {full['rows'][0]['input_size']} pixels, {full['parameters']:,} parameters. As trained here: "
        f"{spec['input_size']} pixels, width {spec['width']:g}, {network['classes']} classes, {trained['parameters']:,} parameters. "
        "Both are drawn from the network that the code built.",
        columns=COLUMNS,
        rows=tuple(_row(a, b, as_printed) for a, b in zip(full["rows"], trained["rows"], strict=True)),
        drawing=_draw(pictures),
        alt=_alt(full["rows"]),
        notes=("Boxes: height by the side of a map, depth by the logarithm of the number of maps.",),
        pieces=tuple(
            Piece(name, _draw({title: rows}), _alt(rows), title, least=640, plot=True)
            for name, (title, rows) in zip(("full", "here"), pictures.items(), strict=True)
        ),
        rows_title="Layer by layer, beside the sizes printed in the paper",
    )


def _row(full: dict[str, Any], trained: dict[str, Any], as_printed: bool) -> Row:
    maps, size = PRINTED.get(full["name"], (None, None)) if as_printed else (None, None)
    flat = full["kind"] == "full"
    last = full["layer"] == 8
    cells: dict[str, Cell] = {
        "layer": Number(full["layer"], 0),
        "operation": "fully connected, softmax" if last else NAMES[full["kind"]],
        "kernel": f"{full['kernel']} x {full['kernel']}" if full["kernel"] else None,
        "stride": _count(full["stride"]),
        "maps_paper": _count(maps),
        "size_paper": _count(size),
        "field_full": None if flat else _count(full["field"]),
    }
    for which, row in (("full", full), ("here", trained)):
        cells |= {
            f"maps_{which}": _count(row["outputs"]),
            f"size_{which}": None if flat else _count(row["size"]),
            f"parameters_{which}": _count(row["parameters"] or None),
        }
    return make_row(COLUMNS, cells)


def _count(number: int | None) -> Number | None:
    return None if number is None else Number(number, 0)


def _alt(rows: list[dict[str, Any]]) -> str:
    layers = [
        f"{row['name']} {row['outputs']}" + (f" maps of {row['size']} pixels" if row["kind"] != "full" else " units")
        for row in rows
        if row["kind"] != "norm"
    ]
    return f"Block drawing of the network: input {rows[0]['input_size']} pixels, " + ", ".join(layers) + "."


def _draw(pictures: Mapping[str, list[dict[str, Any]]]) -> Drawing:
    """Title -> rows of a network, one network below the other; a single one without its title."""
    with draw.figure(WIDE, (2.2 if len(pictures) == 1 else 2.45) * len(pictures)) as figure:
        for ax, (title, rows) in zip(
            figure.subplots(len(pictures), squeeze=False)[:, 0], pictures.items(), strict=True
        ):
            _network(ax, rows)
            if len(pictures) > 1:
                ax.set_title(title)
        return draw.save(figure)


def _network(ax: Axes, rows: list[dict[str, Any]]) -> None:
    """Boxes from left to right, in inches; the free width is shared among the gaps."""
    side = rows[0]["input_size"]
    boxes = [
        {"kind": "input", "outputs": 3, "size": side, "kernel": None},
        *(row for row in rows if row["kind"] != "norm"),
    ]
    normed = {row["layer"] for row in rows if row["kind"] == "norm"}
    widths = [_width(box, side) for box in boxes]
    gap = min(0.36, (WIDE - 2 * LEFT - sum(widths)) / (len(boxes) - 1))
    x = (WIDE - sum(widths) - gap * (len(boxes) - 1)) / 2
    for i, (box, width) in enumerate(zip(boxes, widths, strict=True)):
        _box(ax, box, x, side)
        ax.text(x + width / 2, -0.75, _label(box, normed), ha="center", va="top", fontsize=5.4, linespacing=1.35)
        if i:
            ax.annotate("", (x - 0.02, 0), (x - gap + 0.02, 0), arrowprops={"arrowstyle": "-|>", "color": draw.MUTED, "lw": 0.7,
                        "mutation_scale": 5, "shrinkA": 0, "shrinkB": 0})  # fmt: skip
        x += width + gap
    ax.set(xlim=(0, WIDE), ylim=(-1.16, 1.04))
    ax.set_aspect("equal")
    ax.axis("off")


def _side(box: dict[str, Any], side: int) -> float:
    return 0.85 if box["kind"] == "full" else HEIGHT * math.sqrt(box["size"] / side)


def _depth(box: dict[str, Any]) -> float:
    return 0.13 if box["kind"] == "full" else 0.026 * math.log2(box["outputs"] + 1)


def _skew(box: dict[str, Any], side: int) -> float:
    return 0.05 if box["kind"] == "full" else SKEW * _side(box, side)


def _width(box: dict[str, Any], side: int) -> float:
    return _depth(box) + _skew(box, side)


def _box(ax: Axes, box: dict[str, Any], x: float, side: int) -> None:
    """A box seen from its front and right, with the number and side of its maps above it."""
    height, depth, skew = _side(box, side), _depth(box), _skew(box, side)
    low, high = -(height + skew) / 2, (height - skew) / 2
    tone = TONES[box["kind"]]
    faces = (
        ([(x, low), (x + depth, low), (x + depth, high), (x, high)], 0.85),
        ([(x, high), (x + depth, high), (x + depth + skew, high + skew), (x + skew, high + skew)], 0.45),
        ([(x + depth, low), (x + depth + skew, low + skew), (x + depth + skew, high + skew), (x + depth, high)], 0.25),
    )
    for points, strength in faces:
        ax.add_patch(Polygon(points, facecolor="white", edgecolor="none"))
        ax.add_patch(Polygon(points, facecolor=tone, alpha=strength, edgecolor="none"))
        ax.add_patch(Polygon(points, facecolor="none", edgecolor=draw.INK, linewidth=0.5, joinstyle="round"))
    middle = x + (depth + skew) / 2
    above = high + skew + 0.05
    if box["kind"] != "full":
        ax.text(
            middle,
            above,
            f"{box['size']} {TIMES} {box['size']}",
            ha="center",
            va="bottom",
            fontsize=5.6,
            color=draw.MUTED,
        )
        above += 0.11
    ax.text(middle, above, f"{box['outputs']:,}", ha="center", va="bottom", fontsize=6.8, weight="bold")


def _label(box: dict[str, Any], normed: set[int]) -> str:
    if box["kind"] == "input":
        return "input\nRGB"
    if box["kind"] == "full":
        return f"layer {box['layer']}\nfully\nconnected\n" + ("softmax" if box["layer"] == 8 else "ReLU")
    window = f"{box['kernel']}{TIMES}{box['kernel']}, /{box['stride']}"
    if box["kind"] == "conv":
        return f"layer {box['layer']}\nconv {window}\nReLU"
    return f"max {window}" + ("\ncontrast\nnorm." if box["layer"] in normed else "")
