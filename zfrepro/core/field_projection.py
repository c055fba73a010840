"""Project units back to pixels through their receptive fields alone: the same as deconvnet.project, in a fraction of the sums.

A unit's activation and its projection depend on nothing outside the unit's field. So both ways are gone on windows: a field
of pixels goes up without padding, places outside a map are filled as its border would be, and one value comes down again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from zfrepro.core.deconvnet import check, unpool
from zfrepro.core.finite import require_finite
from zfrepro.core.windows import axes


@dataclass(frozen=True)
class Level:
    """Windows of one map of the chain, one a unit: each `side` (rows, columns) long from its own start on."""

    starts: Tensor  # int64 (U, 2)
    side: tuple[int, int]
    size: tuple[int, int]  # of the whole map

    def outside(self) -> Tensor | None:
        """bool (U, 1, h, w): places that the map does not have; None where there are none."""
        rows, columns = (
            (start[:, None] + torch.arange(side, device=start.device)) for start, side in zip(self.starts.T, self.side, strict=True)
        )  # fmt: skip
        rows, columns = (rows < 0) | (rows >= self.size[0]), (columns < 0) | (columns >= self.size[1])
        return (rows[:, None, :, None] | columns[:, None, None, :]) if rows.any() or columns.any() else None


@torch.no_grad()
def project_fields(
    net: nn.Sequential, name: str, pictures: Tensor, maps: Tensor, places: Tensor
) -> tuple[Tensor, Tensor]:
    """Projections (U, 3, f, f) of unit maps[u], places[u] (row, column) of child `name` in pictures[u] (U, 3, H, W), alone.

    f is the side of the receptive field; the second tensor (U, 2) says where each begins in its picture, below 0 where
    the field does. Pixels outside the picture are 0. Raises ValueError naming a child that has no way down, and NotFiniteError
    naming the layer.
    """
    check(net, [name])
    chain = _chain(net, name)
    levels = _levels(chain, places.to(pictures.device), tuple(pictures.shape[2:]))
    values, switches = _up(chain, levels, pictures)
    pixels = _down(chain, levels, values, switches, maps.to(pictures.device))
    return require_finite(pixels, "projected values", f"layer {name}"), levels[0].starts


def _chain(net: nn.Sequential, name: str) -> list[nn.Module]:
    names = [child_name for child_name, _ in net.named_children()]
    return list(net.children())[: names.index(name) + 1]


def _windowed(child: nn.Module) -> bool:
    return isinstance(child, nn.Conv2d | nn.MaxPool2d)


def _levels(chain: list[nn.Module], places: Tensor, picture: tuple[int, int]) -> list[Level]:
    """Below every child, and above the last."""
    sizes = [picture]
    for child in chain:
        here = sizes[-1]
        both = axes(child) if _windowed(child) else ()
        sizes.append(tuple(axis.count(size) for axis, size in zip(both, here, strict=True)) if both else here)
    levels = [Level(places, (1, 1), sizes[-1])]
    for child, size in zip(reversed(chain), reversed(sizes[:-1]), strict=True):
        levels.append(_below(child, levels[-1], size))
    return levels[::-1]


def _below(child: nn.Module, level: Level, size: tuple[int, int]) -> Level:
    if not _windowed(child):
        return level
    both = axes(child)
    reads = [axis.read(start, side) for axis, start, side in zip(both, level.starts.T, level.side, strict=True)]
    return Level(torch.stack([start for start, _ in reads], dim=1), (reads[0][1], reads[1][1]), size)


def _up(chain: list[nn.Module], levels: list[Level], pictures: Tensor) -> tuple[Tensor, list[Tensor | None]]:
    """Values (U, C, 1, 1) of all maps at the units' places, and every pooling's switches within its window."""
    windows, switches = _fields(pictures, levels[0]), []
    for child, level in zip(chain, levels, strict=False):
        found = None
        if _windowed(child) and child is not chain[0]:  # pixels outside the picture are 0 already
            windows = _filled(windows, level, -torch.inf if isinstance(child, nn.MaxPool2d) else 0.0)
        if isinstance(child, nn.MaxPool2d):
            shape = (child.kernel_size, child.stride, 0, child.dilation)
            windows, found = functional.max_pool2d(windows, *shape, return_indices=True)
        elif isinstance(child, nn.Conv2d):
            windows = functional.conv2d(
                windows, child.weight, child.bias, child.stride, 0, child.dilation, child.groups
            )
        elif isinstance(child, nn.ReLU):
            windows = windows.relu_()
        elif not isinstance(child, nn.Dropout):
            windows = child(windows)
        switches.append(found)
    return windows, switches


def _fields(pictures: Tensor, level: Level) -> Tensor:
    """(U, 3, f, f): what each unit sees of its picture; 0 outside."""
    fields = pictures.new_zeros(len(pictures), *level.side, pictures.shape[1])
    height, width = pictures.shape[2:]
    for field, picture, (top, left) in zip(fields, pictures.permute(0, 2, 3, 1), level.starts.tolist(), strict=True):
        bottom, right = min(top + level.side[0], height), min(left + level.side[1], width)
        seen = picture[max(top, 0) : bottom, max(left, 0) : right]
        field[max(-top, 0) : bottom - top, max(-left, 0) : right - left] = seen
    return fields.permute(0, 3, 1, 2)


def _filled(windows: Tensor, level: Level, value: float) -> Tensor:
    outside = level.outside()
    return windows if outside is None else windows.masked_fill_(outside, value)


def _down(
    chain: list[nn.Module], levels: list[Level], values: Tensor, switches: list[Tensor | None], maps: Tensor
) -> Tensor:
    one = functional.one_hot(maps, values.shape[1]).to(values.dtype)[:, :, None, None]
    windows = values * one
    for child, level, found in reversed(list(zip(chain, levels, switches, strict=False))):
        if isinstance(child, nn.MaxPool2d):
            windows = unpool(windows, found, level.side, child)
        elif isinstance(child, nn.ReLU):
            windows = windows.relu_()
        elif isinstance(child, nn.Conv2d):
            windows = _filled(_transposed(windows, child), level, 0.0)
    return windows


def _transposed(windows: Tensor, conv: nn.Conv2d) -> Tensor:
    """Transposed filters. With a stride s, each of the s * s pixels that share a place is one output of a plain convolution.

    oneDNN's own transposed convolution is several times slower where a few colours are made of many maps.
    """
    (rows, columns), (height, width) = conv.stride, conv.kernel_size
    if conv.groups > 1 or conv.dilation != (1, 1) or rows != columns or windows.shape[2:] == (1, 1):
        return functional.conv_transpose2d(windows, conv.weight, None, conv.stride, 0, 0, conv.groups, conv.dilation)
    stride, high, wide = rows, -(-height // rows), -(-width // columns)
    padded = functional.pad(conv.weight, (0, wide * stride - width, 0, high * stride - height))
    phases = padded.unflatten(3, (wide, stride)).unflatten(2, (high, stride))  # out, in, high, stride, wide, stride
    filters = phases.permute(1, 3, 5, 0, 2, 4).flatten(0, 2).flip(2, 3).contiguous(memory_format=torch.channels_last)
    pixels = functional.conv2d(windows, filters, padding=(high - 1, wide - 1))
    reached = [(side - 1) * stride + kernel for side, kernel in zip(windows.shape[2:], (height, width), strict=True)]
    return functional.pixel_shuffle(pixels, stride)[..., : reached[0], : reached[1]]
