"""What Fig 1 shows of the deconvnet, taken from the code that projects: every layer in both directions, and worked poolings."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zfrepro.core import deconvnet
from zfrepro.core.unit_windows import map_sizes

VALUES = ((1, -2, 6, 0), (3, 2, -1, 4), (-3, 5, 2, -4), (0, 1, 3, 7))  # a map
ABOVE = ((2, 3), (-1, 4))  # a reconstruction from the layer above, of the size of the pooled map


def layers(net: nn.Sequential, size: int) -> list[dict[str, Any]]:
    """Every child below the fully connected layers, from the pixels up: sides, maps, and what the deconvnet does there.

    `down` is one of deconvnet.Operation. Raises ValueError naming a child that the deconvnet does not support.
    """
    names = [name for name, _ in net.named_children()]
    names = names[: names.index("flatten")] if "flatten" in names else names
    deconvnet.check(net, names)
    chain = deconvnet.children_up_to(net, names[-1])
    sides = [rows for rows, _ in map_sizes(chain, (size, size))]
    maps = _map_counts(chain)
    return [_layer(*row) for row in zip(names, chain, maps, sides[:-1], sides[1:], strict=True)]


def _map_counts(chain: list[nn.Module]) -> list[int]:
    """Maps in the output of every child, from 3 colours."""
    counts = [3]
    for child in chain:
        counts.append(child.out_channels if isinstance(child, nn.Conv2d) else counts[-1])
    return counts[1:]


def _layer(name: str, child: nn.Module, maps: int, below: int, above: int) -> dict[str, Any]:
    return {
        "name": name,
        "kind": name.rstrip("0123456789"),
        "maps": maps,
        "below": below,
        "above": above,
        "kernel": _side(child, "kernel_size"),
        "stride": _side(child, "stride"),
        "down": deconvnet.operation(child),
    }


def _side(child: nn.Module, key: str) -> int | None:
    value = getattr(child, key, None)
    return value[0] if isinstance(value, tuple) else value


def pooling(kernel: int, stride: int) -> dict[str, Any]:
    """VALUES max-pooled, the switches (row, column), and ABOVE put back through them and rectified."""
    pool, side = nn.MaxPool2d(kernel, stride, ceil_mode=True, return_indices=True), len(VALUES)
    pooled, switches = pool(torch.tensor(VALUES, dtype=torch.float64)[None, None])
    unpooled = deconvnet.unpool(torch.tensor(ABOVE, dtype=torch.float64)[None, None], switches, (side, side), pool)
    return {
        "kernel": kernel,
        "stride": stride,
        "values": VALUES,
        "pooled": _integers(pooled),
        "switches": [[divmod(index, side) for index in row] for row in switches[0, 0].tolist()],
        "above": ABOVE,
        "unpooled": _integers(unpooled),
        "rectified": _integers(unpooled.relu()),
    }


def _integers(maps: Tensor) -> list[list[int]]:
    return [[int(value) for value in row] for row in maps[0, 0].tolist()]
