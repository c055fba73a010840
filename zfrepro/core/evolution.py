"""How far a network in training is from the one it becomes: its filters, what its maps respond to, its projections (Fig 4).

Each measure compares an earlier network with the final one, map by map; 1 means settled.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from zfrepro.core.finite import require_finite
from zfrepro.core.nets import layer_outputs
from zfrepro.core.top_activations import TopActivations


def up_to_convolutions(net: nn.Sequential, names: Collection[str]) -> nn.Sequential:
    """The children up to the last convolution named, sharing its weights; a ReLU that a max pool follows stands behind it.

    The two commute, and the pool leaves a quarter of the values. What the convolutions named give is not rectified yet.
    """
    children = list(net.named_children())
    for i in range(len(children) - 1):
        child, after = children[i : i + 2]
        if isinstance(child[1], nn.ReLU) and isinstance(after[1], nn.MaxPool2d):
            children[i : i + 2] = after, child
    last = max(i for i, (name, _) in enumerate(children) if name in names)
    return nn.Sequential(OrderedDict(children[: last + 1]))


@torch.no_grad()
def survey(
    net: nn.Sequential, batches: Iterable[tuple[slice, Tensor]], layers: dict[str, int], every: int
) -> dict[int, tuple[TopActivations, Tensor]]:
    """One pass over (where, inputs). Layer -> the strongest activation of its maps, and every map's rectified maximum in
    images 0, every, 2 every, ...: (images, maps). Raises NotFiniteError naming the layer."""
    strongest_by_layer: dict[int, TopActivations] = {}
    maxima: dict[int, list[Tensor]] = {layer: [] for layer in layers.values()}
    for indices, inputs in batches:
        for layer, maps in layer_outputs(net, inputs, layers).items():
            require_finite(maps, "activations", f"layer {layer}")
            if layer not in strongest_by_layer:
                strongest_by_layer[layer] = TopActivations(maps.shape[1], 1, maps.device, maps.dtype)
            strongest_by_layer[layer].update(maps, indices.start)
            maxima[layer].append(maps[-indices.start % every :: every].flatten(2).amax(2).relu())
    return {layer: (strongest, torch.cat(maxima[layer])) for layer, strongest in strongest_by_layer.items()}


def filter_similarity(filters: Tensor, final: Tensor) -> float:
    """Mean cosine of the angle between each filter (maps, ...) and its final form. Raises NotFiniteError."""
    similarities = torch.cosine_similarity(filters.flatten(1).double(), final.flatten(1).double())
    return float(require_finite(similarities, "similarities of filters").mean())


def correlations(rows: np.ndarray, final: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each row (M, ...) with its final form: float64 (M,); 0 where either is uniform.

    Raises NotFiniteError: a length that is NaN is not above 0 either, and the correlation would be 0.
    """
    centred, centred_final = (_centred_rows(values) for values in (rows, final))
    size = np.linalg.norm(centred, axis=1) * np.linalg.norm(centred_final, axis=1)
    correlation: np.ndarray = np.divide(
        (centred * centred_final).sum(axis=1), size, out=np.zeros(len(centred)), where=size > 0
    )
    return correlation


def _centred_rows(values: np.ndarray) -> np.ndarray:
    """float64 (M, n) of (M, ...): every row less its mean."""
    rows = require_finite(values, "values to correlate").reshape(len(values), -1).astype(np.float64)
    centred: np.ndarray = rows - rows.mean(axis=1, keepdims=True)
    return centred


def find_settling_time(times: Sequence[float], similarities: Sequence[float], end: float, threshold: float) -> float:
    """The time from which on the similarity stays at `threshold` or above, with straight lines between the given times.

    At `end` the similarity is 1; the first given time is the earliest answer. Raises NotFiniteError: NaN is not below `threshold`.
    """
    require_finite(np.asarray(similarities), "similarities")
    points = [*zip(times, similarities, strict=True), (end, 1.0)]
    below = [i for i, (_, similarity) in enumerate(points) if similarity < threshold]
    if not below:
        return times[0]
    (start, low), (stop, high) = points[below[-1] : below[-1] + 2]
    return start + (threshold - low) / (high - low) * (stop - start)
