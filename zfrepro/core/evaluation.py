"""Class probabilities of images, averaged over views, and their cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import nn

from zfrepro.core import crops, nets
from zfrepro.core.finite import require_finite

BATCH = 128  # images; on a CPU faster than more


def probabilities(
    net: nn.Sequential,
    images: np.ndarray,
    subtract: crops.MeanSubtraction,
    input_size: int,
    views: Sequence[crops.View],
    batch: int = BATCH,
    dtype: torch.dtype = torch.float32,
) -> np.ndarray:
    """float32 (N, C): softmax outputs of uint8 (N, S, S, 3) images, averaged over the views.

    Raises NotFiniteError.
    """
    return averaged_probabilities(net, images, subtract, input_size, [views], batch, dtype)[0]


@torch.inference_mode()
def averaged_probabilities(
    net: nn.Sequential,
    images: np.ndarray,
    subtract: crops.MeanSubtraction,
    input_size: int,
    view_sets: Sequence[Sequence[crops.View]],
    batch: int = BATCH,
    dtype: torch.dtype = torch.float32,
) -> list[np.ndarray]:
    """The same for each of several sets of views; a view that is in two of them is computed once. Raises NotFiniteError."""
    net.eval()
    totals: dict[int, np.ndarray] = {}  # by number of the set
    for view in dict.fromkeys(chain(*sorted(view_sets, key=len, reverse=True))):
        for batch_slice, inputs in crops.fixed_view_batches(images, subtract, view, input_size, batch):
            with torch.autocast(inputs.device.type, dtype, enabled=dtype != torch.float32):
                scores = nets.scores(net, inputs)
            softmax = scores.float().softmax(1).cpu().numpy()
            for i in (i for i, views in enumerate(view_sets) if view in views):
                if i not in totals:
                    totals[i] = np.zeros((len(images), softmax.shape[1]), dtype=np.float32)
                totals[i][batch_slice] += softmax / len(view_sets[i])
    empty = np.zeros((0, 0), dtype=np.float32)
    return [require_finite(totals.get(i, empty), "class probabilities") for i in range(len(view_sets))]


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log probability of the labels, in nats. Raises NotFiniteError."""
    of_label = require_finite(probabilities, "class probabilities")[np.arange(len(labels)), labels]
    return float(-np.log(of_label.astype(np.float64) + 1e-12).mean())
