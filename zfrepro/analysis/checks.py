"""Check what an analysis is given, before anything is computed; every fault is one ValueError that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from zfrepro.core.chains import Chain, as_chain
from zfrepro.core.field_boxes import field_boxes
from zfrepro.core.finite import NotFiniteError, require_finite
from zfrepro.core.layers import Layer, count_calls, find_layer, observe, run_until

PROBABILITY_SUM = 1e-3  # values of one image that are not negative and add up to 1 but for this are probabilities


@dataclass(frozen=True)
class FoundLayer:
    """A layer with the number of the call that is meant, for images of one size."""

    layer: Layer
    shape: tuple[int, ...]  # of one image's output: (C, h, w), or (N,) of a fully connected layer
    fields: Tensor  # int64 (h, w, 4): boxes of what each unit sees, see core/field_boxes.py


@dataclass(frozen=True)
class Network:
    """A network in evaluation mode with finite weights; pass it in place of the model to be checked once, not at every call.

    The weights must not change any more, nor the layers.
    """

    model: nn.Module
    device: torch.device | None  # None: it has no weights, and takes images as they are
    dtype: torch.dtype | None
    chain: Chain | None  # where the network is one
    found: dict[tuple[str, tuple[int, ...]], FoundLayer] = field(default_factory=dict)  # by name and size of the image

    def prepare(self, images: Any, name: str = "images") -> Tensor:
        """Images (B, C, H, W) on the network's device and in its precision."""
        if not isinstance(images, Tensor):
            raise ValueError(f"{name}: give a tensor (B, C, H, W), not {type(images).__name__}")
        if images.dim() != 4 or not images.numel():
            hint = "; for one image pass images[None]" if images.dim() == 3 else ""
            raise ValueError(f"{name}: give a tensor (B, C, H, W), not one of shape {tuple(images.shape)}{hint}")
        if not images.is_floating_point():
            raise ValueError(f"{name}: give the network's inputs as floating point, not {images.dtype}")
        _require_finite(images, "values", name, "check how the images are read")
        return images.detach().to(device=self.device, dtype=self.dtype)

    @cached_property
    def keeps_images_apart(self) -> bool:
        """Whether it is known that no image's result depends on other images; else it has to be tried."""
        return self.chain is not None and self.chain.keeps_images_apart

    def _call_in_chain(self, layer: Layer) -> int | None:
        """The number of the call that is meant, where the chain shows it and nothing has to be tried."""
        if not self.keeps_images_apart or self.chain is None or self.chain.child(layer.name) is None:
            return None
        return layer.call or len(self.chain.children[layer.name])

    @torch.no_grad()
    def find(self, name: str, images: Tensor) -> FoundLayer:
        """Raises ValueError for a layer without maps (B, C, h, w) or units (B, N), and where an image's output depends on other images."""
        key = (name, tuple(images.shape[1:]))
        if key not in self.found:
            layer = find_layer(self.model, name)
            if call := self._call_in_chain(layer):
                layer = Layer(name, layer.module, call)
                output = run_until(self.model, layer, images[:1])
            else:
                output = self.observe_independent(images[:1], [name])[0][name]
                layer = Layer(name, layer.module, layer.call or count_calls(self.model, images[:1], layer))
            if output.dim() not in (2, 4) or not output.is_floating_point():
                raise ValueError(
                    f"layer {name}: its output has the shape {tuple(output.shape)}; choose a layer of maps (B, C, h, w) or of units (B, N)"
                )
            fields = field_boxes(self.model, layer, images[:1])
            self.found[key] = FoundLayer(layer, tuple(output.shape[1:]), fields)
        return self.found[key]

    @torch.no_grad()
    def output(self, found: FoundLayer, images: Tensor) -> Tensor:
        """The layer's output (B, ...); the forward pass ends there. Raises NotFiniteError naming the layer."""
        output = run_until(self.model, found.layer, images)
        return require_finite(output, "activations", f"layer {found.layer.name}")

    def observe_independent(self, image: Tensor, layers: Sequence[str]) -> tuple[dict[str, Tensor], Any]:
        """Outputs (1, ...) of layers, and what the network returns for one image (1, C, H, W).

        Raises ValueError where these are others beside another image, as with batch normalisation that has no running statistics.
        """
        alone, returned = observe(self.model, image, layers)
        beside, returned_beside = observe(self.model, torch.cat([image, 1 - image.flip(3)]), layers)
        for name, output in alone.items():
            require_independent(output, beside[name], f"layer {name}")
        if isinstance(returned, Tensor) and isinstance(returned_beside, Tensor):
            require_independent(returned, returned_beside, "the network's output")
        return alone, returned


