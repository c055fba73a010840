"""Class probabilities of images, averaged over views, and their cross-entropy."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from zfrepro.core import crops, nets
from zfrepro.core.finite import require_finite

BATCH = 128  # images; on a CPU faster than more


@torch.inference_mode()
def probabilities(
    net: nn.Sequential,
    images: np.ndarray,
    subtract: crops.MeanSubtraction,
    input_size: int,
    views: list[crops.View],
    batch: int = BATCH,
    dtype: torch.dtype = torch.float32,
) -> np.ndarray:
    """float32 (N, C): softmax outputs of uint8 (N, S, S, 3) images, averaged over the views.

    Raises NotFiniteError.
    """
    net.eval()
    total: np.ndarray | None = None
    for view in views:
        for where, inputs in crops.fixed_view_batches(images, subtract, view, input_size, batch):
            with torch.autocast(inputs.device.type, dtype, enabled=dtype != torch.float32):
                scores = nets.scores(net, inputs)
            softmax = scores.float().softmax(1).cpu().numpy()
            if total is None:
                total = np.zeros((len(images), softmax.shape[1]), dtype=np.float32)
            total[where] += softmax / len(views)
    if total is None:
        return np.zeros((0, 0), dtype=np.float32)
    return require_finite(total, "class probabilities")


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log probability of the labels, in nats. Raises NotFiniteError."""
    of_label = require_finite(probabilities, "class probabilities")[np.arange(len(labels)), labels]
    return float(-np.log(of_label.astype(np.float64) + 1e-12).mean())
