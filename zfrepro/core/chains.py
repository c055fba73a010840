"""Find out that a network is a plain chain, for which projections and occlusion maps have faster routes.

The network's forward function is traced (torch.fx) until something is met that is no chain: a sum, a concatenation, a branch.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from zfrepro.core.nets import CeilConv2d
from zfrepro.core.normalisation import CrossMapNorm

FLATTEN = (torch.flatten, "flatten")
RELU = (functional.relu, torch.relu, "relu")
APART = (nn.Conv2d, CeilConv2d, nn.Linear, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Dropout, nn.Identity,
         nn.LocalResponseNorm, CrossMapNorm)  # fmt: skip
HOOKS = ("_forward_hooks", "_forward_pre_hooks")


@dataclass(frozen=True)
class Chain:
    """The network's modules one after another, each once; ReLUs not in place, so that what is below them is kept."""

    net: nn.Sequential
    children: dict[str, list[str]]  # name of a module -> names in `net` of its calls; "features.3" -> ["features_3"]

    @property
    def keeps_images_apart(self) -> bool:
        """Whether only modules stand in it of which it is known that an image's result depends on no other image and no chance."""
        return all(map(_keeps_images_apart, self.net))

    def child(self, name: str) -> str | None:
        """The name in `net` of a layer, written as in core/layers.py; None if it is no single module of the chain."""
        path, _, number = name.partition(":")
        calls = self.children.get(path, [])
        call = int(number) - 1 if number.isdecimal() else len(calls) - 1
        return calls[call] if 0 <= call < len(calls) else None


def _keeps_images_apart(module: nn.Module) -> bool:
    if isinstance(module, nn.BatchNorm2d):
        return type(module) is nn.BatchNorm2d and module.running_mean is not None
    if isinstance(module, nn.Flatten):
        return type(module) is nn.Flatten and module.start_dim == 1
    return type(module) in APART


class _NoChainError(Exception):
    pass


def as_chain(model: nn.Module) -> Chain | None:
    """None for a network that is no chain, cannot be traced, or has hooks, which a trace would leave out.

    The modules are the network's own except for ReLUs and modules that are run more than once.
    """
    if any(getattr(module, hooks) for module in model.modules() for hooks in HOOKS):
        return None
    try:
        steps = _Tracer().steps(model)
    except Exception:  # whatever a forward function does that cannot be traced
        return None
    children: dict[str, list[str]] = {}
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (name, module) in enumerate(steps):
        calls = children.setdefault(name or f"function {number}", [])
        child = (name or f"function{number}").replace(".", "_") + (f"_{len(calls) + 1}" if calls else "")
        if child in parts:
            return None
        calls.append(child)
        parts[child] = nn.ReLU() if type(module) is nn.ReLU else copy.copy(module) if len(calls) > 1 else module
    net = nn.Sequential(parts)
    net.training = model.training  # of the container alone: `train` would change the network's own modules
    return Chain(net, children)


class _Tracer(fx.Tracer):
    """Raises _NoChainError as soon as a step takes anything but the result of the step before it."""

    def steps(self, model: nn.Module) -> list[tuple[str, nn.Module]]:
        self.last: fx.Node | None = None
        graph = self.trace(model)
        modules = dict(model.named_modules())
        return [_step(node, modules) for node in graph.nodes if node.op not in ("placeholder", "output") and node.users]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(True for _ in m.children())

    def create_node(self, kind: str, target: Any, args: Any, kwargs: Any, *others: Any, **options: Any) -> fx.Node:
        inputs = [*args, *kwargs.values()]
        nodes = [value for value in inputs if isinstance(value, fx.Node)]
        expected = [] if self.last is None else [self.last]
        nested = any(isinstance(value, tuple | list | dict) for value in inputs) and kind != "output"
        if nodes != expected or nested or kind == "get_attr":
            raise _NoChainError
        self.last = super().create_node(kind, target, args, kwargs, *others, **options)
        return self.last


def _step(node: fx.Node, modules: dict[str, nn.Module]) -> tuple[str, nn.Module]:
    """A module of the network under its name, or a function as a module without name."""
    if node.op == "call_module" and len(node.args) == 1 and not node.kwargs:
        return str(node.target), modules[str(node.target)]
    if node.target in FLATTEN:
        return "", nn.Flatten(*node.args[1:], **_flatten_start(node))  # type: ignore[arg-type]
    if node.target in RELU:
        return "", nn.ReLU()
    raise _NoChainError


def _flatten_start(node: fx.Node) -> dict[str, Any]:
    """torch.flatten begins at dimension 0 where it is not told otherwise, nn.Flatten at 1."""
    return dict(node.kwargs) if len(node.args) > 1 or "start_dim" in node.kwargs else {"start_dim": 0, **node.kwargs}
