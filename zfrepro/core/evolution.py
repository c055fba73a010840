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
    for place in range(len(children) - 1):
        one, after = children[place : place + 2]
        if isinstance(one[1], nn.ReLU) and isinstance(after[1], nn.MaxPool2d):
            children[place : place + 2] = after, one
    last = max(place for place, (name, _) in enumerate(children) if name in names)
    return nn.Sequential(OrderedDict(children[: last + 1]))


@torch.no_grad()
def survey(
    net: nn.Sequential, batches: Iterable[tuple[slice, Tensor]], wanted: dict[str, int], every: int
) -> dict[int, tuple[TopActivations, Tensor]]:
    """One pass over (where, inputs). Layer -> the strongest activation of its maps, and every map's rectified maximum in
    images 0, every, 2 every, ...: (images, maps). Raises NotFiniteError naming the layer."""
    found: dict[int, TopActivations] = {}
    maxima: dict[int, list[Tensor]] = {layer: [] for layer in wanted.values()}
    for where, inputs in batches:
        for layer, maps in layer_outputs(net, inputs, wanted).items():
            require_finite(maps, "activations", f"layer {layer}")
            if layer not in found:
                found[layer] = TopActivations(maps.shape[1], 1, maps.device, maps.dtype)
            found[layer].update(maps, where.start)
            maxima[layer].append(maps[-where.start % every :: every].flatten(2).amax(2).relu())
    return {layer: (strongest, torch.cat(maxima[layer])) for layer, strongest in found.items()}


def filter_similarity(filters: Tensor, final: Tensor) -> float:
    """Mean cosine of the angle between each filter (maps, ...) and its final form. Raises NotFiniteError."""
    found = torch.cosine_similarity(filters.flatten(1).double(), final.flatten(1).double())
    return float(require_finite(found, "similarities of filters").mean())


def correlations(rows: np.ndarray, final: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each row (M, ...) with its final form: float64 (M,); 0 where either is uniform.

    Raises NotFiniteError: a length that is NaN is not above 0 either, and the correlation would be 0.
    """
    one, other = (_centred_rows(values) for values in (rows, final))
    size = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    found: np.ndarray = np.divide((one * other).sum(axis=1), size, out=np.zeros(len(one)), where=size > 0)
    return found


def _centred_rows(values: np.ndarray) -> np.ndarray:
    """float64 (M, n) of (M, ...): every row less its mean."""
    rows = require_finite(values, "values to correlate").reshape(len(values), -1).astype(np.float64)
    centred: np.ndarray = rows - rows.mean(axis=1, keepdims=True)
    return centred


def settled_from(times: Sequence[float], similarities: Sequence[float], end: float, least: float) -> float:
    """The time from which on the similarity stays at `least` or above, straight lines drawn between the times known.

    At `end` the similarity is 1; the first time known is the earliest answer. Raises NotFiniteError: NaN is not below `least`.
    """
    require_finite(np.asarray(similarities), "similarities")
    points = [*zip(times, similarities, strict=True), (end, 1.0)]
    below = [place for place, (_, similarity) in enumerate(points) if similarity < least]
    if not below:
        return times[0]
    (start, low), (stop, high) = points[below[-1] : below[-1] + 2]
    return start + (least - low) / (high - low) * (stop - start)
