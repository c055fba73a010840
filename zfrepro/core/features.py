"""A network's layers as features of images, all of them in one forward pass. Paper sections 5.2 and 5.3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from zfrepro.core import crops, loading, nets
from zfrepro.core.finite import require_finite

LAYERS = (1, 2, 3, 4, 5, 6, 7)  # those below the softmax


def children(net: nn.Sequential, layers: Sequence[int]) -> dict[str, int]:
    """Name of the child whose outputs are a layer's features (after pooling and normalisation) -> paper layer; those of
    `layers` that the network has."""
    names = [name for name, _ in net.named_children()]
    return {
        nets.last_child_of(net, layer): layer for layer in layers if any(name.endswith(str(layer)) for name in names)
    }


def sizes(net: nn.Sequential, input_size: int, layers: Sequence[int]) -> dict[int, int]:
    """Layer -> features per image."""
    device = next(net.parameters()).device
    image = torch.zeros(1, 3, input_size, input_size, device=device)
    with torch.inference_mode():
        outputs = nets.layer_outputs(net.eval(), image, children(net, layers))
    return {layer: maps.numel() for layer, maps in outputs.items()}


def batches(
    net: nn.Sequential,
    images: loading.Images | np.ndarray,
    subtract: crops.MeanSubtraction,
    input_size: int,
    layers: Sequence[int],
    batch: int = 128,
) -> Iterator[tuple[slice, dict[int, np.ndarray]]]:
    """(where, layer -> float32 (B, D)) for the centre view of uint8 (N, S, S, 3), in order; maps are flattened C, H, W.

    Raises NotFiniteError naming the layer.
    """
    images, names = loading.as_images(images), children(net.eval(), layers)
    view = crops.centre_view(images.size, input_size)
    for indices, inputs in loading.fixed_view_batches(images, subtract, view, input_size, batch):
        with torch.inference_mode():
            outputs = nets.layer_outputs(net, inputs, names)
            for layer, maps in outputs.items():
                require_finite(maps, "activations", f"layer {layer}")
        yield indices, {layer: maps.flatten(1).float().cpu().numpy() for layer, maps in outputs.items()}


def mean_at(mean: np.ndarray, size: int) -> np.ndarray:
    """The source's mean image (S, S, 3) at the target's stored size: cut, or repeated at the border."""
    extra = size - mean.shape[0]
    if extra > 0:
        return np.pad(mean, ((extra // 2, extra - extra // 2),) * 2 + ((0, 0),), mode="edge")
    start = -extra // 2
    return mean[start : start + size, start : start + size]
