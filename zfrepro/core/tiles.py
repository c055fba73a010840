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


def projection_tiles(net: nn.Sequential, name: str, inputs: Tensor, maps: Tensor, positions: Tensor) -> np.ndarray:
    """Unit maps[u], positions[u] of image u (inputs (U, 3, S, S)) projected alone: float (U, side, side, 3)."""
    parts = zip(*(torch.split(part, AT_ONCE) for part in (inputs, maps, positions)), strict=True)
    return np.concatenate([_project(net, name, *part) for part in parts])


def image_projections(net: nn.Sequential, name: str, inputs: Tensor, maps: Tensor, positions: Tensor) -> np.ndarray:
    """The same, each where it lies in its image: float (U, S, S, 3)."""
    pixels, starts = deconvnet.project(net, name, inputs, maps, positions)
    return _as_arrays(lay_out(pixels, starts, [(0, 0)] * len(inputs), (inputs.shape[-1], inputs.shape[-1])))


def _project(net: nn.Sequential, name: str, inputs: Tensor, maps: Tensor, positions: Tensor) -> np.ndarray:
    """The receptive fields, moved onto the tiles; what a tile shows beside its unit's field is 0."""
    pixels, starts = deconvnet.project(net, name, inputs, maps, positions)
    size = inputs.shape[-1]
    side = receptive_field(net, name).tile_side(size)
    return _as_arrays(lay_out(pixels, starts, tile_corners(net, name, positions, size), (side, side)))


def tile_corners(net: nn.Sequential, name: str, positions: Tensor, size: int) -> list[tuple[int, int]]:
    """Top and left, in pixels of an input of `size`, of the tiles of units at `positions` (U, 2)."""
    field = receptive_field(net, name)
    return [field.corner(position, size) for position in positions.tolist()]


def lay_out(pixels: Tensor, starts: Tensor, corners: list[tuple[int, int]], size: tuple[int, int]) -> Tensor:
    """Fields (U, C, f, f) that begin at `starts` (U, 2), seen in windows of `size` that begin at `corners`: (U, C, *size)."""
    tiles = pixels.new_zeros(len(pixels), pixels.shape[1], *size)
    for tile, field, (y, x), (top, left) in zip(tiles, pixels, starts.tolist(), corners, strict=True):
        y0, y1 = max(y, top), max(y, top, min(y + field.shape[1], top + size[0]))
        x0, x1 = max(x, left), max(x, left, min(x + field.shape[2], left + size[1]))
        tile[:, y0 - top : y1 - top, x0 - left : x1 - left] = field[:, y0 - y : y1 - y, x0 - x : x1 - x]
    return tiles


def _as_arrays(tiles: Tensor) -> np.ndarray:
    """(U, C, h, w) -> (U, h, w, C)"""
    return np.ascontiguousarray(tiles.permute(0, 2, 3, 1).cpu().numpy())


@torch.no_grad()
def strongest_positions(net: nn.Sequential, name: str, inputs: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Of map `number`: the number repeated (B,), and row and column (B, 2) of its maximum in every image.

    Raises NotFiniteError naming the layer.
    """
    maps = require_finite(layer_outputs(net, inputs, {name: 0})[0][:, number], "activations", f"layer {name}")
    index = maps.flatten(1).argmax(dim=1)
    columns = maps.shape[2]
    return torch.full_like(index, number), torch.stack([index // columns, index % columns], dim=1)


def patch_tiles(net: nn.Sequential, name: str, images: np.ndarray, positions: Tensor) -> np.ndarray:
    """What unit positions[u] sees of image u: uint8 (U, S, S, 3) -> uint8 (U, side, side, 3)."""
    size = images.shape[1]
    side = receptive_field(net, name).tile_side(size)
    pairs = zip(images, tile_corners(net, name, positions, size), strict=True)
    return np.stack([cut_tile(image, corner, side) for image, corner in pairs])
