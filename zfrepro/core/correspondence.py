"""Cover the same part in several images and count the units whose change has another sign from image to image.

Paper, "Correspondence Analysis" (arXiv only): eps = x - x~ are a layer's features less those of the covered image, and
Delta sums the Hamming distances of sign(eps_i) and sign(eps_j) over pairs of images. Table 1 prints means over the pairs
of the share of features that differ; a sign is -1, 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from zfrepro.core import student
from zfrepro.core.finite import require_finite
from zfrepro.core.images import Box
from zfrepro.core.nets import layer_outputs


@dataclass(frozen=True)
class Comparison:
    """Every image with every image, symmetric (..., N, N), float64: shares of all units."""

    different: np.ndarray  # sign(eps_i) != sign(eps_j); the diagonal is 0
    unchanged: np.ndarray  # eps_i = eps_j = 0; the diagonal is what one image's mask leaves alone
    opposite: np.ndarray  # one sign is 1, the other -1
    by_chance: np.ndarray  # `opposite` expected if the signs of units changed in both were unrelated

    @property
    def changed_in_both(self) -> np.ndarray:
        share: np.ndarray = 1 - self.unchanged - (self.different - self.opposite)
        return share

    def select(self, masks: slice, images: int) -> Comparison:
        """Some of the masks, (masks, N, N) here, and the first images."""
        selection = (masks, slice(images), slice(images))
        return Comparison(*(getattr(self, name)[selection] for name in ARRAYS))

    @classmethod
    def stack(cls, masks: list[Comparison]) -> Comparison:
        return cls(*(np.stack([getattr(comparison, name) for comparison in masks]) for name in ARRAYS))


Layer = TypeVar("Layer", int, str)
ARRAYS = tuple(field.name for field in fields(Comparison))


@torch.no_grad()
def features(net: nn.Sequential, images: Tensor, children: dict[int, str]) -> dict[int, Tensor]:
    """{5: "pool5"} -> {5: (B, units)}. Raises ValueError for a child that the network does not have, and NotFiniteError naming
    the layer: a difference with NaN is neither above nor below 0, and the unit would count as unchanged."""
    missing = set(children.values()) - {name for name, _ in net.named_children()}
    if missing:
        raise ValueError(f"the network has no {', '.join(sorted(missing))}")
    outputs = layer_outputs(net, images, {name: layer for layer, name in children.items()})
    return {layer: require_finite(maps, "activations", f"layer {layer}").flatten(1) for layer, maps in outputs.items()}


def signs(clean: Tensor, masked: Tensor) -> Tensor:
    """int8, -1, 0 or 1: the sign of clean - masked.

    0 means the very same bits, so both must come from passes of one shape with an image at the same position in them:
    elsewhere a unit that the mask does not reach may differ by rounding. On CUDA passes of one shape agree as long as
    torch.backends.cudnn.benchmark is off, as it is by default: with it cuDNN may choose another algorithm for the second.
    """
    return (clean > masked).to(torch.int8) - (clean < masked).to(torch.int8)


def sign_changes(
    observe: Callable[[Tensor], Mapping[Layer, Tensor]], clean: Tensor, covered: Iterable[Tensor]
) -> dict[Layer, Tensor]:
    """Layer -> int8 (1 + masks, B, units): first 1 where a unit is active uncovered, then the signs of change under every mask.

    `clean` is inputs (B, ...), `covered` the same images under one mask after the other; `observe` gives features (B, units).
    """
    original = observe(clean)
    changes = {layer: [signs(values, torch.zeros_like(values))] for layer, values in original.items()}
    for inputs in covered:
        for layer, values in observe(inputs).items():
            changes[layer].append(signs(original[layer], values))
    return {layer: torch.stack(parts) for layer, parts in changes.items()}


def compare(changes: Tensor) -> Comparison:
    """Of signs (N, D): sums of products of 0s and 1s, exact in float32 up to 16 million units."""
    plus, minus, zero = ((changes == sign).float() for sign in (1, -1, 0))
    against, unchanged = plus @ minus.T, zero @ zero.T
    same, opposite = plus @ plus.T + minus @ minus.T, against + against.T
    by_chance = _by_chance(plus @ (1 - zero).T, same + opposite)
    counts = (changes.shape[1] - same - unchanged, unchanged, opposite, by_chance)
    return Comparison(*((count.double() / changes.shape[1]).cpu().numpy() for count in counts))


def _by_chance(plus: Tensor, changed_in_both: Tensor) -> Tensor:
    """(N, N) numbers of units: of those changed in both i and j, the ones of sign 1 in i, and all."""
    share = plus.double() / changed_in_both.clamp(min=1)
    return changed_in_both * (share * (1 - share.T) + (1 - share) * share.T)


def cover(crops: np.ndarray, corners: np.ndarray, square: int, grey: int) -> np.ndarray:
    """Copies of uint8 (B, s, s, 3), a grey square at each one's corner: (B, 2) top, left."""
    copies = crops.copy()
    for copy, (top, left) in zip(copies, corners.tolist(), strict=True):
        copy[top : top + square, left : left + square] = grey
    return copies


