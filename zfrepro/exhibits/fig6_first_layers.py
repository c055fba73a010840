"""Fig 6: the first layers of both networks, and layer 1 of a network trained without clipping its filters."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zfrepro.exhibits.kit import draw, first_layer_plots, saving
from zfrepro.exhibits.kit.base import Cell, Column, Picture, Piece, Row, make_row
from zfrepro.exhibits.kit.first_layer_plots import NAMES
from zfrepro.exhibits.kit.interaction import Box, arranged
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import files as measured_files
from zfrepro.measurements import first_layers
from zfrepro.measurements.files import BASES
from zfrepro.measurements.first_layers import Layers

TITLE = "The first two layers of both networks"
PAPER = "Figure 6"
WIDTH, GAP, INNER = 724, 3, 10  # pixels: half a page, between tiles, between blocks
MAPS = 25  # of layer 2, as in the paper
MISSING = "no network of this experiment was trained without clipping its filters"
PAIRS = {"a": "a", "b": "b", "c": "b", "d": "d", "e": "d"}  # panel -> its pair, named by its first
BANDS = ("low", "middle", "high")
COLUMNS = (
    Column("network", "Network", "label"),
    Column("filters", "Filters", group="Layer 1"),
    Column("rms_median", "Median RMS", group="Layer 1"),
    Column("rms_max", "Largest RMS", group="Layer 1"),
    Column("rms_ratio", "Largest / median", group="Layer 1"),
    Column("dead", "Dead", group="Layer 1"),
    *(Column(f"peak_{band}", band.capitalize(), group="Peak frequency of filters (%)") for band in BANDS),
    *(Column(f"energy_{band}", band.capitalize(), group="Energy of filters (%)") for band in BANDS),
    Column("high", "High (%)", group="Layer-2 projections"),
    Column("lines", "Lines (dB)", group="Layer-2 projections"),
    Column("squares", "Squares (dB)", group="Layer-2 projections"),
)


def needs(config: Any) -> dict[str, str]:
    return measured_files.first_layers(config)


def build(files: Mapping[str, Path]) -> Picture:
    labels = [label for label in NAMES if f"arrays/{label}" in files]
    layers_of = {label: first_layers.load(files, label) for label in labels}
    sizes = _sizes_piece(layers_of)
    first, last = (
        ([_unclipped_piece(layers_of), sizes], []) if "unclipped" in layers_of else ([], [sizes])
    )  # halves stand in pairs
    pieces = [*first, *_filter_pieces(layers_of), *_projection_pieces(layers_of), *last, _spectra_piece(layers_of)]
    return Picture(
        caption=_caption(layers_of),
        columns=COLUMNS,
        rows=tuple(_row(label, layers) for label, layers in layers_of.items()),
        drawing=Drawing(saving.encode(_sheet(pieces))),
        alt="First-layer filters and layer-2 projections of the baseline and the improved network, and their spectra. "
        + " ".join(_describe_sizes(label, layers) for label, layers in layers_of.items()),
        notes=tuple(_notes(layers_of)),
        pieces=tuple(pieces),
        rows_title="The same in numbers",
    )


def _caption(layers_of: Mapping[str, Layers]) -> str:
    base, ours = layers_of["baseline"], layers_of["improved"]
    first = (
        "(a) First-layer filters trained without clipping, all on one scale, grey is zero, and the size of every filter. "
        if "unclipped" in layers_of
        else f"(a) is missing: {MISSING}. The sizes of all filters are shown instead. "
    )
    return (
        first
        + f"(b) Filters of the baseline, {base.side} pixels, stride {base.about['stride']}; (c) of the improved network, "
        f"{ours.side} pixels, stride {ours.about['stride']}; each with its own contrast. (d), (e) Layer 2 of the same two: the "
        f"{base.about['top']} strongest activations of randomly chosen maps, projected. {draw.SCALE} Last, the spectra of all four."
    )


def _sizes_piece(layers_of: Mapping[str, Layers]) -> Piece:
    sizes = " ".join(_describe_sizes(label, layers) for label, layers in layers_of.items())
    alt = f"Lines: the RMS of every first-layer filter, largest first. {sizes}"
    beside_a = "unclipped" in layers_of
    title = "Sizes of the filters" + ("" if beside_a else f", in place of (a): {MISSING}")
    drawing = first_layer_plots.sizes(layers_of)
    return Piece("sizes", drawing, alt, title, "half", plot=True, pair="a" if beside_a else "")


def _unclipped_piece(layers_of: Mapping[str, Layers]) -> Piece:
    tiles = list(draw.grey_zero(layers_of["unclipped"].filters, 100))
    return _grid("a", "(a) Not clipped, one scale", tiles, layers_of["unclipped"])


def _filter_pieces(layers_of: Mapping[str, Layers]) -> list[Piece]:
    return [
        _grid(
            letter,
            f"({letter}) Layer 1, {label}",
            [draw.stretch(weights) for weights in layers_of[label].filters],
            layers_of[label],
        )
        for letter, label in (("b", "baseline"), ("c", "improved"))
    ]


def _grid(letter: str, title: str, tiles: Sequence[np.ndarray], layers: Layers) -> Piece:
    """11 columns for the paper's 96 filters; for fewer, about the same shape with as few empty places as possible."""
    shape = math.sqrt(len(tiles) * 11 / 9)
    columns = min(math.ceil(shape), max(1, math.floor(shape)), key=lambda columns: -len(tiles) % columns)
    shown, large = (
        draw.block(list(tiles), columns, (width + GAP) // columns - GAP, GAP) for width in (WIDTH, saving.WIDE // 2)
    )
    alt = f"{len(tiles)} first-layer filters of {layers.side} pixels in a grid; {layers.dead} of them dead."
    return Piece(
        letter,
        saving.save_images(shown, large),
        alt,
        title,
        "half",
        pair=PAIRS[letter],
        images=_cells(tiles, columns, GAP),
    )


def _projection_pieces(layers_of: Mapping[str, Layers]) -> list[Piece]:
    return [
        _blocks(letter, label, layers_of[label])
        for letter, label in (("d", "baseline"), ("e", "improved"))
        if "projections_2" in layers_of[label].arrays
    ]


def _blocks(letter: str, label: str, layers: Layers) -> Piece:
    """5 x 5 maps, each a block of 3 x 3 projections."""
    maps = layers.arrays["projections_2"][:MAPS]
    blocks = [list(draw.show_projections(tiles)) for tiles in maps]
    shown, large = (_arrange(blocks, width) for width in (WIDTH, saving.half_width(15 * maps.shape[2])))
    alt = f"Layer 2 of the {label} network: projections of {len(maps)} maps, {len(maps[0])} of each."
    return Piece(
        letter,
        saving.save_images(shown, large, saving.SMALL, saving.SAVED_SMALL),
        alt,
        f"({letter}) Layer 2, {label}",
        "half",
        images=_cells(blocks, 5, INNER),
        pair=PAIRS[letter],
    )


def _cells(tiles: Sequence[Any], columns: int, gap: int) -> tuple[Box, ...]:
    side = (WIDTH + gap) // columns - gap
    return tuple(arranged(len(tiles), columns, (side, side), gap))


def _arrange(blocks: Sequence[list[np.ndarray]], width: int) -> Image.Image:
    """Blocks of 3 x 3 tiles, five in a line, in at most `width` pixels."""
    side = ((width + INNER) // 5 - INNER - 2) // 3
    return draw.arrange([draw.block(tiles, 3, side, 1, "#9a9a9a") for tiles in blocks], 5, INNER)


def _spectra_piece(layers_of: Mapping[str, Layers]) -> Piece:
    compared = {label: layers_of[label] for label in BASES}
    alt = (
        "Two plots of energy over spatial frequency, baseline and improved: first-layer filters, layer-2 projections. "
        + " ".join(
            f"{label.capitalize()}: {layers.peaks[1]:.0f} % of the filters peak in the middle band."
            for label, layers in compared.items()
        )
    )
    return Piece("spectra", first_layer_plots.spectra(compared), alt, "Spectra", "full", 560, plot=True)


def _sheet(pieces: Sequence[Piece]) -> Image.Image:
    """Two half pieces per line, a full piece on a line of its own."""
    images = [Image.open(io.BytesIO(piece.png)).convert("RGB") for piece in pieces]
    wide = {"half": WIDTH, "full": 2 * WIDTH + 32}
    titled = [
        draw.add_title(_fit_width(image, wide[piece.share]), piece.title, 24)
        for piece, image in zip(pieces, images, strict=True)
    ]
    halves = [image for piece, image in zip(pieces, titled, strict=True) if piece.share == "half"]
    lines = [draw.join_columns(halves[i : i + 2], 32) for i in range(0, len(halves), 2)]
    return draw.join_rows(
        [*lines, *(image for piece, image in zip(pieces, titled, strict=True) if piece.share == "full")], 30
    )


def _fit_width(image: Image.Image, width: int) -> Image.Image:
    """Shrink what is wider, as plots are; pad what is narrower, as grids of tiles may be."""
    if image.width > width:
        return image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (width, image.height), "white")
    sheet.paste(image, (0, 0))
    return sheet


def _row(label: str, layers: Layers) -> Row:
    energy = 100 * layers.arrays["bands_1"].mean(axis=0)
    projected = layers.about["projected"]
    cells: dict[str, Cell] = {
        "network": "improved, filters not clipped" if label == "unclipped" else NAMES[label],
        "filters": Number(len(layers.rms), 0),
        "rms_median": Number(float(np.median(layers.rms)), 4),
        "rms_max": Number(float(layers.rms.max()), 4),
        "rms_ratio": Number(layers.ratio, 2),
        "dead": Number(layers.dead, 0),
        "high": None if projected is None else Number(100 * projected["high"], 0),
        **{name: None if (mean := layers.grid(name)) is None else Number(mean) for name in ("lines", "squares")},
    }
    for kind, shares in (("peak", layers.peaks), ("energy", energy)):
        cells |= {f"{kind}_{band}": Number(float(share), 0) for band, share in zip(BANDS, shares, strict=True)}
    return make_row(COLUMNS, cells)


def _describe_sizes(label: str, layers: Layers) -> str:
    name = NAMES[label].capitalize()
    return f"{name}: largest RMS {layers.ratio:.1f} times the median, {layers.dead} of {len(layers.rms)} filters dead."


def _notes(layers_of: Mapping[str, Layers]) -> list[str]:
    low, high = layers_of["improved"].about["bands"]
    notes = [
        "RMS: root mean square of a filter's weights, at the input scale of training. Dead: RMS below a tenth of the median, or "
        f"activated by no image. Bands, in cycles per pixel in any direction: low below {low:g}, middle up to {high:g}, high above. "
        "A filter's mean counts as the lowest frequency; filters of both sizes are padded with zeros to the same side.",
        f"Layer-2 projections: high is the share of energy above {layers_of['improved'].about['high']:g} cycles per pixel. A stride "
        "may leave a grid: lines is the energy at the multiples of 1 / stride (triangles) relative to that of neighbouring frequencies, "
        "squares the same for differences between neighbouring pixels, mean over maps; 0 dB is no grid. The paper sees a grid in (d) "
        "and none in (e), and gives no numbers.",
    ]
    if "unclipped" not in layers_of:
        return [
            *notes,
            "Panel (a) needs a run with `filter_rms: null`: the paper's has one filter that outgrows all others.",
        ]
    if np.array_equal(layers_of["unclipped"].filters, layers_of["improved"].filters):
        notes.append(
            f"Clipping had no effect in this experiment: no filter reached an RMS of {layers_of['improved'].clip:g}; layer 1 is the same, "
            "weight for weight, with and without it. Unlike the paper's, (a) therefore shows no filter that outgrows all others."
        )
    return notes
