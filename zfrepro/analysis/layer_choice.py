"""Choose the layers of any network whose maps are worth showing: the last rectified one at each resolution."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zfrepro.analysis.checks import Network, open_network, size_at_least
from zfrepro.analysis.projection import project
from zfrepro.core.layers import forward, hooked

POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d)
RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Threshold)


@dataclass(frozen=True)
class LayerChoice:
    layers: tuple[str, ...]  # names as in `model.named_modules()`, in the order of the forward pass; with a deconvnet
    last: str | None  # of the last maps, with or without a deconvnet; None: no module returns maps
    refusal: str  # why there is no deconvnet of the last maps; empty: there is one


@dataclass(frozen=True)
class _Maps:
    """What a module returned: maps in the image's proportions, of more than one pixel."""

    module: str
    call: int
    size: tuple[int, int]
    rectified: bool


def choose_layers(
    model: nn.Module | Network, images: Tensor, count: int = 5, *, rectifier: Literal["error", "pass"] = "error"
) -> LayerChoice:
    """The rectified layers before each change of resolution, the deepest `count`; all of them where there are no more than `count`.

    A layer is rectified where a ReLU, or a block of modules, returns maps (B, C, h, w) without negative values.

    model      any network in evaluation mode, or what `open_network` has made of one; it is left as it was
    images     (B, C, H, W), the network's inputs; the first one is run
    rectifier  "error": layers with a deconvnet only; "pass": also those of which `project` passes derivatives; where a resolution has
               no rectified maps, the last ones

    Raises ValueError for bad input.
    """
    network = open_network(model)
    image = network.prepare(images)[:1]
    size_at_least(count, 1, "count")
    maps = _observe_maps(network.model, image)
    if not maps:
        return LayerChoice((), None, "")
    calls = Counter(entry.module for entry in maps)
    rectified = [entry for entry in maps if entry.rectified]
    last = _name(maps[-1], calls)
    if rectifier == "pass":
        return LayerChoice(_before_changes(_rectified_where_there_are(maps), calls, count), last, "")
    depth = _count_with_deconvnet(network, image, [_name(entry, calls) for entry in rectified])
    missing = rectified[depth : depth + 1] or [entry for entry in maps[-1:] if not entry.rectified]
    refusal = _refusal(network, image, _name(missing[0], calls)) if missing else ""
    return LayerChoice(_before_changes(rectified[:depth], calls, count), last, refusal)


def _observe_maps(model: nn.Module, image: Tensor) -> list[_Maps]:
    """In the order in which modules end; a block that returns the very tensor of its last module is left out."""
    maps: list[_Maps] = []
    calls = Counter[str]()
    latest: tuple[Any, int] | None = (
        None  # what the last module without children returned, and its count of changes in place
    )

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def receive(module: nn.Module, inputs: Any, output: Any) -> None:
            nonlocal latest
            calls[name] += 1
            version = output._version if isinstance(output, Tensor) and not output.is_inference() else 0
            repeated = latest is not None and output is latest[0] and version == latest[1]
            leaf = not any(True for _ in module.children())
            if (
                isinstance(output, Tensor)
                and _are_maps(output, image)
                and not repeated
                and not isinstance(module, POOLS)
            ):
                rectified = (not leaf or isinstance(module, RECTIFIERS)) and bool(output.min() >= 0)
                maps.append(_Maps(name, calls[name], (output.shape[2], output.shape[3]), rectified))
            latest = (output, version) if leaf else latest

        return receive

    with torch.no_grad(), hooked((module, hook(name)) for name, module in model.named_modules() if name):
        forward(model, image)
    return maps


def _are_maps(output: Tensor, image: Tensor) -> bool:
    """Whether (B, C, h, w) has the image's proportions; (B, h, w, C), as in Swin, has not."""
    if output.dim() != 4 or not output.is_floating_point() or output.shape[2] * output.shape[3] == 1:
        return False
    (height, width), (rows, columns) = image.shape[2:], output.shape[2:]
    return abs(rows * width - columns * height) < height + width


def _rectified_where_there_are(maps: Sequence[_Maps]) -> list[_Maps]:
    """Of other resolutions the last maps."""
    rectified = {entry.size for entry in maps if entry.rectified}
    others = {entry.size: entry for entry in maps if entry.size not in rectified}
    return [entry for entry in maps if entry.rectified or entry is others.get(entry.size)]


def _before_changes(maps: Sequence[_Maps], calls: Counter[str], count: int) -> tuple[str, ...]:
    if len(maps) > count:
        last = {entry.size: entry for entry in maps}
        maps = [entry for entry in maps if entry is last[entry.size]][-count:]
    return tuple(_name(entry, calls) for entry in maps)


def _name(maps: _Maps, calls: Counter[str]) -> str:
    return maps.module if maps.call == calls[maps.module] else f"{maps.module}:{maps.call}"


def _count_with_deconvnet(network: Network, image: Tensor, names: Sequence[str]) -> int:
    """How many from the first: above a layer without a deconvnet no other has one."""
    if names and not _refusal(network, image, names[-1]):
        return len(names)
    return bisect.bisect_left(names, True, key=lambda name: bool(_refusal(network, image, name)))


def _refusal(network: Network, image: Tensor, name: str) -> str:
    """Why a layer has no deconvnet; empty where it has one."""
    try:
        project(network, image, name, 0)
    except ValueError as error:
        return str(error)
    return ""
