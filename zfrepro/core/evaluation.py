"""Class probabilities of images, averaged over views, and their cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from zfrepro.core import crops, loading, nets
from zfrepro.core.finite import require_finite

BATCH = 128  # images; on a CPU faster than more


def probabilities(
    net: nn.Sequential,
    images: loading.Images | np.ndarray,
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
    images: loading.Images | np.ndarray,
    subtract: crops.MeanSubtraction,
    input_size: int,
    view_sets: Sequence[Sequence[crops.View]],
    batch: int = BATCH,
    dtype: torch.dtype = torch.float32,
) -> list[np.ndarray]:
    """The same for each of several sets of views; a view that is in two of them is computed once, and an image is read once.

    Raises NotFiniteError.
    """
    net.eval()
    images, device = loading.as_images(images), subtract.device
    views = [
        (view, loading.view_on(device, view))
        for view in dict.fromkeys(chain(*sorted(view_sets, key=len, reverse=True)))
    ]
    totals: dict[int, Tensor] = {}  # by number of the set
    for batch_slice, pixels in loading.read_ahead(images, np.arange(len(images)), batch, device):
        for view, position in views:
            inputs = subtract.from_stored(pixels, position.expand(len(pixels), 3), input_size)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                scores = nets.scores(net, inputs)
            softmax = scores.float().softmax(1)
            for i in (i for i, members in enumerate(view_sets) if view in members):
                if i not in totals:
                    totals[i] = softmax.new_zeros((len(images), softmax.shape[1]))
                totals[i][batch_slice] += softmax / len(view_sets[i])
    empty = np.zeros((0, 0), dtype=np.float32)
    averages = [totals[i].cpu().numpy() if i in totals else empty for i in range(len(view_sets))]
    return [require_finite(average, "class probabilities") for average in averages]


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log probability of the labels, in nats. Raises NotFiniteError."""
    of_label = require_finite(probabilities, "class probabilities")[np.arange(len(labels)), labels]
    return float(-np.log(of_label.astype(np.float64) + 1e-12).mean())
