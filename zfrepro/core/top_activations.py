"""Each map's strongest activations over a stream of images, one position per image; memory does not grow with the set."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from zfrepro.core.finite import require_finite
from zfrepro.core.nets import layer_outputs

EMPTY = torch.iinfo(torch.int64).max  # image index of a rank that no image has filled yet


class TopActivations:
    """The `top` images with the highest maximum of every map; of equal ones the lower image index comes first."""

    def __init__(self, maps: int, top: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32):
        self.values = torch.full((maps, top), -torch.inf, device=device, dtype=dtype)
        self.images = torch.full((maps, top), EMPTY, device=device)  # int64
        self.positions = torch.zeros((maps, top, 2), device=device, dtype=torch.int64)  # row, column

    def update(self, maps: Tensor, first: int) -> None:
        """Take in the maps (B, C, H, W) of images first, first + 1, ..."""
        batch, count, _, columns = maps.shape
        values, positions = maps.flatten(2).max(dim=2)  # the first of equal maxima
        images = torch.arange(first, first + batch, device=maps.device).expand(count, batch)
        positions = torch.stack([positions // columns, positions % columns], dim=2)
        self._keep_best(
            torch.cat([self.values, values.T], dim=1),
            torch.cat([self.images, images], dim=1),
            torch.cat([self.positions, positions.transpose(0, 1)], dim=1),
        )

    def _keep_best(self, values: Tensor, images: Tensor, positions: Tensor) -> None:
        top = self.values.shape[1]
        by_image = images.argsort(dim=1)
        by_value = values.gather(1, by_image).argsort(dim=1, descending=True, stable=True)
        best = by_image.gather(1, by_value)[:, :top]
        self.values, self.images = values.gather(1, best), images.gather(1, best)
        self.positions = positions.gather(1, best[:, :, None].expand(-1, -1, 2))


@torch.no_grad()
def find_top_activations(
    net: nn.Sequential, batches: Iterable[tuple[slice, Tensor]], layers: dict[str, int], top: int
) -> dict[int, TopActivations]:
    """One pass over (where, inputs): {"relu2": 2} -> {2: the strongest activations of its maps}.

    Raises NotFiniteError naming the layer.
    """
    strongest: dict[int, TopActivations] = {}
    for indices, inputs in batches:
        for layer, maps in layer_outputs(net, inputs, layers).items():
            require_finite(maps, "activations", f"layer {layer}")
            if layer not in strongest:
                strongest[layer] = TopActivations(maps.shape[1], top, maps.device, maps.dtype)
            strongest[layer].update(maps, indices.start)
    return strongest
