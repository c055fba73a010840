"""The operations of a network as a graph that is run node by node; of any network that torch.fx can trace.

What works in place is run on a copy, and whoever reads the changed tensor later reads the new one. A batch normalisation behind a
convolution is folded into its filters. What a trace cannot show (control flow that depends on values, hooks) is an error.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zfrepro.core.nets import CeilConv2d
from zfrepro.core.normalisation import CrossMapNorm

HOOKS = ("_forward_hooks", "_forward_pre_hooks")
LEAVES = (CeilConv2d, CrossMapNorm)  # not torch's own, run as one operation
CONVOLUTIONS = (nn.Conv2d, CeilConv2d)
POOL_OPTIONS: dict[Any, tuple[str, ...]] = {  # in the order in which the functions take them
    nn.MaxPool2d: ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    nn.AvgPool2d: ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
}
IN_PLACE_OPERATORS = (operator.iadd, operator.isub, operator.imul, operator.itruediv)

Values = Callable[[fx.Node], Any]


class UntraceableError(Exception):
    """Says why the network has no graph."""


@dataclass
class Graph:
    nodes: list[fx.Node]  # in the order in which they run, the image first
    output: fx.Node
    modules: dict[fx.Node, nn.Module]  # of the nodes that run one; pooling functions are modules, too
    constants: dict[fx.Node, Any]  # weights that the forward function itself reads
    results: dict[str, list[fx.Node]]  # path of a module -> the results of its calls

    def find(self, layer: str) -> fx.Node:
        """The result of a layer, written as in core/layers.py. Raises ValueError where the graph does not have it."""
        path, _, number = layer.partition(":")
        calls = self.results.get(path, [])
        call = int(number) - 1 if number else len(calls) - 1
        if not 0 <= call < len(calls) or calls[call] not in self.nodes:
            raise ValueError(f"no layer {layer} among {', '.join(self.results)}")
        return calls[call]

    def fold_norms(self, kept: fx.Node | None) -> None:
        """Batch normalisations become part of the convolutions below them, except where these are `kept` or read by others, too."""
        for node in list(self.nodes):
            norm = self.modules.get(node)
            if type(norm) is nn.BatchNorm2d and norm.running_mean is not None:
                below = node.all_input_nodes[0]
                conv = self.modules.get(below)
                if (
                    isinstance(conv, nn.Conv2d)
                    and type(conv) in CONVOLUTIONS
                    and len(below.users) == 1
                    and below is not kept
                ):
                    self.modules[below] = fuse_conv_bn_eval(conv, norm)
                    self._replace(node, below)

    def _replace(self, node: fx.Node, other: fx.Node) -> None:
        node.replace_all_uses_with(other)
        node.args = ()  # so that it is no user any more
        self.nodes.remove(node)
        self.output = other if node is self.output else self.output
        for calls in self.results.values():
            calls[:] = [other if call is node else call for call in calls]

    def run(self, node: fx.Node, values: Values, overwrite: bool = False) -> Any:
        """One operation on what `values` gives for its inputs, of which it changes none, or the first with `overwrite`."""
        if node in self.constants:
            return self.constants[node]
        copies = changes_input(node, self.modules.get(node)) and not overwrite
        inputs = _first_copied(node, values) if copies else values
        if node.op == "call_function" and node in self.modules:
            return self.modules[node](inputs(node.all_input_nodes[0]))
        args, kwargs = fx.node.map_arg(node.args, inputs), fx.node.map_arg(node.kwargs, inputs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        compute: Any = self.modules[node] if node.op == "call_module" else node.target
        return compute(*args, **kwargs)

    def run_all(self, images: Tensor) -> dict[fx.Node, Any]:
        """Every node's value for images (B, C, H, W)."""
        values: dict[fx.Node, Any] = {self.nodes[0]: images}
        for node in self.nodes[1:]:
            values[node] = self.run(node, values.__getitem__)
        return values