def centre_on(box: Box, square: int, size: int) -> tuple[int, int]:
    """Top and left of the square in the middle of a box, moved inside an image of `size` pixels."""
    x0, y0, x1, y1 = box
    top, left = (round((low + high - square) / 2) for low, high in ((y0, y1), (x0, x1)))
    return min(max(top, 0), size - square), min(max(left, 0), size - square)


def free_positions(region: Box, avoided: list[Box], square: int, size: int) -> np.ndarray:
    """int64 (K, 2): every top, left at which the square lies in the image and in `region` and touches no avoided box."""
    first = np.arange(size - square + 1)
    x0, y0, x1, y1 = region
    rows, columns = (first >= y0) & (first + square <= y1), (first >= x0) & (first + square <= x1)
    free = rows[:, None] & columns[None, :]
    for x0, y0, x1, y1 in avoided:
        rows, columns = (first < y1) & (first + square > y0), (first < x1) & (first + square > x0)
        free &= ~(rows[:, None] & columns[None, :])
    return np.argwhere(free)


def squares(
    parts: list[Box], object_box: Box | None, square: int, size: int, draws: int, generator: np.random.Generator
) -> np.ndarray | None:
    """int64 (parts + draws, 2), top and left: the square over each part, then at random positions that touch no part.

    Those lie in the box of the object if it is known and large enough, else anywhere. None where no position is free.
    """
    regions = [(0, 0, size, size)] if object_box is None else [object_box, (0, 0, size, size)]
    position_lists = (free_positions(region, parts, square, size) for region in regions)
    free = next((positions for positions in position_lists if len(positions)), None)
    if free is None:
        return None
    return np.concatenate(
        [[centre_on(box, square, size) for box in parts], free[generator.integers(len(free), size=draws)]]
    )


def pair_values(pairs: np.ndarray) -> np.ndarray:
    """(..., N, N), symmetric -> (..., N (N - 1) / 2): each pair of two images once."""
    rows, columns = np.triu_indices(pairs.shape[-1], 1)
    return pairs[..., rows, columns]


def resample_means(pairs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(R,): means of (N, N) over the pairs of different images, image i taken counts[r, i] times; counts (R, N).

    Resamples that hold one image only are left out.
    """
    number = counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1)
    total = ((counts @ (pairs * (1 - np.eye(len(pairs))))) * counts).sum(axis=1)
    means: np.ndarray = total[number > 0] / number[number > 0]
    return means


def estimate(pairs: Comparison, counts: np.ndarray) -> dict[str, float | None]:
    """Numbers of one kind of mask, (draws, N, N), with 95 % intervals over resampled images: counts (R, N).

    mean, low, high   share of units whose sign of change differs, over the pairs
    spread            standard deviation over the pairs of one draw; None of a single pair
    changed           share of units that the mask changes in an image
    unchanged         share of units unchanged in both images
    opposite          of the units that change in both images, the share that changes oppositely; None where there is none
    by_chance         the same, expected of unrelated changes
    """
    different, changed_in_both, opposite, chance = (
        values.mean(axis=0) for values in (pairs.different, pairs.changed_in_both, pairs.opposite, pairs.by_chance)
    )
    spread = pair_values(pairs.different).std(axis=1, ddof=1).mean() if len(different) > 2 else None
    mean = float(pair_values(different).mean())
    share = _share(pair_values(opposite).sum(), pair_values(changed_in_both).sum())
    drawn = resample_means(opposite, counts), resample_means(changed_in_both, counts)
    numbers = {
        "mean": mean,
        **_interval("", mean, len(different), resample_means(different, counts), least=0.0),
        "spread": spread,
        "changed": 1 - np.diagonal(pairs.unchanged, axis1=1, axis2=2).mean(),
        "unchanged": pair_values(pairs.unchanged).mean(),
        "opposite": share,
        "by_chance": _share(pair_values(chance).sum(), pair_values(changed_in_both).sum()),
        **_interval("opposite_", share, len(different), *drawn, least=0.0),
    }
    return {name: None if value is None else float(value) for name, value in numbers.items()}


def below_random(parts: np.ndarray, random: np.ndarray, counts: np.ndarray) -> dict[str, float | None]:
    """1 - (mean of the parts' sign changes) / (random's), with its 95 % interval; (parts, N, N), (N, N) and (R, N).

    Both come from the same resampled images, so what an image does to both cancels. None where nothing changes.
    """
    difference = random - parts.mean(axis=0)
    value = _share(pair_values(difference).sum(), pair_values(random).sum())
    ratio = resample_means(difference, counts), resample_means(random, counts)
    return {"value": value, **_interval("", value, len(random), *ratio)}


def _share(part: float, total: float) -> float | None:
    return float(part / total) if total > 0 else None


def _interval(
    prefix: str, value: float | None, count: int, values: np.ndarray, over: np.ndarray | None = None, least: float = -np.inf
) -> dict[str, float | None]:  # fmt: skip
    """Between `least` and 1: Student's t with the standard error of what a bootstrap over `count` images draws.

    None for fewer than three images, and where the draws do not vary.
    """
    if over is not None:
        values = values[over > 0] / over[over > 0]
    component = student.of_resamples(values, count)
    if value is None or component is None:
        return {f"{prefix}low": None, f"{prefix}high": None}
    half = student.half_width([component])
    return {f"{prefix}low": max(least, value - half), f"{prefix}high": min(1.0, value + half)}
