"""The whole images that the tiles of Fig 2 open: each one once, small, in one file that the page embeds."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.interaction import Blocks, Box, Tile, Tiles, rounded

SIDE, ACROSS = 80, 24  # pixels of an image, and how many stand in a line
WEBP: dict[str, Any] = {"format": "WEBP", "quality": 50, "method": 4}  # about 1 KB an image


def sprite(arrays: Mapping[str, np.ndarray], layers: Sequence[int]) -> dict[str, Any]:
    """The images of all tiles of these layers, row by row; `image` is WebP in base64."""
    shown = np.searchsorted(arrays["whole_pictures"], _shown(arrays, layers))
    side = min(SIDE, arrays["whole"].shape[1])
    sheet = draw.block(list(arrays["whole"][shown]), ACROSS, side, 0)
    raw = io.BytesIO()
    sheet.save(raw, **WEBP)
    content = base64.b64encode(raw.getvalue()).decode("ascii")
    return {"image": content, "mime": "image/webp", "columns": sheet.width // side, "rows": sheet.height // side}


def tiles(
    layer: int,
    layers: Sequence[int],
    arrays: Mapping[str, np.ndarray],
    about: Mapping[str, Any],
    columns: int,
    blocks: Sequence[Blocks],
    narrow: Blocks | None,
) -> Tiles:
    """Of one of the layers of the sprite; columns, blocks and narrow: see `Tiles`."""
    names = tuple(f"map {number}" for number in arrays[f"maps_{layer}"].tolist())
    units = tuple(_of_map(m, layer, layers, arrays, about) for m in range(len(names)))
    return Tiles(columns, names, units, tuple(blocks), narrow)


def _of_map(
    m: int, layer: int, layers: Sequence[int], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> tuple[Tile, ...]:
    record, side = about["layers"][str(layer)], about["input_size"]
    numbers = np.searchsorted(_shown(arrays, layers), arrays[f"pictures_{layer}"][m]).tolist()
    boxes = [_field(corner, record["tile"], side) for corner in arrays[f"corners_{layer}"][m].tolist()]
    activations = [f"{value:.2f}" for value in arrays[f"values_{layer}"][m].tolist()]
    return tuple(map(Tile, numbers, boxes, record["classes"][m], activations, record["files"][m]))


def _shown(arrays: Mapping[str, np.ndarray], layers: Sequence[int]) -> np.ndarray:
    """int64: the images of all tiles, as positions in the split, in the order of the sprite."""
    return np.unique(np.concatenate([arrays[f"pictures_{layer}"].ravel() for layer in layers]))


def _field(corner: Sequence[int], tile: int, side: int) -> Box:
    """A tile's place in an image of `side` pixels; corner: its top and left in pixels."""
    top, left = corner
    return rounded((left / side, top / side, tile / side, tile / side))
