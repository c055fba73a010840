"""Inspect one photograph with a trained network: top classes, most active maps of each layer, occlusion maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zfrepro.look.photo_network import GREY, PhotoNetwork, report_source

if TYPE_CHECKING:
    import torch

SQUARE, STRIDE, PAPER_SIZE = 50, 6, 224  # pixels, Fig 7


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
    watched: WatchedMap | None  # None: no module of the network returns maps


@dataclass(frozen=True)
class WatchedMap:
    """The map with the largest sum when nothing is covered, of the watched layer."""

    number: int
    activation: np.ndarray  # (P, P), summed over space
    uncovered: float  # the same sum when nothing is covered


@dataclass(frozen=True)
class Inspection:
    """The results for one photograph."""

    top: list[tuple[int, float]]  # class, probability; falling
    layers: dict[str, list[Feature]]  # by heading; strongest first; maps that are not active are left out
    occlusion: OcclusionMaps | None
    grad_cam: np.ndarray | None = None  # (h, w) of the most probable class; computed beside occlusion maps
    notes: tuple[str, ...] = ()  # operations without a deconvnet whose derivative was passed


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
    from zfrepro.analysis.checks import predict

    inputs = network.inputs(crop[None])
    notes: dict[str, None] = {}
    with report_source(network.source):
        probabilities = (
            predict(network.opened, network.opened.prepare(inputs), list(network.layers.values()))[1][0]
            .float()
            .cpu()
            .numpy()
        )
        top = np.argsort(-probabilities, kind="stable")[:5].tolist()
        layers = {
            heading: _strongest(network, crop, inputs, name, maps, notes) for heading, name in network.layers.items()
        }
        occlusion = cam = None
        if occlude:
            occlusion = _occlusion_maps(network, inputs, top[0], *proportional(network.size, square, stride))
            cam = _grad_cam(network, inputs, top[0])
    predictions = [(label, float(probabilities[label])) for label in top]
    return Inspection(predictions, layers, occlusion, cam, tuple(notes))


def proportional(size: int, square: int | None, stride: int | None) -> tuple[int, int]:
    """The paper's square and stride at an input of `size` pixels, where they are not given."""
    return square or max(1, round(SQUARE * size / PAPER_SIZE)), stride or max(1, round(STRIDE * size / PAPER_SIZE))


def _strongest(
    network: PhotoNetwork, crop: np.ndarray, inputs: torch.Tensor, name: str, count: int, notes: dict[str, None]
) -> list[Feature]:
    """The maps of a layer with the highest activations, where these are above 0; adds the notes of their projections."""
    from zfrepro.analysis import project, top_activations

    top = top_activations(network.opened, inputs, name, 1, patches=False)
    chosen = top.values[:, 0].argsort(descending=True, stable=True)[:count]
    chosen = chosen[top.values[chosen, 0] > 0]
    if not len(chosen):
        return []
    projection = project(network.opened, inputs, name, chosen, top.positions[chosen, 0], rectifier=network.rectifier)
    notes |= dict.fromkeys(projection.notes)
    pixels = projection.pixels.permute(0, 2, 3, 1).float().cpu().numpy()
    windows = [_window(corner, top.side) for corner in top.corners[chosen, 0].tolist()]
    rows = zip(chosen.tolist(), top.values[chosen, 0].tolist(), pixels, windows, strict=True)
    return [Feature(number, value, projected[window], crop[window]) for number, value, projected, window in rows]


def _window(corner: list[int], side: tuple[int, int]) -> tuple[slice, slice]:
    rows, columns = (slice(start, start + length) for start, length in zip(corner, side, strict=True))
    return rows, columns


def _occlusion_maps(network: PhotoNetwork, inputs: torch.Tensor, top: int, square: int, stride: int) -> OcclusionMaps:
    """`top` is the class that is most probable when nothing is covered."""
    from zfrepro.analysis import occlusion_maps

    grey = network.inputs(np.full((1, network.size, network.size, 3), GREY, dtype=np.uint8))[0]
    maps = occlusion_maps(network.opened, inputs, network.watched, square=square, stride=stride, fill=grey, labels=top)
    watched = None
    if maps.maps is not None and maps.activation is not None and maps.uncovered_activation is not None:
        sums = maps.activation[0].float().cpu().numpy()
        watched = WatchedMap(int(maps.maps[0]), sums, float(maps.uncovered_activation[0]))
    probability = maps.probability[0].float().cpu().numpy()
    return OcclusionMaps(square, stride, probability, maps.predicted[0].cpu().numpy(), watched)


def _grad_cam(network: PhotoNetwork, inputs: torch.Tensor, top: int) -> np.ndarray | None:
    """Of the watched layer."""
    from zfrepro.analysis import grad_cam

    if network.watched is None:
        return None
    values: np.ndarray = grad_cam(network.opened, inputs, network.watched, top)[0].float().cpu().numpy()
    return values
