"""Project activations of any network back to pixels: the deconvnet (paper section 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from zfrepro.analysis.checks import FoundLayer, Network, numbers, open_network, rounding, size_at_least
from zfrepro.core import autograd_deconvnet, deconvnet, layers, tiles
from zfrepro.core.chains import Chain

Positions = Tensor | Sequence[int] | Literal["strongest", "all"]


@dataclass(frozen=True)
class Projection:
    """U projections; everything on the network's device."""

    pixels: Tensor  # (U, C, H, W), in the network's precision and terms of its inputs; 0 outside the units' fields
    activations: Tensor  # (U,): of the unit; of a whole map their sum
    maps: Tensor  # int64 (U,)
    positions: Tensor | None  # int64 (U, 2), row and column of the unit; None: the whole map
    boxes: Tensor  # int64 (U, 4): first row, one past the last, first column, one past the last of what the unit sees
    notes: tuple[
        str, ...
    ]  # operations without a deconvnet that `rectifier="pass"` let through; empty: an exact projection


def project(
    model: nn.Module | Network,
    images: Tensor,
    layer: str,
    maps: int | Sequence[int] | Tensor,
    positions: Positions = "strongest",
    *,
    rectifier: Literal["error", "pass"] = "error",
    batch: int = 16,
) -> Projection:
    """Project single activations, or whole maps, of a layer back to the pixels of the images that cause them.

    From the activation, all others set to 0, back to the image: a rectifier rectifies the signal, max pooling places it by its switches,
    convolutions and fully connected layers apply their transposed filters without bias, batch normalisation its scale, contrast
    normalisation and dropout are skipped; sums and concatenations pass the signal to all their parts, average pooling spreads it.

    model      any network in evaluation mode, or what `open_network` has made of one; it is left as it was
    images     (B, C, H, W), the network's inputs; moved to its device and precision
    layer      a module's name in `model.named_modules()`; its last result in a forward pass, or "name:1" its first
    maps       a map of the layer (or a unit of a fully connected one) for all images, or one per image;
               with one image, any number of them
    positions  "strongest" (the map's highest activation in the image), (row, column) for all, int64 (U, 2), or "all": the whole map at once
    rectifier  "error": ValueError for a layer above an operation without a deconvnet (GELU, SiLU, sigmoid gates, softmax, layer
               normalisation, ...); "pass": its derivative stands in, and the result's notes name it
    batch      units in one forward and backward pass

    Raises ValueError for bad input, NotFiniteError where values overflow. Source: paper section 2.1; for what the paper does not have
    (batch normalisation, sums, average pooling) docs/architecture.md.
    """
    network = open_network(model)
    images = network.prepare(images)
    if rectifier not in ("error", "pass"):
        raise ValueError(f'rectifier: "error" or "pass", not {rectifier!r}')
    found = network.find(layer, images)
    units = _units(network, images, found, maps, positions, size_at_least(batch, 1, "batch"))
    chain = None if units.positions is None else network.chain
    child = chain.child(layer) if chain else None
    notes: tuple[str, ...] = ()
    if chain and child and _is_supported(chain, child):
        pixels = _project_on_chain(chain, child, units, batch)
    else:
        pixels, notes = _project_by_autograd(network, found.layer, units, batch, rectifier == "pass")
    boxes = _boxes(found.fields, units.positions, len(units.maps))
    return Projection(pixels, units.activations, units.maps, units.positions, boxes, notes)


@dataclass(frozen=True)
class _Units:
    """What to project: U maps, each in its image; images are not copied until they are needed."""

    images: Tensor  # (B, C, H, W)
    rows: Tensor  # int64 (U,): image of each unit
    maps: Tensor  # int64 (U,)
    positions: Tensor | None  # int64 (U, 2)
    activations: Tensor  # (U,)

    def select(self, part: slice, output: Tensor) -> Tensor:
        """The layer's output (u, C, h, w) or (u, N) for some units' images, all but these units' activations set to 0."""
        kept = functional.one_hot(self.maps[part], output.shape[1]).to(output.dtype)
        if output.dim() == 2:
            return output * kept
        signal = output * kept[:, :, None, None]
        if self.positions is None:
            return signal
        index = self.positions[part, 0] * output.shape[3] + self.positions[part, 1]
        place = functional.one_hot(index, output.shape[2] * output.shape[3]).to(output.dtype)
        return signal * place.view(-1, 1, *output.shape[2:])


