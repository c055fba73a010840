"""What a sketch of the deconvnet shows (Fig 1), taken from the code that does it: both ways through a network, a pooling."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from zfrepro.core.deconvnet import Step, trace, unpool

VALUES = ((1, -2, 6, 0), (3, 2, -1, 4), (-3, 5, 2, -4), (0, 1, 3, 7))  # a map
ABOVE = ((2, 3), (-1, 4))  # a reconstruction that comes down onto its pooled form


def path(net: nn.Sequential, size: int) -> list[dict[str, Any]]:
    """Every child below the full layers, from the pixels up: its sides and maps, and what the deconvnet does there.

    `down` is one of transposed filters, rectify, max unpooling, passed by.
    """
    names = [name for name, _ in net.named_children()]
    names = names[: names.index("flatten")] if "flatten" in names else names
    gone = trace(net, next(net.parameters()).new_zeros(1, 3, size, size), names)
    return [_place(name, step, gone.outputs[name]) for name, step in gone.steps.items()]


def _place(name: str, step: Step, above: torch.Tensor) -> dict[str, Any]:
    return {
        "name": name,
        "kind": name.rstrip("0123456789"),
        "maps": above.shape[1],
        "below": step.size[0],
        "above": above.shape[2],
        "kernel": _side(step.child, "kernel_size"),
        "stride": _side(step.child, "stride"),
        "down": _down(step),
    }


def _side(child: nn.Module, key: str) -> int | None:
    value = getattr(child, key, None)
    return value[0] if isinstance(value, tuple) else value


def _down(step: Step) -> str:
    if step.switches is not None:
        return "max unpooling"
    if isinstance(step.child, nn.ReLU):
        return "rectify"
    return "transposed filters" if isinstance(step.child, nn.Conv2d) else "passed by"


def pooling(kernel: int, stride: int) -> dict[str, Any]:
    """VALUES max-pooled, the switches (row, column), and ABOVE put back through them and rectified."""
    pool, side = nn.MaxPool2d(kernel, stride, ceil_mode=True, return_indices=True), len(VALUES)
    pooled, switches = pool(torch.tensor(VALUES, dtype=torch.float64)[None, None])
    unpooled = unpool(torch.tensor(ABOVE, dtype=torch.float64)[None, None], switches, (side, side), pool)
    return {
        "kernel": kernel,
        "stride": stride,
        "values": VALUES,
        "pooled": _integers(pooled),
        "switches": [[divmod(place, side) for place in row] for row in switches[0, 0].tolist()],
        "above": ABOVE,
        "unpooled": _integers(unpooled),
        "rectified": _integers(unpooled.relu()),
    }


def _integers(maps: torch.Tensor) -> list[list[int]]:
    return maps[0, 0].int().tolist()
