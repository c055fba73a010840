"""Projections and picture patches of single units, both cut to the same window: the unit's receptive field."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from zfrepro.core.deconvnet import project, trace
from zfrepro.core.nets import layer_outputs
from zfrepro.core.receptive_field import cut_tile, receptive_field


def projection_tiles(net: nn.Sequential, name: str, inputs: Tensor, maps: Tensor, places: Tensor) -> np.ndarray:
    """Unit maps[u], places[u] of picture u (inputs (U, 3, S, S)) projected alone: float (U, side, side, 3)."""
    rows = torch.arange(len(inputs), device=inputs.device)
    units = torch.stack([rows, maps.to(rows.device), *places.to(rows.device).unbind(1)], dim=1)
    pixels = project(trace(net, inputs, [name]), name, units)
    return _cut(net, name, pixels.permute(0, 2, 3, 1).cpu().numpy(), places)


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
