"""The strongest activations of a layer's maps over any set of images, with the patches that cause them (paper section 4, Fig 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from zfrepro.analysis.checks import FoundLayer, Network, open_network, size_at_least
from zfrepro.core.top_activations import TopActivations

Images = Tensor | Dataset[Any] | DataLoader[Any] | Iterable[Any]


@dataclass(frozen=True)
class TopPatches:
    """M maps, each with its k strongest images, strongest first, of equal ones the earlier; on the network's device."""

    maps: Tensor  # int64 (M,)
    values: Tensor  # (M, k) activations
    images: Tensor  # int64 (M, k): position in the set, counted from 0
    positions: Tensor  # int64 (M, k, 2): row and column of the unit in its map
    boxes: (
        Tensor  # int64 (M, k, 4): first row, one past the last, first column, one past the last of what the unit sees
    )
    corners: Tensor  # int64 (M, k, 2): top and left of the patch in its image
    side: tuple[int, int]  # rows and columns of a patch: those of the largest field in the image
    patches: (
        Tensor | None
    )  # (M, k, C, *side): the pixels, as inputs of the network, moved inside the image; None if not asked for


def top_activations(
    model: nn.Module | Network,
    data: Images,
    layer: str,
    k: int = 9,
    maps: Sequence[int] | Tensor | None = None,
    *,
    patches: bool = True,
    batch: int = 64,
) -> TopPatches:
    """Search a set of images for the k highest activations of a layer's maps, one per image; one pass, memory independent of its size.

    model    any network in evaluation mode, or what `open_network` has made of one; it is left as it was
    data     inputs (N, C, H, W); a torch Dataset of inputs (C, H, W), alone or first in a tuple; a DataLoader, or anything that
             yields batches (B, C, H, W), likewise; all of one size
    layer    a module's name in `model.named_modules()` ("features.3"), or of its n-th result in a forward pass ("relu:1")
    k        images per map; fewer where the set has fewer
    maps     which maps; None: all of the layer
    patches  whether to keep the patches, which take most of the memory: M k C h w numbers
    batch    images in one forward pass, of tensors and data sets

    Raises ValueError for bad input and NotFiniteError for activations that are not finite. Source: paper section 4, Fig 2.
    """
    network = open_network(model)
    size_at_least(k, 1, "k")
    size_at_least(batch, 1, "batch")
    search: _Search | None = None
    for images in _batches(data, batch):
        prepared = network.prepare(images, "data")
        search = search or _Search.begin(network, prepared, layer, k, maps, patches)
        search.take(network, prepared)
    if search is None:
        raise ValueError("data: there are no images")
    return search.finish()


class _Search:
    """The strongest activations so far, and their patches."""

    def __init__(self, found: FoundLayer, maps: Tensor, k: int, images: Tensor, keep: bool):
        self.found, self.maps, self.shape, self.keep = found, maps, images.shape[1:], keep
        self.top = TopActivations(len(maps), k, images.device, images.dtype)
        self.count = 0
        sides = found.fields[..., [1, 3]] - found.fields[..., [0, 2]]
        self.side = tuple(sides.flatten(0, 1).amax(dim=0).clamp(min=1).tolist())
        self.patches: dict[tuple[int, int], Tensor] = {}  # (row of the map, image) -> (C, h, w)

    @classmethod
    def begin(
        cls, network: Network, images: Tensor, name: str, k: int, maps: Sequence[int] | Tensor | None, keep: bool
    ) -> _Search:
        found = network.find(name, images)
        chosen = torch.arange(found.shape[0], device=images.device)
        if maps is not None:
            chosen = torch.as_tensor(maps, device=images.device)
            if chosen.is_floating_point() or chosen.dim() != 1 or not len(chosen):
                raise ValueError("maps: give whole numbers, or None for all maps")
            if int(chosen.min()) < 0 or int(chosen.max()) >= found.shape[0]:
                raise ValueError(f"maps: the layer has maps 0 to {found.shape[0] - 1}, not {chosen.tolist()}")
        return cls(found, chosen.long(), k, images, keep)

    def take(self, network: Network, images: Tensor) -> None:
        if images.shape[1:] != self.shape:
            raise ValueError(
                f"data: images of shape {tuple(images.shape[1:])} after others of {tuple(self.shape)}; give one size"
            )
        output = network.output(self.found, images)[:, self.maps]
        self.top.update(output if output.dim() == 4 else output[:, :, None, None], self.count)
        if self.keep:
            self._keep_patches(images)
        self.count += len(images)

    def _keep_patches(self, images: Tensor) -> None:
        """Cut those of this batch that are among the strongest, and drop those that are no longer."""
        ranked = self.top.images.tolist()
        new = (self.top.images >= self.count) & (self.top.images < self.count + len(images))
        corners = self._corners().tolist()
        for row, rank in new.nonzero().tolist():
            top, left = corners[row][rank]
            image = images[ranked[row][rank] - self.count]
            self.patches[row, ranked[row][rank]] = image[
                :, top : top + self.side[0], left : left + self.side[1]
            ].clone()
        kept = {(row, image) for row, images_of_map in enumerate(ranked) for image in images_of_map}
        for key in [key for key in self.patches if key not in kept]:
            del self.patches[key]

    def _boxes(self) -> Tensor:
        return self.found.fields[self.top.positions[..., 0], self.top.positions[..., 1]]

    def _corners(self) -> Tensor:
        room = self.top.positions.new_tensor([self.shape[1] - self.side[0], self.shape[2] - self.side[1]])
        return torch.minimum(self._boxes()[..., [0, 2]], room)

    def finish(self) -> TopPatches:
        k = min(self.top.values.shape[1], self.count)
        images = self.top.images[:, :k]
        return TopPatches(
            self.maps,
            self.top.values[:, :k],
            images,
            self.top.positions[:, :k],
            self._boxes()[:, :k],
            self._corners()[:, :k],
            (self.side[0], self.side[1]),
            self._stack(images) if self.keep else None,
        )

    def _stack(self, images: Tensor) -> Tensor:
        patches = [self.patches[row, image] for row, ranked in enumerate(images.tolist()) for image in ranked]
        return torch.stack(patches).view(*images.shape, self.shape[0], *self.side)


def _batches(data: Images, batch: int) -> Iterator[Tensor]:
    if isinstance(data, Tensor):
        yield from torch.split(data, batch) if data.dim() else [data]
        return
    if isinstance(data, Dataset):
        data = DataLoader(data, batch_size=batch)
    if not isinstance(data, Iterable):
        raise ValueError(f"data: give a tensor, a Dataset or a DataLoader, not {type(data).__name__}")
    for item in data:
        yield item[0] if isinstance(item, tuple | list) and len(item) else item
