"""Class probabilities of images, and how often the most probable classes are wrong: top-1 and top-5 error."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from zfrepro.core import crops, nets

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

    Raises FloatingPointError where one is not finite: comparisons with NaN are false, and would count as right answers.
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
    return _finite(total)


def _finite(probability: np.ndarray) -> np.ndarray:
    """The same (N, C). Raises FloatingPointError naming how many images have a value that is not finite."""
    bad = int((~np.isfinite(probability).all(axis=1)).sum())
    if bad:
        raise FloatingPointError(f"the class probabilities of {bad} of {len(probability)} images are not finite")
    return probability


def top_error(probability: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Percent of images whose label is not among the k most probable; equal scores rank the lower class first.

    Raises FloatingPointError for a probability that is not finite.
    """
    probability = _finite(probability)
    of_label = probability[np.arange(len(labels)), labels][:, None]
    classes = np.arange(probability.shape[1])
    ahead = (probability > of_label) | ((probability == of_label) & (classes < labels[:, None]))
    return 100 * float(np.mean(ahead.sum(1) >= k))


def cross_entropy(probability: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log probability of the labels, in nats. Raises FloatingPointError for one that is not finite."""
    return float(-np.log(_finite(probability)[np.arange(len(labels)), labels].astype(np.float64) + 1e-12).mean())
