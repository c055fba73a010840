"""Projections and image patches of single units, both cut to the same window: the unit's receptive field."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from zfrepro.core import deconvnet
from zfrepro.core.finite import require_finite
from zfrepro.core.nets import layer_outputs
from zfrepro.core.receptive_field import cut_tile, receptive_field

AT_ONCE = 32  # units on their way together; bounds the memory, 60 MB at 224 pixels and full width


def projection_tiles(net: nn.Sequential, name: str, inputs: Tensor, maps: Tensor, places: Tensor) -> np.ndarray:
    """Unit maps[u], places[u] of image u (inputs (U, 3, S, S)) projected alone: float (U, side, side, 3)."""
    parts = zip(*(torch.split(part, AT_ONCE) for part in (inputs, maps, places)), strict=True)
    return np.concatenate([_projected(net, name, *part) for part in parts])


def image_projections(net: nn.Sequential, name: str, inputs: Tensor, maps: Tensor, places: Tensor) -> np.ndarray:
    """The same, each where it lies in its image: float (U, S, S, 3)."""
    pixels, starts = deconvnet.project(net, name, inputs, maps, places)
    return _laid(pixels, starts, [(0, 0)] * len(inputs), inputs.shape[-1])


def _projected(net: nn.Sequential, name: str, inputs: Tensor, maps: Tensor, places: Tensor) -> np.ndarray:
    """The receptive fields, moved onto the tiles; what a tile shows beside its unit's field is 0."""
    pixels, starts = deconvnet.project(net, name, inputs, maps, places)
    field, size = receptive_field(net, name), inputs.shape[-1]
    return _laid(pixels, starts, [field.corner(place, size) for place in places.tolist()], field.tile_side(size))


def _laid(pixels: Tensor, starts: Tensor, corners: list[tuple[int, int]], side: int) -> np.ndarray:
    """Fields (U, 3, f, f) that begin at `starts`, as seen in square windows that begin at `corners`: (U, side, side, 3)."""
    fields = pixels.permute(0, 2, 3, 1).cpu().numpy()
    tiles = np.zeros((len(fields), side, side, 3), dtype=fields.dtype)
    for tile, field, (y, x), (top, left) in zip(tiles, fields, starts.tolist(), corners, strict=True):
        y0, y1 = max(y, top), max(y, top, min(y + field.shape[0], top + side))
        x0, x1 = max(x, left), max(x, left, min(x + field.shape[1], left + side))
        tile[y0 - top : y1 - top, x0 - left : x1 - left] = field[y0 - y : y1 - y, x0 - x : x1 - x]
    return tiles


@torch.no_grad()
def strongest_places(net: nn.Sequential, name: str, inputs: Tensor, one: int) -> tuple[Tensor, Tensor]:
    """Of map `one`: its number repeated (B,), and row and column (B, 2) of its maximum in every image.

    Raises NotFiniteError naming the layer.
    """
    found = require_finite(layer_outputs(net, inputs, {name: 0})[0][:, one], "activations", f"layer {name}")
    at = found.flatten(1).argmax(dim=1)
    columns = found.shape[2]
    return torch.full_like(at, one), torch.stack([at // columns, at % columns], dim=1)


def patch_tiles(net: nn.Sequential, name: str, images: np.ndarray, places: Tensor) -> np.ndarray:
    """What unit places[u] sees of image u: uint8 (U, S, S, 3) -> uint8 (U, side, side, 3)."""
    return _cut(net, name, images, places)


def _cut(net: nn.Sequential, name: str, images: np.ndarray, places: Tensor) -> np.ndarray:
    field, size = receptive_field(net, name), images.shape[1]
    pairs = zip(images, places.tolist(), strict=True)
    return np.stack([cut_tile(one, field.corner(place, size), field.tile_side(size)) for one, place in pairs])
