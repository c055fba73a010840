"""The deconvnet of any traceable network, node by node with transposed operations written out: a second route without autograd."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

ADDITIONS = (operator.add, operator.iadd, torch.add)
KEPT = (nn.Dropout, nn.Identity, nn.LocalResponseNorm)


class _Keeping(fx.Interpreter):
    """Keeps copies of all results: modules that follow may work in place."""

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.kept[n] = result.clone()
        return result


@torch.no_grad()
def project(model: nn.Module, image: Tensor, layer: str, start: Any) -> Tensor:
    """(1, 3, H, W): `start` turns the output of the layer's last call into the signal that is sent down."""
    runner = _Keeping(fx.symbolic_trace(model))
    runner.kept = {}
    runner.run(image)
    nodes = list(runner.kept)
    top = [node for node in nodes if node.op == "call_module" and node.target == layer][-1]
    signals = {top: start(runner.kept[top])}
    modules = dict(model.named_modules())
    for node in reversed(nodes[: nodes.index(top) + 1]):
        if node in signals and node.op != "placeholder":
            operation = modules[node.target] if node.op == "call_module" else node.target
            for source, signal in _undo(operation, node, signals.pop(node), runner.kept):
                signals[source] = signals.get(source, 0) + signal
    (pixels,) = signals.values()
    return pixels


def _undo(operation: Any, node: fx.Node, signal: Tensor, kept: dict[fx.Node, Tensor]) -> list[tuple[fx.Node, Tensor]]:
    """What each input of a node is sent."""
    if operation in ADDITIONS:
        return [(source, signal) for source in node.args]
    if operation is torch.cat:
        return list(zip(node.args[0], signal.split([kept[source].shape[1] for source in node.args[0]], 1), strict=True))
    source = node.args[0]
    return [(source, _transposed(operation, node, signal, kept[source]))]


def _transposed(operation: Any, node: fx.Node, signal: Tensor, below: Tensor) -> Tensor:
    if isinstance(operation, nn.Conv2d):
        return _filters(operation, signal, below)
    if isinstance(operation, nn.ReLU | nn.ReLU6) or operation is functional.relu:
        return signal.clamp(min=0)
    if isinstance(operation, nn.BatchNorm2d):
        scale = operation.weight / (operation.running_var + operation.eps).sqrt()
        return signal * scale[:, None, None]
    if isinstance(operation, nn.MaxPool2d):
        return _unpool(operation, signal, below)
    if isinstance(operation, nn.AvgPool2d):
        return _spread(signal, operation.kernel_size, operation.stride, below)
    if isinstance(operation, nn.AdaptiveAvgPool2d):
        return _spread_adaptive(signal, below)
    if isinstance(operation, nn.Linear):
        return signal @ operation.weight
    if operation in (torch.flatten, functional.adaptive_avg_pool2d):
        return signal.reshape(below.shape) if operation is torch.flatten else _spread_adaptive(signal, below)
    if isinstance(operation, KEPT) or operation is functional.dropout:
        return signal
    raise AssertionError(f"{node}: {operation}")


def _filters(conv: nn.Conv2d, signal: Tensor, below: Tensor) -> Tensor:
    """Each value times its filter, added where the filter lay on the bordered input; groups one by one."""
    (rows, columns), (down, right), (dy, dx) = conv.padding, conv.stride, conv.dilation
    bordered = below.new_zeros(len(below), below.shape[1], below.shape[2] + 2 * rows, below.shape[3] + 2 * columns)
    height, width = signal.shape[2:]
    for y in range(conv.kernel_size[0]):
        for x in range(conv.kernel_size[1]):
            target = bordered[:, :, y * dy :, x * dx :][
                :, :, : (height - 1) * down + 1 : down, : (width - 1) * right + 1 : right
            ]
            parts = zip(signal.chunk(conv.groups, 1), conv.weight[:, :, y, x].chunk(conv.groups), strict=True)
            target += torch.cat([torch.einsum("bohw,oi->bihw", part, weight) for part, weight in parts], dim=1)
    return bordered[:, :, rows : rows + below.shape[2], columns : columns + below.shape[3]]


def _unpool(pool: nn.MaxPool2d, signal: Tensor, below: Tensor) -> Tensor:
    window = (pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode)
    _, switches = functional.max_pool2d(below, *window, return_indices=True)
    return (
        below.new_zeros(below.shape).flatten(2).scatter_add(2, switches.flatten(2), signal.flatten(2)).view(below.shape)
    )


def _spread(signal: Tensor, kernel: int, stride: int, below: Tensor) -> Tensor:
    pixels = torch.zeros_like(below)
    for y in range(signal.shape[2]):
        for x in range(signal.shape[3]):
            window = pixels[:, :, y * stride : y * stride + kernel, x * stride : x * stride + kernel]
            window += signal[:, :, y : y + 1, x : x + 1] / kernel**2
    return pixels


def _spread_adaptive(signal: Tensor, below: Tensor) -> Tensor:
    """Output i of n averages the inputs floor(i size / n) ... ceil((i + 1) size / n) - 1."""
    pixels, (height, width), (rows, columns) = torch.zeros_like(below), below.shape[2:], signal.shape[2:]
    for y in range(rows):
        for x in range(columns):
            window = pixels[
                :,
                :,
                y * height // rows : -(-(y + 1) * height // rows),
                x * width // columns : -(-(x + 1) * width // columns),
            ]
            window += signal[:, :, y : y + 1, x : x + 1] / (window.shape[2] * window.shape[3])
    return pixels
