"""What a trained network says of photographs, which of its maps they excite most, and what covering parts of them does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zfrepro.look.opened import Sight, said_of

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
class Covered:
    """Predictions with a grey square at P x P positions, top left corners `stride` pixels apart."""

    square: int
    stride: int
    probability: np.ndarray  # (P, P) of the class that is most probable when nothing is covered
    labels: np.ndarray  # int64 (P, P), most probable class
    number: int  # of the map with the largest sum when nothing is covered
    activation: np.ndarray  # (P, P), that map summed over space
    uncovered: float  # the same sum when nothing is covered


@dataclass(frozen=True)
class Look:
    """All that is shown of one photograph."""

    top: list[tuple[int, float]]  # class, probability; falling
    layers: dict[int, list[Feature]]  # strongest first; maps that are not active are left out
    covered: Covered | None


def look(
    sight: Sight,
    crop: np.ndarray,
    maps: int = 4,
    square: int | None = None,
    stride: int | None = None,
    cover: bool = True,
) -> Look:
    """A crop uint8 (s, s, 3) looked at: `maps` strongest maps a layer, and a square as large as the paper's in proportion.

    Raises UserError where the network's outputs are not finite, or where it has a layer that cannot be handled.
    """
    from zfrepro.core.occlusion import predict

    inputs = sight.inputs(crop[None])
    with said_of(sight.weights):
        clean = predict(sight.net, inputs, sight.watched)
    probabilities = clean.probabilities[0].cpu().numpy()
    top = np.argsort(-probabilities, kind="stable")[:5].tolist()
    covered = None
    with said_of(sight.weights):
        layers = _features(sight, crop, inputs, maps)
        if cover:
            covered = _cover(sight, inputs[0], clean.activations[0], top[0], *proportional(sight.size, square, stride))
    return Look([(one, float(probabilities[one])) for one in top], layers, covered)


def proportional(size: int, square: int | None, stride: int | None) -> tuple[int, int]:
    """The paper's square and stride at an input of `size` pixels, where they are not given."""
    return square or max(1, round(SQUARE * size / PAPER_SIZE)), stride or max(1, round(STRIDE * size / PAPER_SIZE))


def _features(sight: Sight, crop: np.ndarray, inputs: torch.Tensor, maps: int) -> dict[int, list[Feature]]:
    from zfrepro.core.top_activations import find_top_activations

    wanted = {name: layer for layer, name in sight.layers.items()}
    found = find_top_activations(sight.net, [(slice(0, 1), inputs)], wanted, top=1)
    return {layer: _strongest(sight, crop, inputs, name, found[layer], maps) for layer, name in sight.layers.items()}


def _strongest(
    sight: Sight, crop: np.ndarray, inputs: torch.Tensor, name: str, found: TopActivations, maps: int
) -> list[Feature]:
    from zfrepro.core.tiles import patch_tiles, projection_tiles

    values = found.values[:, 0]
    chosen = values.argsort(descending=True, stable=True)[:maps]
    chosen = chosen[values[chosen] > 0]
    if not len(chosen):
        return []
    places, count = found.places[chosen, 0], len(chosen)
    projections = projection_tiles(sight.net, name, inputs.repeat(count, 1, 1, 1), chosen, places)
    patches = patch_tiles(sight.net, name, np.broadcast_to(crop, (count, *crop.shape)), places.cpu())
    rows = zip(chosen.tolist(), values[chosen].tolist(), projections, patches, strict=True)
    return [Feature(*row) for row in rows]


def _cover(sight: Sight, picture: torch.Tensor, sums: torch.Tensor, top: int, square: int, stride: int) -> Covered:
    """`sums` (maps,) of the watched layer, nothing covered; `top` the class that is then most probable."""
    from zfrepro.core.occlusion import sensitivity

    strongest = int(sums.argmax())
    grey = sight.inputs(np.full((1, sight.size, sight.size, 3), GREY, dtype=np.uint8))[0]
    seen = sensitivity(sight.net, picture, grey, sight.watched, square, stride, _batch(sight, picture))
    return Covered(
        square,
        stride,
        seen.probabilities[..., top].cpu().numpy(),
        seen.probabilities.argmax(dim=-1).cpu().numpy(),
        strongest,
        seen.activations[..., strongest].cpu().numpy(),
        float(sums[strongest]),
    )


def _batch(sight: Sight, picture: torch.Tensor) -> int:
    """Positions in one forward pass, fewer where the network's maps are large."""
    import torch

    from zfrepro.core.nets import layer_outputs

    with torch.no_grad():
        every = layer_outputs(
            sight.net, picture[None], {name: i for i, (name, _) in enumerate(sight.net.named_children())}
        )
    return max(1, min(64, VALUES_AT_ONCE // max(maps.numel() for maps in every.values())))