def open_network(model: Any) -> Network:
    """Raises ValueError for anything but a network in evaluation mode with finite weights."""
    if isinstance(model, Network):
        _require_evaluation(model.model)
        return model
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: give a torch.nn.Module, not {type(model).__name__}")
    _require_evaluation(model)
    weights = dict(model.named_parameters()) | dict(model.named_buffers())
    for name, tensor in weights.items():
        _require_finite(tensor, "values", f"weights {name}", "the training has diverged or the file is damaged")
    first = next((tensor for tensor in weights.values() if tensor.is_floating_point()), None)
    device, dtype = (None, None) if first is None else (first.device, first.dtype)
    return Network(model, device, dtype, as_chain(model))


def _require_evaluation(model: nn.Module) -> None:
    if training := [name for name, module in model.named_modules() if module.training]:
        which = f"module {training[0]}" if training[0] else "the network"
        raise ValueError(
            f"{which} is in training mode, where dropout and batch normalisation depend on the batch; call model.eval()"
        )


def _require_finite(tensor: Tensor, values: str, name: str, advice: str) -> None:
    try:
        require_finite(tensor, values, name)
    except NotFiniteError as error:
        raise ValueError(f"{error}; {advice}") from error


def require_independent(alone: Tensor, beside: Tensor, name: str) -> None:
    """An image's result alone, (1, ...), against its result in a batch of two, (2, ...)."""
    if len(alone) != 1 or len(beside) != 2 or alone.shape[1:] != beside.shape[1:]:
        raise ValueError(
            f"{name}: {len(alone)} results for one image and {len(beside)} for two, of shapes {tuple(alone.shape)} and "
            f"{tuple(beside.shape)}; the network must keep its batch"
        )
    if (alone[0] - beside[0]).abs().max() > rounding(alone.dtype) * alone.abs().max():
        raise ValueError(
            f"{name}: an image's result changes with the other images of its batch, or from pass to pass; give batch normalisation "
            "running statistics, and switch off what is random"
        )


def rounding(dtype: torch.dtype) -> float:
    """By how much of the largest, at most, the same results may differ from one pass to another of other batches or kernels."""
    return float(10 * torch.finfo(dtype).eps ** 0.5) if dtype.is_floating_point else 0.0


def class_scores(returned: Any) -> Tensor:
    """The class scores (B, classes) that a network returns. Raises ValueError for anything else."""
    if not isinstance(returned, Tensor):
        raise ValueError(
            f"the network returns {type(returned).__name__}, no class scores; wrap it in a module that returns a tensor (B, classes)"
        )
    if returned.dim() != 2 or returned.shape[1] < 2 or not returned.is_floating_point():
        raise ValueError(
            f"the network returns a tensor of shape {tuple(returned.shape)} and type {returned.dtype}, no class scores (B, classes)"
        )
    if bool((returned >= 0).all()) and bool(((returned.sum(dim=1) - 1).abs() < PROBABILITY_SUM).all()):
        raise ValueError("the network returns probabilities, no class scores; leave out the softmax at its end")
    return returned


def predict(network: Network, images: Tensor, layers: Sequence[str] = ()) -> tuple[dict[str, Tensor], Tensor]:
    """Outputs of layers, and class probabilities (B, classes). Raises ValueError, and NotFiniteError naming the layer."""
    outputs, returned = observe(network.model, images, layers)
    for name, output in outputs.items():
        require_finite(output, "activations", f"layer {name}")
    scores = require_finite(class_scores(returned), "class scores")
    return outputs, scores.softmax(dim=1)


def labels_of(labels: int | Sequence[int] | Tensor | None, probabilities: Tensor) -> Tensor:
    """int64 (B,): the classes asked for, or the most probable of each image. Raises ValueError for others than there are."""
    count, classes = probabilities.shape
    if labels is None:
        return probabilities.argmax(dim=1)
    return numbers(labels, count, classes, "labels", probabilities.device)


def numbers(
    values: int | Sequence[int] | Tensor, count: int, limit: int, name: str, device: torch.device, one: str = "image"
) -> Tensor:
    """int64 (count,): one number for all, or one each, from 0 to limit - 1."""
    tensor = torch.as_tensor(values, device=device)
    if tensor.is_floating_point() or tensor.dim() > 1 or (tensor.dim() == 1 and len(tensor) not in (1, count)):
        raise ValueError(f"{name}: give one whole number, or one per {one} ({count})")
    tensor = tensor.long().expand(count).contiguous() if tensor.dim() == 0 or len(tensor) == 1 else tensor.long()
    if int(tensor.min()) < 0 or int(tensor.max()) >= limit:
        raise ValueError(f"{name}: from 0 to {limit - 1}, not {int(tensor.min())} to {int(tensor.max())}")
    return tensor


def size_at_least(value: int, least: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}: give a whole number of at least {least}, not {value!r}")
    return value
