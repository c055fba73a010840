"""Inspect one photograph with a trained network: top classes, most active maps of each layer, occlusion maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zfrepro.look.photo_network import PhotoNetwork, report_weights_file

if TYPE_CHECKING:
    import torch

    from zfrepro.core.top_activations import TopActivations

GREY = 124  # of the square; measured in the paper's Fig 7
SQUARE, STRIDE, PAPER_SIZE = 50, 6, 224  # pixels, Fig 7
VALUES_AT_ONCE = 2**26  # float32 numbers in the largest layer of one forward pass: 256 MiB


@dataclass(frozen=True)
class Feature:
    """A map's strongest activation in one photograph."""

    number: int  # of the map
    activation: float
    projection: np.ndarray  # float (f, f, 3), 0 is grey
    patch: np.ndarray  # uint8 (f, f, 3), the same pixels of the photograph


@dataclass(frozen=True)
class OcclusionMaps:
    """Predictions with a grey square at P x P positions, top left corners `stride` pixels apart."""

    square: int
    stride: int
    probability: np.ndarray  # (P, P) of the class that is most probable when nothing is covered
    labels: np.ndarray  # int64 (P, P), most probable class
    number: int  # of the map with the largest sum when nothing is covered
    activation: np.ndarray  # (P, P), that map summed over space
    uncovered: float  # the same sum when nothing is covered


@dataclass(frozen=True)
class Inspection:
    """The results for one photograph."""

    top: list[tuple[int, float]]  # class, probability; falling
    layers: dict[int, list[Feature]]  # strongest first; maps that are not active are left out
    occlusion: OcclusionMaps | None


def inspect(
    network: PhotoNetwork,
    crop: np.ndarray,
    maps: int = 4,
    square: int | None = None,
    stride: int | None = None,
    occlude: bool = True,
) -> Inspection:
    """crop: uint8 (s, s, 3); maps: how many per layer; square, stride: pixels, by default in proportion to the paper's.

    Raises UserError where the network's outputs are not finite, or where it has a layer that cannot be handled.
    """
    from zfrepro.core.occlusion import predict

    inputs = network.inputs(crop[None])
    with report_weights_file(network.weights):
        uncovered = predict(network.net, inputs, network.watched)
    probabilities = uncovered.probabilities[0].cpu().numpy()
    top = np.argsort(-probabilities, kind="stable")[:5].tolist()
    occlusion = None
    with report_weights_file(network.weights):
        layers = _features(network, crop, inputs, maps)
        if occlude:
            occlusion = _occlusion_maps(
                network, inputs[0], uncovered.activations[0], top[0], *proportional(network.size, square, stride)
            )
    return Inspection([(label, float(probabilities[label])) for label in top], layers, occlusion)


def proportional(size: int, square: int | None, stride: int | None) -> tuple[int, int]:
    """The paper's square and stride at an input of `size` pixels, where they are not given."""
    return square or max(1, round(SQUARE * size / PAPER_SIZE)), stride or max(1, round(STRIDE * size / PAPER_SIZE))


def _features(network: PhotoNetwork, crop: np.ndarray, inputs: torch.Tensor, maps: int) -> dict[int, list[Feature]]:
    from zfrepro.core.top_activations import find_top_activations

    layers = {name: layer for layer, name in network.layers.items()}
    top = find_top_activations(network.net, [(slice(0, 1), inputs)], layers, top=1)
    return {layer: _strongest(network, crop, inputs, name, top[layer], maps) for layer, name in network.layers.items()}


def _strongest(
    network: PhotoNetwork, crop: np.ndarray, inputs: torch.Tensor, name: str, top: TopActivations, maps: int
) -> list[Feature]:
    from zfrepro.core.tiles import patch_tiles, projection_tiles

    values = top.values[:, 0]
    chosen = values.argsort(descending=True, stable=True)[:maps]
    chosen = chosen[values[chosen] > 0]
    if not len(chosen):
        return []
    positions, count = top.positions[chosen, 0], len(chosen)
    projections = projection_tiles(network.net, name, inputs.repeat(count, 1, 1, 1), chosen, positions)
    patches = patch_tiles(network.net, name, np.broadcast_to(crop, (count, *crop.shape)), positions.cpu())
    rows = zip(chosen.tolist(), values[chosen].tolist(), projections, patches, strict=True)
    return [Feature(*row) for row in rows]


def _occlusion_maps(
    network: PhotoNetwork, picture: torch.Tensor, sums: torch.Tensor, top: int, square: int, stride: int
) -> OcclusionMaps:
    """`sums` (maps,) of the watched layer, nothing covered; `top` the class that is then most probable."""
    from zfrepro.core.occlusion import sensitivity

    strongest = int(sums.argmax())
    grey = network.inputs(np.full((1, network.size, network.size, 3), GREY, dtype=np.uint8))[0]
    predictions = sensitivity(network.net, picture, grey, network.watched, square, stride, _batch(network, picture))
    return OcclusionMaps(
        square,
        stride,
        predictions.probabilities[..., top].cpu().numpy(),
        predictions.probabilities.argmax(dim=-1).cpu().numpy(),
        strongest,
        predictions.activations[..., strongest].cpu().numpy(),
        float(sums[strongest]),
    )


def _batch(network: PhotoNetwork, picture: torch.Tensor) -> int:
    """Positions in one forward pass, fewer where the network's maps are large."""
    import torch

    from zfrepro.core.nets import layer_outputs

    with torch.no_grad():
        every = layer_outputs(
            network.net, picture[None], {name: i for i, (name, _) in enumerate(network.net.named_children())}
        )
    return max(1, min(64, VALUES_AT_ONCE // max(maps.numel() for maps in every.values())))
