"""Fig 4: how a few maps of every layer develop: their strongest activation, projected, at eight times during training."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from PIL import Image, ImageDraw, ImageFont

from zfrepro.exhibits.kit import draw, saving
from zfrepro.exhibits.kit.base import Column, Picture, Piece, Row, make_row
from zfrepro.exhibits.kit.interaction import Frames, rounded
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import files as measured_files
from zfrepro.storage import artifacts

TITLE = "How features develop during training"
PAPER = "Figure 4"
EPOCHS = "1, 2, 5, 10, 20, 30, 40 and 64 of 70"  # the paper's columns
WIDTH, GAP, HEAD = 724, 3, 21  # pixels: a block, the space between its tiles, the text above them
ABOVE = round(1.5 * HEAD)  # pixels, with their line
SETTLED = "When each layer converges"
COLUMNS = (
    Column("layer", "Layer"),
    Column("epoch", "Epoch"),
    Column("training", "Share of training (%)"),
    Column("responses", "Responses, correlation", group="Similarity to the final network"),
    Column("same_picture", "Same strongest image (%)", group="Similarity to the final network"),
    Column("projections", "Projections shown, correlation", group="Similarity to the final network"),
    Column("filters", "Filters, cosine", group="Similarity to the final network"),
)


def needs(config: Any) -> dict[str, str]:
    return measured_files.files_of_run(config, "evolution")


def build(files: Mapping[str, Path]) -> Picture:
    arrays, about = artifacts.load_arrays(files["arrays"]), artifacts.load_json(files["about"])
    layers = {int(layer): arrays[f"projections_{layer}"] for layer in sorted(about["layers"])}
    blocks = {layer: _block(projections, about["epochs"], WIDTH) for layer, projections in layers.items()}
    curves = _curves(about)
    return Picture(
        caption=_caption(arrays, about),
        columns=COLUMNS,
        rows=tuple(_rows(about)),
        drawing=Drawing(saving.encode(_sheet(blocks, curves.png))),
        alt=f"Grids of projections for layers {min(blocks)} to {max(blocks)}, one column per epoch; "
        f"then similarity to the final network over training. {_describe_convergence(about)}",
        notes=tuple(_notes(about)),
        pieces=(
            *(_piece(layer, block, layers[layer], about) for layer, block in blocks.items()),
            _curve_piece(curves, about),
        ),
        rows_title="How close each layer is to its final state",
    )


def _caption(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> str:
    images = (
        f"all {about['pictures']:,}"
        if about["pictures"] == about["split_pictures"]
        else f"{about['pictures']:,} of the"
    )
    return (
        f"Rows: {max(len(arrays[f'maps_{layer}']) for layer in about['layers'])} randomly chosen maps of each layer. Columns: epochs "
        f"{_epochs(about)} of {about['training']} (the paper: {EPOCHS}). Each tile projects the map's single strongest activation "
        f"over {images} training images, with the weights of that epoch; the image may change from column to column. "
        f"{draw.SCALE}"
    )


def _epochs(about: Mapping[str, Any]) -> str:
    *first, last = _epoch_labels(about["epochs"])
    return f"{', '.join(first)} and {last}" if first else last


def _epoch_labels(epochs: Sequence[float]) -> list[str]:
    """With two significant digits, or as many as it takes to tell them apart: 0.014, 0.14, 64."""
    for digits in range(2, 7):
        labels = [f"{epoch:.{max(digits, len(str(int(epoch))))}g}" for epoch in epochs]
        if len(set(labels)) == len(epochs):
            break
    return labels


def _side(count: int, width: int) -> int:
    """Of a tile in a line of `count`, pixels."""
    return (width + GAP) // count - GAP


def _block(projections: np.ndarray, epochs: list[float], width: int) -> Image.Image:
    """Projections (E, M, side, side, 3): a row per map, a column per epoch, the epochs above, in at most `width` pixels."""
    count, head = len(projections), round(HEAD * width / WIDTH)
    side = _side(count, width)
    tiles = [tile for row in projections.swapaxes(0, 1) for tile in draw.show_projections(row)]
    grid = draw.block(tiles, count, side, GAP)
    sheet = Image.new("RGB", (grid.width, grid.height + round(1.5 * head)), "white")
    sheet.paste(grid, (0, round(1.5 * head)))
    font, pen = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), head), ImageDraw.Draw(sheet)
    for column, label in enumerate(_epoch_labels(epochs)):
        pen.text((column * (side + GAP) + side / 2, 0), label, fill=draw.INK, font=font, anchor="ma")
    return sheet


def _sheet(blocks: Mapping[int, Image.Image], curves: bytes) -> Image.Image:
    """Two blocks per line, the curves last."""
    titled = [draw.add_title(block, f"Layer {layer}", 24) for layer, block in blocks.items()]
    plot = Image.open(io.BytesIO(curves)).convert("RGB")
    plot = plot.resize((WIDTH, round(plot.height * WIDTH / plot.width)), Image.Resampling.LANCZOS)
    titled.append(draw.add_title(plot, SETTLED, 24))
    return draw.join_rows([draw.join_columns(titled[i : i + 2], 32) for i in range(0, len(titled), 2)], 30)


def _piece(layer: int, block: Image.Image, projections: np.ndarray, about: Mapping[str, Any]) -> Piece:
    large = _block(projections, about["epochs"], saving.half_width(len(projections) * projections.shape[2]))
    record = about["layers"][str(layer)]
    changes = (
        f"their responses correlate with the final ones by {record['responses'][0]:.2f} in the first column and "
        f"{record['responses'][-1]:.2f} in the last."
        if record["responses"][0] is not None
        else "none of its maps is active at the end of training."
    )
    return Piece(
        f"layer{layer}",
        saving.save_images(block, large, saving.SMALL, saving.SAVED_SMALL),
        f"Layer {layer}: projections of single maps in rows, at epochs {_epochs(about)}; {changes}",
        f"Layer {layer}, by epoch",
        "half",
        images=(rounded((0, ABOVE / block.height, 1, 1 - ABOVE / block.height)),),
        interaction=_frames(block, record, about),
    )


def _frames(block: Image.Image, record: Mapping[str, Any], about: Mapping[str, Any]) -> Frames:
    """Where `_block` puts the tiles of each epoch, and how near the layer then is to its end."""
    side, (width, height) = _side(len(about["epochs"]), WIDTH), block.size
    texts = [
        "no map is active at the end of training" if value is None else f"correlation with final responses: {value:.2f}"
        for value in record["responses"]
    ]
    return Frames(
        tuple(_epoch_labels(about["epochs"])),
        tuple(texts),
        rounded((0, ABOVE / height, side / width, side / height)),
        ((side + GAP) / width, (side + GAP) / height),
        round((height - ABOVE + GAP) / (side + GAP)),
    )


def _curve_piece(curves: Drawing, about: Mapping[str, Any]) -> Piece:
    alt = f"One line per layer, rising to 1 towards the end of training. {_describe_convergence(about)}"
    return Piece("likeness", curves, alt, SETTLED, "half", plot=True)


def _curves(about: Mapping[str, Any]) -> Drawing:
    with draw.figure(3.62, 3.1) as figure:
        ax = figure.subplots()
        ax.axhline(about["settled"], color=draw.LINE, linestyle=(0, (4, 3)), linewidth=1)
        for (layer, record), colour in zip(sorted(about["layers"].items()), draw.CYCLE, strict=False):
            if record["settled"]["responses"] is not None:
                _curve(ax, about, record, colour, f"layer {layer}")
        ax.set(xlim=(0, 100), ylim=(min(0.0, ax.get_ylim()[0]), 1.03), xlabel="share of training (%)")
        ax.set_ylabel("correlation with final responses")
        ax.legend(loc="lower right")
        return draw.save(figure)


def _curve(ax: Axes, about: Mapping[str, Any], record: Mapping[str, Any], colour: str, label: str) -> None:
    """The measured values, continued to 1 at the end; a ring where the layer counts as converged."""
    times = [*about["epochs"], about["training"]] if about["epochs"][-1] < about["training"] else about["epochs"]
    shares = [100 * epoch / about["training"] for epoch in times]
    ax.plot(shares, [*record["responses"], 1.0][: len(shares)], color=colour, label=label)
    ax.plot(shares[: len(record["responses"])], record["responses"], ".", color=colour, markersize=5)
    settled = 100 * record["settled"]["responses"] / about["training"]
    ax.plot(
        [settled], [max(about["settled"], record["responses"][0])], "o", markerfacecolor="white", markeredgecolor=colour
    )


def _describe_convergence(about: Mapping[str, Any]) -> str:
    """Layer 1 from 54 % of training on, layer 2 from ..."""
    shares = [
        f"layer {layer} from {100 * record['settled']['responses'] / about['training']:.0f} %"
        for layer, record in sorted(about["layers"].items())
        if record["settled"]["responses"] is not None
    ]
    return f"Correlations stay at {about['settled']:g} or above: {', '.join(shares)} of training on."


def _notes(about: Mapping[str, Any]) -> list[str]:
    notes = [
        f"Responses: each map's maximum in each of {about['compared']:,} training images, correlated with the final network's and "
        "averaged over the maps that are active at the end. "
        + _describe_convergence(about)
        + " Values between snapshots are interpolated linearly.",
        "According to the paper, lower layers converge within a few epochs and upper ones after 40 to 50 of 70.",
    ]
    upper = [about["layers"][layer]["filters"][0] for layer in sorted(about["layers"])[1:]]
    if upper and min(upper) > about["settled"]:
        notes.append(
            f"The filters of layers 2 and up have a cosine of {min(upper):.2f} or more with the final ones already in the first column: "
            "so few updates move them little from their random start. This cosine does not show when they converge."
        )
    if about["schedule"] == "cosine":
        notes.append("The learning rate falls to almost zero towards the end, which makes every layer converge.")
    return notes


def _rows(about: Mapping[str, Any]) -> list[Row]:
    rows = []
    for layer, record in sorted(about["layers"].items()):
        for i, epoch in enumerate(about["epochs"]):
            same_picture = record["same_picture"][i]
            cells = {
                "layer": Number(int(layer), 0),
                "epoch": Number(epoch, 2),
                "training": Number(100 * epoch / about["training"], 1),
                "responses": _number(record["responses"][i], 2),
                "same_picture": _number(None if same_picture is None else 100 * same_picture, 0),
                "projections": _number(record["projections"][i], 2),
                "filters": _number(record["filters"][i], 3),
            }
            rows.append(make_row(COLUMNS, cells))
    return rows


def _number(value: float | None, digits: int) -> Number | None:
    return None if value is None else Number(value, digits)
