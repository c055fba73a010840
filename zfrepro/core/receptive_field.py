"""Which input pixels a unit sees, and the square tile that is shown for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn
from torch.nn.modules.utils import _pair as pair


@dataclass(frozen=True)
class ReceptiveField:
    """Unit (y, x) sees `size` pixels from row `start + y * jump` on, and likewise in columns; padding makes start < 0."""

    size: int
    jump: int
    start: int

    def tile_side(self, picture: int) -> int:
        """Side of the tile shown for a unit: the field, but never more than the whole picture."""
        return min(self.size, picture)

    def corner(self, place: tuple[int, int], picture: int) -> tuple[int, int]:
        """Top and left of a unit's tile, moved inside where the field leaves the picture, which is then seen whole."""
        room = picture - self.tile_side(picture)
        top, left = (min(max(self.start + int(index) * self.jump, 0), room) for index in place)
        return top, left


def receptive_field(net: nn.Sequential, name: str) -> ReceptiveField:
    """The field of one unit in the output of child `name`."""
    size, jump, start = 1, 1, 0
    for child_name, child in net.named_children():
        if isinstance(child, nn.Conv2d | nn.MaxPool2d):
            kernel, stride, pad, dilation = (
                _side(child, key) for key in ("kernel_size", "stride", "padding", "dilation")
            )
            size, start, jump = size + dilation * (kernel - 1) * jump, start - pad * jump, jump * stride
        if child_name == name:
            return ReceptiveField(size, jump, start)
    raise ValueError(f"the network has no layer {name}")


def cut_tile(picture: np.ndarray, corner: tuple[int, int], side: int) -> np.ndarray:
    """(side, side, C) of a picture (H, W, C) from `corner` on."""
    top, left = corner
    return picture[top : top + side, left : left + side]


def _side(child: nn.Module, key: str) -> int:
    rows, columns = pair(getattr(child, key))
    if rows != columns:
        raise ValueError(f"{key} {rows}x{columns}: only square windows have a square receptive field")
    return rows