def _units(
    network: Network, images: Tensor, found: FoundLayer, maps: int | Sequence[int] | Tensor, positions: Positions, batch: int
) -> _Units:  # fmt: skip
    given = torch.as_tensor(maps, device=images.device)
    count = max(len(images), given.numel()) if len(images) == 1 else len(images)
    if len(images) == 1 and isinstance(positions, Tensor) and positions.dim() == 2:
        count = max(count, len(positions))
    chosen = numbers(given, count, found.shape[0], "maps", images.device)
    rows = torch.arange(count, device=images.device) if len(images) > 1 else chosen.new_zeros(count)
    of_maps = _maps_of_units(network, images, found, rows, chosen, batch)
    places = _places(positions, of_maps)
    values = of_maps.flatten(1)
    indices = None if places is None else places[:, 0] * of_maps.shape[2] + places[:, 1]
    activations = values.sum(1) if indices is None else values.gather(1, indices[:, None])[:, 0]
    return _Units(images, rows, chosen, places, activations)


def _maps_of_units(
    network: Network, images: Tensor, found: FoundLayer, rows: Tensor, maps: Tensor, batch: int
) -> Tensor:
    """(U, h, w): each unit's map in its image; one pass over the images, of which only these maps are kept."""
    parts = []
    for start in range(0, len(images), batch):
        output = network.output(found, images[start : start + batch])
        mine = (rows >= start) & (rows < start + batch)
        parts.append(output[rows[mine] - start, maps[mine]])
    values = torch.cat(parts)
    return values if values.dim() == 3 else values.view(-1, 1, 1)


def _places(positions: Positions, maps: Tensor) -> Tensor | None:
    """int64 (U, 2), or None for whole maps; maps (U, h, w). Raises ValueError for positions outside a map."""
    count, height, width = maps.shape
    if isinstance(positions, str):
        if positions not in ("strongest", "all"):
            raise ValueError(f'positions: "strongest", "all", (row, column) or a tensor (U, 2), not {positions!r}')
        index = maps.flatten(1).argmax(dim=1)
        return torch.stack([index // width, index % width], dim=1) if positions == "strongest" else None
    places = torch.as_tensor(positions, device=maps.device)
    if places.is_floating_point() or places.shape not in ((2,), (count, 2)):
        raise ValueError(
            f"positions: give (row, column), or whole numbers of shape ({count}, 2), not {tuple(places.shape)}"
        )
    places = places.long().expand(count, 2)
    if bool((places < 0).any()) or bool((places >= places.new_tensor([height, width])).any()):
        raise ValueError(f"positions: the layer's maps are {height} x {width}, counted from 0; a position lies outside")
    return places


def _is_supported(chain: Chain, child: str) -> bool:
    try:
        deconvnet.check(chain.net, [child])
    except ValueError:
        return False
    return True


def _project_on_chain(chain: Chain, child: str, units: _Units, batch: int) -> Tensor:
    """On windows as large as the units' receptive fields."""
    assert units.positions is not None
    size = (units.images.shape[2], units.images.shape[3])
    parts = zip(*(torch.split(part, batch) for part in (units.rows, units.maps, units.positions)), strict=True)
    return torch.cat([
        tiles.lay_out(*deconvnet.project(chain.net, child, units.images[rows], maps, places), [(0, 0)] * len(rows), size)
        for rows, maps, places in parts
    ])  # fmt: skip


def _project_by_autograd(
    network: Network, layer: layers.Layer, units: _Units, batch: int, pass_undefined: bool
) -> tuple[Tensor, tuple[str, ...]]:
    """On whole images."""
    pixels, notes = [], dict[str, None]()
    for start in range(0, len(units.maps), batch):
        part = slice(start, start + batch)

        def select(output: Tensor, part: slice = part) -> Tensor:
            return units.select(part, output)

        result = autograd_deconvnet.project(
            network.model, layer, units.images[units.rows[part]], select, pass_undefined
        )
        _require_same(result.signal.flatten(1).sum(dim=1), units.activations[part], layer.name)
        pixels.append(result.pixels)
        notes |= dict.fromkeys(f"{text}; its derivative was passed" for text in result.passed)
    return torch.cat(pixels), tuple(notes)


def _require_same(activations: Tensor, expected: Tensor, name: str) -> None:
    """The activations that were projected against those of a plain forward pass. Raises ValueError."""
    if (activations - expected).abs().max() > rounding(expected.dtype) * expected.abs().max():
        raise ValueError(
            f"layer {name}: its activations change when the network runs with gradients; let no function work in place on a part of a "
            "tensor that is used as a whole, too"
        )


def _boxes(fields: Tensor, positions: Tensor | None, count: int) -> Tensor:
    """fields (h, w, 4) -> (U, 4); of whole maps the box around all their units' fields."""
    if positions is not None:
        return fields[positions[:, 0], positions[:, 1]]
    low, high = fields.amin(dim=(0, 1)), fields.amax(dim=(0, 1))
    return torch.stack([low[0], high[1], low[2], high[3]]).expand(count, 4)
