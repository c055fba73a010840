"""Fig 8: the images of Table 1, original and with each part covered."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zfrepro.exhibits.kit import draw, saving
from zfrepro.exhibits.kit.base import Cell, Column, Picture, Piece, Row, make_row
from zfrepro.exhibits.kit.interaction import Box, rounded
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import files as measured_files
from zfrepro.storage import artifacts

TITLE = "Images with one part covered"
PAPER = "Figure 8"
PARTS = ("Right eye", "Left eye", "Nose")
MASKS = (*PARTS, "Random")
RANDOM = 3  # random squares shown per image
WIDTH, GAP, LETTERS = 1480, 6, 22  # pixels: the figure, the space between two images, the heads
LAYERS = (5, 7)


def _key(layer: int, mask: str) -> str:
    """`layer5_right_eye`"""
    return f"layer{layer}_{mask.lower().replace(' ', '_')}"


COLUMNS = (
    Column("picture", "Image", "label"),
    Column("class", "Class", "label"),
    *(
        Column(_key(layer, mask), mask, "plain", f"Units changed in layer {layer} (%)")
        for layer in LAYERS
        for mask in MASKS
    ),
)


def needs(config: Any) -> dict[str, str]:
    return measured_files.files_of_run(config, "correspondence")


def build(files: Mapping[str, Path]) -> Picture:
    arrays, about = artifacts.load_arrays(files["arrays"]), artifacts.load_json(files["about"])
    count, random = len(arrays["inputs"]), min(RANDOM, about["draws"])
    names = [picture["class"] or picture["file"] for picture in about["pictures"][:count]]
    drawing = saving.save_images(_sheet(arrays, about, random, WIDTH), _sheet(arrays, about, random, saving.WIDE))
    alt = (
        f"{count} rows of {4 + random} images ({', '.join(dict.fromkeys(names))}): original, right eye, left eye, nose and random "
        "positions covered by a grey square."
    )
    return Picture(
        caption=f"Left to right: the image as the network sees it, its right eye, left eye and nose covered by a grey square of "
        f"{about['square']} x {about['square']} pixels, and {random} of {about['draws']} random positions outside the three parts. Right "
        f"and left as seen by the animal. Input {about['input_size']} pixels.",
        columns=COLUMNS,
        rows=tuple(_row(i, arrays, about) for i in range(count)),
        drawing=Drawing(drawing.png),
        alt=alt,
        notes=(
            "Random: mean over the random positions. A unit counts as changed if its value differs at all with and without the square.",
        ),
        pieces=(Piece("parts", drawing, alt, images=_columns(drawing.png, count, 4 + random)),),
        rows_title="How much each square changes",
    )


def _columns(png: bytes, count: int, columns: int) -> tuple[Box, ...]:
    """Where the images of each column lie, below its head."""
    width, height = Image.open(io.BytesIO(png)).size
    side = (WIDTH + GAP) // columns - GAP
    high = count * (side + GAP) - GAP
    return tuple(
        rounded((column * (side + GAP) / width, 1 - high / height, side / width, high / height))
        for column in range(columns)
    )


def _sheet(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], random: int, width: int) -> Image.Image:
    """One column per mask: the original images, then with each mask that is shown; in at most `width` pixels."""
    heads = ["Original", *PARTS, *(f"Random {i + 1}" for i in range(random))]
    side, letters = (width + GAP) // len(heads) - GAP, round(LETTERS * width / WIDTH)
    columns = []
    for column, head in enumerate(heads):
        crops = arrays["inputs"] if column == 0 else _cover(arrays, about, column - 1)
        columns.append(draw.add_title(draw.block(list(crops), 1, side, GAP), head, letters))
    return draw.join_columns(columns, GAP)


def _cover(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], mask: int) -> np.ndarray:
    copies, square = arrays["inputs"].copy(), about["square"]
    for copy, (top, left) in zip(copies, arrays["places"][: len(copies), mask].tolist(), strict=True):
        copy[top : top + square, left : left + square] = about["grey"]
    return copies


def _row(i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Row:
    record = about["pictures"][i]
    cells: dict[str, Cell] = {"picture": record["file"], "class": record["class"]}
    for layer in LAYERS:
        changed = 100 * (1 - arrays[f"unchanged_{layer}"][:, i, i])  # (masks,): the parts, then the random draws
        shares = (*changed[: len(PARTS)], changed[len(PARTS) :].mean())
        cells |= {_key(layer, mask): Number(float(share)) for mask, share in zip(MASKS, shares, strict=True)}
    return make_row(COLUMNS, cells)
