"""Modules of any network by name: what they return in a forward pass, observed without a trace left on the network.

A layer is a module's name in `model.named_modules()`: "features.3", "layer2.0.relu". Where a forward pass runs a module several times,
as torchvision's resnets do with their ReLU, the last result is meant; "layer2.0.relu:1" is the first.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Receiver = Callable[["Layer", int, Tensor], None]  # a layer, the number of its call (1, 2, ...), its result


@dataclass(frozen=True)
class Layer:
    name: str  # as the user wrote it
    module: nn.Module
    call: int | None  # 1: the first result in a forward pass; None: the last


def find_layer(model: nn.Module, name: str) -> Layer:
    """Raises ValueError for a name that the network does not have, with those that resemble it."""
    path, _, number = name.partition(":")
    modules = dict(model.named_modules())
    if not path or path not in modules:
        raise ValueError(f"the network has no layer {path!r}; {_describe_names(path, list(modules)[1:])}")
    if number and not (number.isdecimal() and int(number) > 0):
        raise ValueError(f"layer {name}: after the colon stands the number of a call, 1 for the first")
    return Layer(name, modules[path], int(number) if number else None)


def _describe_names(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
    if near:
        return f"similar names: {', '.join(near)}"
    return f"it has {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"


@contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Callable[[nn.Module, Any, Any], Any]]]) -> Iterator[None]:
    """While this is open, each module calls its hook with itself, its inputs and its result, which what the hook returns replaces."""
    with ExitStack() as stack:
        for module, hook in hooks:
            stack.enter_context(module.register_forward_hook(hook))
        yield


@contextmanager
def observed(layers: Collection[Layer], receive: Receiver) -> Iterator[None]:
    """While this is open, `receive` is given every result of the layers' modules."""
    with hooked((layer.module, _hook(layer, receive)) for layer in layers):
        yield


def _hook(layer: Layer, receive: Receiver) -> Callable[[nn.Module, Any, Any], None]:
    calls = 0

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal calls
        calls += 1
        if not isinstance(output, Tensor):
            raise ValueError(
                f"layer {layer.name}: returns {type(output).__name__}; choose a layer that returns a tensor"
            )
        receive(layer, calls, output)

    return hook


def forward(model: nn.Module, images: Tensor) -> Any:
    """What the network returns. Raises ValueError where it cannot take such images."""
    try:
        return model(images)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, IndexError, AssertionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"the network cannot take images of shape {tuple(images.shape)}: {reason}") from error


@torch.no_grad()
def observe(model: nn.Module, images: Tensor, names: Collection[str]) -> tuple[dict[str, Tensor], Any]:
    """One forward pass: the results (B, ...) of layers by name, and what the network returns.

    Copies, since the next layer may work in place. Raises ValueError for a layer that the network does not have or does not run.
    """
    results: dict[str, Tensor] = {}

    def receive(layer: Layer, call: int, output: Tensor) -> None:
        if layer.call in (None, call):
            results[layer.name] = output.clone()

    with observed([find_layer(model, name) for name in names], receive):
        returned = forward(model, images)
    if missing := [name for name in names if name not in results]:
        raise ValueError(f"layer {missing[0]}: the network does not run it (so often) in a forward pass of evaluation")
    return results, returned


def count_calls(model: nn.Module, images: Tensor, layer: Layer) -> int:
    """How often a forward pass runs the layer's module."""
    calls = 0

    def receive(_: Layer, call: int, output: Tensor) -> None:
        nonlocal calls
        calls = call

    with torch.no_grad(), observed([layer], receive):
        forward(model, images)
    return calls


def largest_output(model: nn.Module, image: Tensor) -> int:
    """How many numbers the largest result of any module holds, for one image (1, C, H, W)."""
    largest = image.numel()

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal largest
        if isinstance(output, Tensor):
            largest = max(largest, output.numel())

    with torch.no_grad(), hooked((module, hook) for module in model.modules()):
        forward(model, image)
    return largest


class _ReachedLayer(BaseException):
    """Ends a forward pass at a layer; not an Exception, which the network might catch."""

    def __init__(self, output: Tensor):
        super().__init__()
        self.output = output


def run_until(model: nn.Module, layer: Layer, images: Tensor) -> Tensor:
    """A forward pass that ends at the layer, whose `call` is a number: its result (B, ...).

    Raises ValueError where the network does not run the layer.
    """

    def stop(_: Layer, call: int, output: Tensor) -> None:
        if call == layer.call:
            raise _ReachedLayer(output)

    try:
        with observed([layer], stop):
            forward(model, images)
    except _ReachedLayer as reached:
        return reached.output
    raise ValueError(f"layer {layer.name}: the network does not run it (so often) in a forward pass of evaluation")
