"""Cover the same part in several images and compare how the features of any network change (paper section 4.3, Table 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zfrepro.analysis.checks import Network, open_network, size_at_least
from zfrepro.analysis.occlusion import Fill, _filled
from zfrepro.core.correspondence import compare, sign_changes
from zfrepro.core.finite import require_finite
from zfrepro.core.layers import observe


@dataclass(frozen=True)
class SignComparison:
    """M masks; every image with every image, float64, shares of all units of a layer; on the CPU."""

    different: (
        Tensor  # (M, N, N): the signs of change differ, the paper's normalised Hamming distance; the diagonal is 0
    )
    unchanged: Tensor  # (M, N, N): the unit changes in neither image
    opposite: Tensor  # (M, N, N): it grows in one and falls in the other
    by_chance: Tensor  # (M, N, N): `opposite` expected if the signs of units that change in both were unrelated
    mean: Tensor  # (M,): `different` over all pairs of two images, as in Table 1
    spread: Tensor  # (M,): its standard deviation over the pairs; NaN of a single pair


def correspondence(
    model: nn.Module | Network,
    images: Tensor,
    corners: Tensor,
    layers: Sequence[str],
    *,
    square: int = 32,
    fill: Fill = 0.0,
) -> dict[str, SignComparison]:
    """Whether covering the same part changes the features of different images alike: a small `mean` means that it does.

    model    any network in evaluation mode, or what `open_network` has made of one; it is left as it was
    images   (N, C, H, W), the network's inputs; two or more
    corners  int64 (M, N, 2): top and left of the square in every image, for each kind of mask (the left eye, the nose, a random place)
    layers   modules by their names in `model.named_modules()`; the paper: layers 5 and 7
    square   side in pixels
    fill     what the square shows, in terms of the network's inputs: a number, one per channel, or an image (C, H, W)

    A unit's change is its activation less that under the mask; compared are the signs -1, 0 and 1. All images pass the network
    together, so that what a mask does not reach is the same to the last bit.
    Raises ValueError for bad input and NotFiniteError where features are not finite. Source: paper section 4.3 (arXiv).
    """
    network = open_network(model)
    images = network.prepare(images)
    places = _check(images, corners, layers, size_at_least(square, 1, "square"))
    if not network.keeps_images_apart:
        network.observe_independent(images[:1], layers)
    colour = _filled(fill, images)
    covered = (_covered(images, mask, square, colour) for mask in places)
    changes = sign_changes(lambda inputs: _features(network, inputs, layers), images, covered)
    return {layer: _comparison(changes[layer][1:]) for layer in layers}


def _check(images: Tensor, corners: Tensor, layers: Sequence[str], square: int) -> list[list[list[int]]]:
    if len(images) < 2:
        raise ValueError("images: give two or more, they are compared with each other")
    if isinstance(layers, str) or not len(layers):
        raise ValueError('layers: give at least one name in a list, ["features.3"]')
    places = torch.as_tensor(corners)
    if places.is_floating_point() or places.dim() != 3 or places.shape[1:] != (len(images), 2) or not len(places):
        raise ValueError(f"corners: give whole numbers of shape (masks, {len(images)}, 2), not {tuple(places.shape)}")
    height, width = images.shape[2:]
    if square > min(height, width):
        raise ValueError(f"square: {square} pixels, but the images have {height} x {width}; choose a smaller square")
    if bool((places < 0).any()) or bool((places > places.new_tensor([height - square, width - square])).any()):
        raise ValueError(f"corners: a square of {square} pixels reaches beyond an image of {height} x {width}")
    rows: list[list[list[int]]] = places.tolist()
    return rows


def _covered(images: Tensor, places: list[list[int]], square: int, colour: Tensor) -> Tensor:
    copies = images.clone()
    for image, (top, left) in zip(copies, places, strict=True):
        window = (slice(None), slice(top, top + square), slice(left, left + square))
        image[window] = colour[window]
    return copies


def _features(network: Network, inputs: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    outputs, _ = observe(network.model, inputs, layers)
    return {layer: require_finite(outputs[layer], "activations", f"layer {layer}").flatten(1) for layer in layers}


def _comparison(changes: Tensor) -> SignComparison:
    """Of signs (M, N, units)."""
    masks = [compare(change) for change in changes]
    names = ("different", "unchanged", "opposite", "by_chance")
    shares = {name: torch.stack([torch.from_numpy(getattr(mask, name)) for mask in masks]) for name in names}
    first, second = torch.triu_indices(changes.shape[1], changes.shape[1], 1)
    pairs = shares["different"][:, first, second]
    spread = pairs.std(dim=1) if pairs.shape[1] > 1 else pairs.new_full((len(pairs),), torch.nan)
    return SignComparison(**shares, mean=pairs.mean(dim=1), spread=spread)
