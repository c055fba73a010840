"""Which input pixels a unit sees, and the square tile that is shown for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn
from torch.nn.modules.utils import _pair as pair

from zfrepro.core.nets import CeilConv2d
from zfrepro.core.windows import Axis


@dataclass(frozen=True)
class ReceptiveField:
    """Unit (y, x) sees `size` pixels from row `start + y * jump` on, and likewise in columns; padding makes start < 0."""

    size: int
    jump: int
    start: int

    def tile_side(self, image: int) -> int:
        """Side of the tile shown for a unit: the field, but never more than the whole image."""
        return min(self.size, image)

    def corner(self, position: tuple[int, int], image: int) -> tuple[int, int]:
        """Top and left of a unit's tile, moved inside where the field leaves the image of `image` pixels a side."""
        room = image - self.tile_side(image)
        top, left = (min(max(self.start + int(index) * self.jump, 0), room) for index in position)
        return top, left


def receptive_field(net: nn.Sequential, name: str) -> ReceptiveField:
    """The field of one unit in the output of child `name`. Raises ValueError for windows that are not square."""
    chain: list[Axis] = []
    for child_name, child in net.named_children():
        if isinstance(child, nn.Conv2d | nn.MaxPool2d):
            chain.append(_square(child))
        if child_name == name:
            return _field(chain)
    raise ValueError(f"the network has no layer {name}")


def _field(chain: list[Axis]) -> ReceptiveField:
    """The pixels that output 0 reads through windows given from the pixels up."""
    size, jump, start = 1, 1, 0
    for axis in reversed(chain):
        size, jump, start = axis.span(size), jump * axis.stride, axis.first_input(start)
    return ReceptiveField(size, jump, start)


def axes(child: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) -> tuple[Axis, Axis]:
    """The windows of a layer along rows and along columns."""
    sizes = (pair(getattr(child, key, 1)) for key in ("kernel_size", "stride", "padding", "dilation"))
    pools_up = isinstance(child, nn.MaxPool2d) and child.ceil_mode
    rounds_up = pools_up or isinstance(child, CeilConv2d)
    rows, columns = (
        Axis(dilation * (kernel - 1) + 1, stride, pad, rounds_up, pools_up)
        for kernel, stride, pad, dilation in zip(*sizes, strict=True)
    )
    return rows, columns


def _square(child: nn.Conv2d | nn.MaxPool2d) -> Axis:
    rows, columns = axes(child)
    if rows != columns:
        raise ValueError(f"{child}: only square windows have a square receptive field")
    return rows


def cut_tile(image: np.ndarray, corner: tuple[int, int], side: int) -> np.ndarray:
    """(side, side, C) of an image (H, W, C) from `corner` on."""
    top, left = corner
    return image[top : top + side, left : left + side]
