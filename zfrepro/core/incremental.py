"""Predict many small changes of one image exactly, recomputing only the window of each layer that a change can reach.

The clean pass is kept operation by operation. A changed rectangle reaches a window of every convolution's and pooling's output; sums
and concatenations reach the rectangle around the windows of their inputs. A convolution is linear: its clean output plus its filters
over the difference, which is zero outside the window below, is its new output. Poolings, sums and concatenations read the clean maps
with the windows pasted in. Where a window covers most of a map, and below an operation of which it is not known what it reads, the whole
map is computed. Positions are taken in small rectangles of their grid, so that the windows of a batch have nearly one size.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from zfrepro.core.full_convolution import FullConvolution
from zfrepro.core.network_graph import CONVOLUTIONS, Graph, Values
from zfrepro.core.normalisation import CrossMapNorm
from zfrepro.core.receptive_field import axes
from zfrepro.core.window_batches import (
    Pool,
    Spans,
    Window,
    around_all,
    convolve,
    entire,
    pixels,
    pool_windows,
    read,
    sum_maps,
    with_border,
)

LARGEST_WINDOW = 0.75  # of a map's positions; larger ones are computed as a whole
POINTWISE = (
    nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh,
    nn.Hardswish, nn.Hardsigmoid, nn.Softplus, nn.Softsign, nn.Dropout, nn.Dropout2d, nn.AlphaDropout, nn.Identity, nn.BatchNorm2d,
    CrossMapNorm, nn.LocalResponseNorm,
)  # fmt: skip
POINTWISE_FUNCTIONS = {
    functional.relu, functional.relu6, functional.hardtanh, functional.leaky_relu, functional.elu, functional.selu, functional.celu,
    functional.gelu, functional.silu, functional.mish, functional.hardswish, functional.hardsigmoid, functional.softplus,
    functional.softsign, functional.dropout, functional.dropout2d, functional.alpha_dropout, functional.local_response_norm,
    torch.relu, torch.relu_, torch.sigmoid, torch.tanh, torch.clamp, torch.clip, torch.abs, torch.square, torch.sqrt, torch.neg,
    torch.add, torch.sub, torch.mul, torch.div, torch.maximum, torch.minimum,
    operator.add, operator.sub, operator.mul, operator.truediv, operator.neg,
    operator.iadd, operator.isub, operator.imul, operator.itruediv,
}  # fmt: skip
POINTWISE_METHODS = {
    "relu", "sigmoid", "tanh", "clamp", "clip", "abs", "square", "sqrt", "neg", "add", "sub", "mul", "div", "contiguous", "clone", "detach",
}  # fmt: skip
CONCATENATIONS = (torch.cat, torch.concat)
RELUS = (functional.relu, torch.relu, torch.relu_, "relu", "relu_")


@dataclass(frozen=True)
class Windows:
    patches: Tensor  # (B, C, h, w)
    window: Window


class CleanPass:
    """One image's forward pass through a network. `watched` is the node whose maps are summed over space, if any."""

    def __init__(
        self, graph: Graph, convolutions: Mapping[fx.Node, FullConvolution], image: Tensor, watched: fx.Node | None
    ):
        self.graph, self.convolutions, self.watched = graph, convolutions, watched
        values = graph.run_all(image[None].contiguous(memory_format=torch.channels_last))
        self.output: Tensor = values[graph.output]  # (1, ...)
        self.dependent = _dependent(graph)
        self.constant = {node: value for node, value in values.items() if node not in self.dependent}
        self.clean = {
            node: pixels(values[node])[0] for node in graph.nodes if self._has_maps(node, values)
        }  # (H, W, C)
        self.local = {node: _is_local(graph, node, self.clean) for node in self.clean}
        self.windowed = [node for node in self.clean if self.local[node] and _has_windows(graph.modules.get(node))]
        self.bordered = {
            node: pixels(with_border(pool, values[node.all_input_nodes[0]], values[node]))[0]
            for node in self.windowed
            if isinstance(pool := graph.modules[node], Pool)
        }
        self.last_read = _last_read(graph)
        if watched is not None:
            self.total = functional.pad(self.clean[watched].double().cumsum(0).cumsum(1), (0, 0, 1, 0, 1, 0))

    def _has_maps(self, node: fx.Node, values: Mapping[fx.Node, Any]) -> bool:
        """Whether its value is maps (1, C, H, W) of the image."""
        return node in self.dependent and _are_maps(values[node])

    def group(self, starts: list[int], size: int, direction: int, largest: int) -> list[list[int]]:
        """Tops (direction 0) or lefts (1) of changes `size` pixels long, in groups whose windows have nearly one size.

        Windows of a group are as large as the largest, so the groups, at most `largest` positions each, are cut where that costs least.
        """
        reached = {start: self._reached_widths(start, size, direction) for start in starts}
        ordered = sorted(starts, key=lambda start: reached[start][::-1])
        lowest, cuts = [0.0], [0]
        for end in range(1, len(ordered) + 1):
            first = range(max(0, end - largest), end)
            costs = [lowest[i] + self._cost([reached[start] for start in ordered[i:end]]) for i in first]
            lowest.append(min(costs))
            cuts.append(first[costs.index(min(costs))])
        groups, end = [], len(ordered)
        while end:
            groups.append(ordered[cuts[end] : end])
            end = cuts[end]
        return groups[::-1]

    def share(self, size: int) -> float:
        """The share of the convolutions' products that a change of `size` pixels in the middle of the image takes, if square."""
        counts = [self.clean[node.all_input_nodes[0]].shape[0] for node in self.windowed]
        middle = (self.clean[self.graph.nodes[0]].shape[0] - size) // 2
        convolutions = self._convolutions(counts)
        everything = sum(convolution.count_direct_products(side, side) for convolution, side in convolutions)
        return self._products(self._reached_widths(middle, size, 0)) / everything if everything else 1.0

    def _reached_widths(self, start: int, size: int, direction: int) -> list[int]:
        """Widths of the windows that a change reaches: below every convolution and pooling, and of the last node with maps."""
        spans = {self.graph.nodes[0]: (start, start + size)}
        for node in list(self.clean)[1:]:
            spans[node] = self._reach(node, spans, direction)
        nodes = [node.all_input_nodes[0] for node in self.windowed] + list(self.clean)[-1:]
        return [spans[node][1] - spans[node][0] for node in nodes]

    def _reach(self, node: fx.Node, spans: Mapping[fx.Node, tuple[int, int]], direction: int) -> tuple[int, int]:
        count = self.clean[node].shape[direction]
        if not self.local[node]:
            return 0, count
        low, high = around_all(spans[below] for below in node.all_input_nodes)
        if node in self.windowed:
            low, high = axes(self._module(node))[direction].reached(low, high, count)
        return (0, count) if (high - low) ** 2 > LARGEST_WINDOW * count**2 else (low, high)

    def _cost(self, widths: list[list[int]]) -> float:
        """Products that the convolutions take for a group of such windows, if square; a group costs half a position more."""
        largest = [max(sizes) for sizes in zip(*widths, strict=True)]
        return (len(widths) + 0.5) * self._products(largest)

    def _products(self, widths: Sequence[int]) -> float:
        return sum(convolution.count_products(width, width) for convolution, width in self._convolutions(widths))

    def _convolutions(self, widths: Sequence[int]) -> list[tuple[FullConvolution, int]]:
        """With the widths of the windows below them, of `widths` as `_reached_widths` gives them."""
        pairs = zip(self.windowed, widths, strict=False)
        return [(self.convolutions[node], width) for node, width in pairs if node in self.convolutions]

    def _module(self, node: fx.Node) -> Any:
        return self.graph.modules[node]

    def changed(self, patches: Tensor, tops: list[int], lefts: list[int]) -> tuple[Tensor, Tensor]:
        """The network's new output (B, ...), and the sums (B, maps) of the watched node; (B, 0) without one.

        patches (B, C, h, w) replace the image's pixels from (top, left) on: every top with every left, top by top.
        """
        height, width = patches.shape[2:]
        window = (
            Spans([(top, top + height) for top in tops], tops, height),
            Spans([(left, left + width) for left in lefts], lefts, width),
        )
        image = Windows(patches.clone(memory_format=torch.channels_last), window)
        values: dict[fx.Node, Any] = {self.graph.nodes[0]: image}
        sums = patches.new_zeros(len(patches), 0)
        for node in self.graph.nodes[1:]:
            values[node] = self._new_value(node, values, image)
            if node is self.watched:
                sums = sum_maps(self.total, values[node].patches, values[node].window)
            for read_for_the_last_time in self.last_read.get(node, ()):
                del values[read_for_the_last_time]
        return self._whole(self.graph.output, values), sums

    def _new_value(self, node: fx.Node, values: Mapping[fx.Node, Any], image: Windows) -> Any:
        if node not in self.dependent:
            return self.constant[node]
        if _asks_for_shape(node):
            return self.graph.run(node, lambda below: self._stand_in(below, values, image))
        inputs = [values[below] for below in node.all_input_nodes]
        full = all(self._is_full(below, values) for below in node.all_input_nodes)
        if not self.local.get(node) or (full and not self._saves_products(node)):
            return self._run_whole(node, values, image)
        if node in self.windowed:
            return self._through_windows(node, inputs[0])
        return self._pointwise(node, inputs)

    def _saves_products(self, node: fx.Node) -> bool:
        """Whether a convolution takes fewer products for the change of whole maps than for the new ones."""
        convolution = self.convolutions.get(node)
        return (
            convolution is not None and convolution.fastest(*self.clean[node.all_input_nodes[0]].shape[:2]) is not None
        )

    def _run_whole(self, node: fx.Node, values: Mapping[fx.Node, Any], image: Windows) -> Any:
        result = self._run(node, lambda below: self._whole(below, values))
        return Windows(result, entire(self.clean[node], image.window)) if node in self.clean else result

    def _stand_in(self, node: fx.Node, values: Mapping[fx.Node, Any], image: Windows) -> Any:
        """A value of the right shape, for an operation that asks for nothing else."""
        if node not in self.clean:
            return values[node]
        return self.clean[node].permute(2, 0, 1).expand(len(image.patches), -1, -1, -1)

    def _is_full(self, node: fx.Node, values: Mapping[fx.Node, Any]) -> bool:
        value = values[node]
        if not isinstance(value, Windows):
            return True
        return tuple(spans.width for spans in value.window) == self.clean[node].shape[:2]

    def _whole(self, node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
        """A value with the whole maps (B, C, H, W)."""
        value = values[node]
        if not isinstance(value, Windows) or self._is_full(node, values):
            return value.patches if isinstance(value, Windows) else value
        clean = self.clean[node]
        return read(clean, (0, 0), entire(clean, value.window), value.patches, value.window)

    def _through_windows(self, node: fx.Node, below: Windows) -> Windows:
        """Of a convolution or pooling."""
        module, clean, source = self._module(node), self.clean[node], node.all_input_nodes[0]
        rows, columns = (
            spans.through(axis, count)
            for spans, axis, count in zip(below.window, axes(module), clean.shape[:2], strict=True)
        )
        above = _or_entire((rows, columns), clean)
        if node in self.convolutions:
            convolution = self.convolutions[node]
            return Windows(
                convolve(convolution, (self.clean[source], clean), below.patches, below.window, above), above
            )
        return Windows(pool_windows(module, self.bordered[node], below.patches, below.window, above), above)

    def _pointwise(self, node: fx.Node, inputs: Sequence[Windows]) -> Windows:
        """Of one input, of several with the same window, or in the window around those of all inputs."""
        window, clean = inputs[0].window, self.clean[node]
        if any(other.window != window for other in inputs):
            rows, columns = (
                Spans.union([below.window[axis] for below in inputs], clean.shape[axis]) for axis in (0, 1)
            )
            window = _or_entire((rows, columns), clean)
        parts = {
            below: value.patches if value.window == window else read(self.clean[below], (0, 0), window, value.patches, value.window)
            for below, value in zip(node.all_input_nodes, inputs, strict=True)
        }  # fmt: skip
        return Windows(self._run(node, parts.__getitem__), window)

    def _run(self, node: fx.Node, values: Values) -> Any:
        overwrite = self._may_overwrite(node)
        if overwrite and (type(self.graph.modules.get(node)) is nn.ReLU or node.target in RELUS):
            return values(node.all_input_nodes[0]).relu_()
        return self.graph.run(node, values, overwrite)

    def _may_overwrite(self, node: fx.Node) -> bool:
        """Whether its input is a tensor that nobody else reads."""
        below = next(iter(node.all_input_nodes), node)
        several = bool(self.local.get(below)) and len(below.all_input_nodes) > 1
        fresh = below in self.windowed or several or type(self.graph.modules.get(below)) is nn.BatchNorm2d
        return fresh and len(below.users) == 1 and below is not self.graph.output


def _are_maps(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() == 4 and len(value) == 1


def _asks_for_shape(node: fx.Node) -> bool:
    return node.target in ("size", "dim") or (
        node.target is getattr and node.args[1] in ("shape", "ndim", "device", "dtype")
    )


def _or_entire(window: Window, clean: Tensor) -> Window:
    """The window, or the whole map (H, W, C) where it covers most of it."""
    rows, columns = window
    return (
        entire(clean, window)
        if rows.width * columns.width > LARGEST_WINDOW * clean.shape[0] * clean.shape[1]
        else window
    )


def _dependent(graph: Graph) -> set[fx.Node]:
    """Nodes that depend on the image."""
    dependent = {graph.nodes[0]}
    for node in graph.nodes:
        if any(below in dependent for below in node.all_input_nodes):
            dependent.add(node)
    return dependent


def _last_read(graph: Graph) -> dict[fx.Node, list[fx.Node]]:
    """Node -> nodes whose values nobody reads after it."""
    last = {below: node for node in graph.nodes for below in node.all_input_nodes}
    read_last: dict[fx.Node, list[fx.Node]] = {}
    for below, node in last.items():
        if below is not graph.output:
            read_last.setdefault(node, []).append(below)
    return read_last


def _is_local(graph: Graph, node: fx.Node, clean: Mapping[fx.Node, Tensor]) -> bool:
    """Whether an output at a position depends on inputs around this position alone, as far as is known here."""
    inputs = node.all_input_nodes
    if any(below not in clean for below in inputs) or len({clean[below].shape[:2] for below in inputs}) != 1:
        return False
    module = graph.modules.get(node)
    if module is not None:
        return len(inputs) == 1 and works_on_windows(module)
    if node.op == "call_method":
        return str(node.target).rstrip("_") in POINTWISE_METHODS
    if node.target in CONCATENATIONS:
        return (node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)) in (1, -3)
    return node.op == "call_function" and node.target in POINTWISE_FUNCTIONS


def works_on_windows(module: nn.Module) -> bool:
    """Exact types, since a subclass may compute anything."""
    if isinstance(module, nn.Conv2d) and type(module) in CONVOLUTIONS:
        return module.padding_mode == "zeros" and not isinstance(module.padding, str)
    if type(module) is nn.BatchNorm2d:
        return module.running_mean is not None
    if type(module) is nn.AvgPool2d:
        return not module.ceil_mode and (module.count_include_pad or module.padding in (0, (0, 0)))
    return (type(module) is nn.MaxPool2d and not module.return_indices) or type(module) in POINTWISE


def _has_windows(module: nn.Module | None) -> bool:
    return isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)


def full_convolutions(graph: Graph) -> dict[fx.Node, FullConvolution]:
    """Of all convolutions that work on windows, made once for many images."""
    return {
        node: FullConvolution(module)
        for node, module in graph.modules.items()
        if isinstance(module, nn.Conv2d) and works_on_windows(module)
    }


def split(net: nn.Module) -> tuple[nn.Module, nn.Sequential]:
    """A network cut before its flattening: what is computed by windows, and the head, which sees whole maps.

    Where no child of a sequence flattens, all is the first part.
    """
    children = list(net.named_children()) if type(net) is nn.Sequential else []
    first = next((i for i, (_, child) in enumerate(children) if type(child) is nn.Flatten), 0)
    if not first:
        return net, nn.Sequential()
    return nn.Sequential(OrderedDict(children[:first])), nn.Sequential(OrderedDict(children[first:]))
