"""Projections and picture patches of single units, both cut to the same window: the unit's receptive field."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from zfrepro.core.field_projection import project_fields
from zfrepro.core.nets import layer_outputs
from zfrepro.core.receptive_field import cut_tile, receptive_field

AT_ONCE = 32  # units on their way together; bounds the memory, 60 MB at 224 pixels and full width


def projection_tiles(net: nn.Sequential, name: str, inputs: Tensor, maps: Tensor, places: Tensor) -> np.ndarray:
    """Unit maps[u], places[u] of picture u (inputs (U, 3, S, S)) projected alone: float (U, side, side, 3)."""
    parts = zip(inputs.split(AT_ONCE), maps.split(AT_ONCE), places.split(AT_ONCE), strict=True)
    return np.concatenate([_projected(net, name, *part) for part in parts])


def _projected(net: nn.Sequential, name: str, inputs: Tensor, maps: Tensor, places: Tensor) -> np.ndarray:
    """The receptive fields, moved onto the tiles; what a tile shows beside its unit's field is 0."""
    pixels, starts = project_fields(net, name, inputs, maps, places)
    field, size = receptive_field(net, name), inputs.shape[-1]
    side = field.tile_side(size)
    tiles = np.zeros((len(inputs), side, side, 3), dtype=pixels.cpu().numpy().dtype)
    shown = zip(tiles, pixels.permute(0, 2, 3, 1).cpu().numpy(), starts.tolist(), places.tolist(), strict=True)
    for tile, projection, start, place in shown:
        (top, left), ends = field.corner(place, size), np.array(start) + field.size
        (y0, x0), (y1, x1) = np.maximum(start, (top, left)), np.minimum(ends, (top + side, left + side))
        tile[y0 - top : y1 - top, x0 - left : x1 - left] = projection[
            y0 - start[0] : y1 - start[0], x0 - start[1] : x1 - start[1]
        ]
    return tiles


@torch.no_grad()
def strongest_places(net: nn.Sequential, name: str, inputs: Tensor, one: int) -> tuple[Tensor, Tensor]:
    """Of map `one`: its number repeated (B,), and row and column (B, 2) of its maximum in every picture."""
    found = layer_outputs(net, inputs, {name: 0})[0][:, one]
    at = found.flatten(1).argmax(dim=1)
    columns = found.shape[2]
    return torch.full_like(at, one), torch.stack([at // columns, at % columns], dim=1)


def patch_tiles(net: nn.Sequential, name: str, pictures: np.ndarray, places: Tensor) -> np.ndarray:
    """What unit places[u] sees of picture u: uint8 (U, S, S, 3) -> uint8 (U, side, side, 3)."""
    return _cut(net, name, pictures, places)


def _cut(net: nn.Sequential, name: str, pictures: np.ndarray, places: Tensor) -> np.ndarray:
    field, size = receptive_field(net, name), pictures.shape[1]
    pairs = zip(pictures, places.tolist(), strict=True)
    return np.stack([cut_tile(one, field.corner(place, size), field.tile_side(size)) for one, place in pairs])