def trace(model: nn.Module) -> Graph:
    """Raises UntraceableError."""
    if any(getattr(module, hooks) for module in model.modules() for hooks in HOOKS):
        raise UntraceableError("it has hooks, which a trace leaves out")
    try:
        tracer, nodes = _traced(model)
    except Exception as error:  # whatever a forward function does that cannot be traced
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UntraceableError(f"torch.fx cannot trace it: {reason}") from error
    return _build(model, tracer, nodes)


class _Tracer(fx.Tracer):
    """Keeps the results of the modules' calls. With `whole`, modules without children are not looked into."""

    def __init__(self, whole: bool):
        super().__init__()
        self.whole = whole
        self.results: dict[str, list[fx.Node]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        no_children = not any(True for _ in m.children())
        return type(m) in LEAVES or (self.whole and no_children) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        result = super().call_module(m, forward, args, kwargs)
        if isinstance(result, fx.Proxy):
            self.results.setdefault(self.path_of_module(m), []).append(result.node)
        return result


def _traced(model: nn.Module) -> tuple[_Tracer, list[fx.Node]]:
    for whole in (False, True):
        tracer = _Tracer(whole)
        try:
            return tracer, list(tracer.trace(model).nodes)
        except Exception:
            if whole:
                raise
    raise AssertionError


def _build(model: nn.Module, tracer: _Tracer, nodes: list[fx.Node]) -> Graph:
    paths, position = dict(model.named_modules()), {node: i for i, node in enumerate(nodes)}
    modules = {node: paths[str(node.target)] for node in nodes if node.op == "call_module"}
    for node in nodes:
        if changes_input(node, modules.get(node)):
            changed = node.all_input_nodes[0]
            for user in [user for user in changed.users if position[user] > position[node]]:
                user.replace_input_with(changed, node)
        if (pool := _pool(node)) is not None:
            modules[node] = pool
    output = nodes[-1].args[0]
    images = [node for node in nodes if node.op == "placeholder" and (node.users or not node.args)]
    if not isinstance(output, fx.Node) or len(images) != 1 or any(node.target is operator.setitem for node in nodes):
        raise UntraceableError("it takes or returns more than one tensor, or writes into a part of one")
    constants = {node: attrgetter(str(node.target))(model) for node in nodes if node.op == "get_attr"}
    read = _read_by(output)
    running = [node for node in nodes if node in read and node.op != "placeholder"]
    return Graph([images[0], *running], output, modules, constants, tracer.results)


def _read_by(output: fx.Node) -> set[fx.Node]:
    """What the output depends on, itself included."""
    read = {output: None}
    nodes = [output]
    for node in nodes:  # grows while it is read
        new = [below for below in node.all_input_nodes if below not in read]
        read |= dict.fromkeys(new)
        nodes += new
    return set(read)


def _first_copied(node: fx.Node, values: Values) -> Values:
    changed = node.all_input_nodes[0]
    return lambda below: values(below).clone() if below is changed else values(below)


def changes_input(node: fx.Node, module: nn.Module | None) -> bool:
    """Whether it works in place."""
    if node.op == "call_module":
        return bool(getattr(module, "inplace", False))
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    ends = name.endswith("_") and not name.endswith("__")
    calls = node.op in ("call_function", "call_method")
    return calls and (ends or bool(node.kwargs.get("inplace")) or node.target in IN_PLACE_OPERATORS)


def _pool(node: fx.Node) -> nn.Module | None:
    """A pooling function as a module; None for others, and where its arguments are no numbers or ask for indices."""
    kinds: dict[Any, Any] = {
        functional.max_pool2d: nn.MaxPool2d,
        torch.max_pool2d: nn.MaxPool2d,
        functional.avg_pool2d: nn.AvgPool2d,
    }
    if node.op != "call_function" or node.target not in kinds or len(node.all_input_nodes) != 1:
        return None
    options: dict[str, Any] = {key: value for key, value in node.kwargs.items() if key != "input"}
    options |= dict(zip(POOL_OPTIONS[kinds[node.target]], node.args["input" not in node.kwargs :], strict=False))
    return None if options.get("return_indices") else kinds[node.target](**options)
