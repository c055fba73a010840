"""Grad-CAM: where maps speak for a class (Selvaraju et al. 2017, section 3); not in the paper, for comparison with occlusion maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zfrepro.analysis.checks import Network, class_scores, labels_of, open_network
from zfrepro.core.autograd_deconvnet import without_weight_gradients
from zfrepro.core.finite import require_finite
from zfrepro.core.layers import forward, hooked


def grad_cam(
    model: nn.Module | Network, images: Tensor, layer: str, labels: int | Sequence[int] | Tensor | None = None
) -> Tensor:
    """(B, h, w): the layer's maps weighted by the mean gradient of a class score, summed, negative values set to 0.

    model   any network in evaluation mode that returns class scores (B, classes), or what `open_network` has made of one
    images  (B, C, H, W), the network's inputs
    layer   a module of maps (B, C, h, w), by its name in `model.named_modules()`; usually the last one
    labels  the class of each image (or one for all); None: the most probable

    Raises ValueError for bad input, and NotFiniteError where scores or gradients are not finite.
    """
    network = open_network(model)
    images = network.prepare(images)
    found = network.find(layer, images)
    if len(found.shape) != 3:
        raise ValueError(f"layer {layer}: its output has the shape {found.shape}; choose a layer of maps (B, C, h, w)")
    kept: list[Tensor] = []
    calls = 0

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
        """From here on the graph is built; the next module, which may work in place, gets a copy."""
        nonlocal calls
        calls += 1
        if calls != found.layer.call:
            return None
        kept.append(output.detach().clone().requires_grad_())
        return kept[0].clone()

    with (
        hooked([(found.layer.module, hook)]),
        torch.inference_mode(False),
        torch.enable_grad(),
        without_weight_gradients(network.model),
    ):
        scores = require_finite(class_scores(forward(network.model, images)), "class scores")
        chosen = labels_of(labels, scores.detach())
        score = scores.gather(1, chosen[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, kept[0])
    weights = require_finite(gradient, "gradients", f"layer {layer}").mean(dim=(2, 3), keepdim=True)
    return (weights * kept[0].detach()).sum(dim=1).clamp(min=0)
