"""Follow a network's maps during training: the highest activation of each, projected to pixels, at every snapshot (Fig 4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from zfrepro.core.choice import choose_maps
from zfrepro.core.finite import require_finite_arrays
from zfrepro.errors import UserError
from zfrepro.spec import Base
from zfrepro.storage import artifacts
from zfrepro.storage.diverged import check_weights, explain_diverged_network, explain_not_finite

if TYPE_CHECKING:
    import torch

    from zfrepro.models.opened import NetworkOnSplit

CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4", "conv5")


class Spec(Base):
    maps: int = Field(6, ge=1, description="maps per layer, randomly selected; the paper: 6")
    split: str = Field("train", description="split to search; the paper: all training examples")
    pictures: int | None = Field(
        None, ge=1, description="images to search, evenly spaced; null: all, as in the paper; all if there are fewer"
    )
    compared: int = Field(
        1000,
        ge=2,
        description="images, evenly spaced, on which activations are compared with those of the final network",
    )
    settled: float = Field(
        0.9, gt=0, lt=1, description="similarity to the final network at which a layer counts as converged"
    )
    seed: int = Field(0, ge=0, description="selects the maps")
    batch: int = Field(64, ge=1, description="images per forward pass")


@dataclass(frozen=True)
class Look:
    """What one state of a layer responds to."""

    values: np.ndarray  # float32 (maps,), the strongest activation of each
    images: np.ndarray  # int64 (maps,), positions in the split
    places: torch.Tensor  # int64 (maps, 2), row and column
    responses: np.ndarray  # float32 (maps, compared), each map's maximum in every image compared


Weights = dict[str, "torch.Tensor"]  # of the convolution layers


@explain_diverged_network
def run(
    spec: Spec,
    weights: Path,
    snapshots: Path,
    network: Path,
    images: Path,
    out: Path,
    device: str = "auto",
    threads: int = 1,
) -> None:
    """network: network.json of its training. Write out/evolution.npz (projections, patches, values, positions per
    layer; one row per snapshot) and out/evolution.json (epochs, and the similarity of each layer to its final state)."""
    from zfrepro.models.opened import NetworkOnSplit

    opened = NetworkOnSplit(weights, images, spec.split, device, threads)
    final = {name: w.cpu().clone() for name, w in opened.net.state_dict().items() if name.startswith("conv")}
    kept, recipe = _read(snapshots, final, weights), artifacts.load_json(network)["spec"]
    searched, states = _evenly(len(opened.images), spec.pictures), [*kept.values(), final]
    seen = [_look(spec, opened, state, searched) for state in states]
    chosen = {layer: choose_maps(look.values > 0, spec.maps, spec.seed, layer) for layer, look in seen[-2].items()}
    shown = [_show(opened, state, looks, chosen) for state, looks in zip(states, seen, strict=True)]
    arrays, layers = {f"maps_{layer}": maps for layer, maps in chosen.items()}, {}
    for layer in chosen:
        arrays |= {f"{key}_{layer}": np.stack([one[layer][key] for one in shown[:-1]]) for key in shown[0][layer]}
        filters, looks = [state[f"conv{layer}.weight"] for state in states], [one[layer] for one in seen]
        likeness = arrays[f"likeness_{layer}"] = _likeness(looks)
        tiles = [one[layer]["projections"] for one in shown]
        layers[str(layer)] = _summary((*kept, recipe["epochs"]), spec.settled, filters, looks, likeness, tiles)
    head = _head(spec, opened, len(searched), seen[-1]) | {
        "epochs": list(kept),
        "training": recipe["epochs"],
        "schedule": recipe["schedule"],
    }
    require_finite_arrays(arrays)
    artifacts.save_arrays(out / "evolution.npz", **arrays)
    artifacts.save_json(out / "evolution.json", head | {"layers": layers})


def _read(snapshots: Path, final: Weights, weights: Path) -> dict[float, Weights]:
    """Epoch -> convolution weights, in order. Raises UserError for a file without snapshots, of another network, or with
    weights that are not finite."""
    tensors, _ = artifacts.load_weights(snapshots)
    with explain_not_finite(snapshots):
        check_weights(tensors)
    kept: dict[float, Weights] = {}
    for name, tensor in tensors.items():
        epoch, _, rest = name.removeprefix("epoch").partition(".conv")
        kept.setdefault(float(epoch), {})[f"conv{rest}"] = tensor
    if not kept:
        raise UserError(f"{snapshots}: holds no snapshots; name epochs in train.runs.<run>.snapshots and train again")
    shapes = {name: w.shape for name, w in final.items()}
    if any({name: w.shape for name, w in state.items()} != shapes for state in kept.values()):
        raise UserError(f"{snapshots}: snapshots of another network than {weights}; train again")
    return dict(sorted(kept.items()))


def _evenly(count: int, wanted: int | None) -> np.ndarray:
    """int64: positions of `wanted` of `count` images, evenly spaced."""
    taken = count if wanted is None else min(count, wanted)
    return np.arange(taken) * count // taken


def _look(spec: Spec, opened: NetworkOnSplit, state: Weights, searched: np.ndarray) -> dict[int, Look]:
    """One pass over the images searched, with the weights of one state."""
    from zfrepro.core.evolution import survey, up_to_convolutions

    opened.net.load_state_dict(state, strict=False)
    wanted = {name: int(name.removeprefix("conv")) for name in CONVOLUTIONS if f"{name}.weight" in state}
    net, every = up_to_convolutions(opened.net, wanted), -(-len(searched) // spec.compared)
    found = survey(net, _batches(opened, searched, spec.batch), wanted, every)
    looks = {}
    for layer, (strongest, responses) in found.items():
        values = strongest.values[:, 0].cpu().numpy()
        indices = searched[strongest.images[:, 0].cpu().numpy()]
        looks[layer] = Look(np.maximum(values, 0), indices, strongest.places[:, 0].cpu(), responses.T.cpu().numpy())
    return looks


def _batches(opened: NetworkOnSplit, searched: np.ndarray, batch: int) -> Iterator[tuple[slice, torch.Tensor]]:
    for start in range(0, len(searched), batch):
        indices = searched[start : start + batch]
        yield slice(start, start + len(indices)), opened.inputs(opened.crops(indices))


def _show(
    opened: NetworkOnSplit, state: Weights, seen: dict[int, Look], chosen: dict[int, np.ndarray]
) -> dict[int, dict]:
    """Layer -> arrays (M, ...) of the chosen maps: the strongest activation of each, projected alone."""
    opened.net.load_state_dict(state, strict=False)
    return {layer: _layer(opened, layer, seen[layer], maps) for layer, maps in chosen.items()}


def _layer(opened: NetworkOnSplit, layer: int, look: Look, maps: np.ndarray) -> dict[str, np.ndarray]:
    import torch

    from zfrepro.core.tiles import patch_tiles, projection_tiles

    name, places, indices = opened.relu_of(layer), look.places[maps], look.images[maps]
    crops = opened.crops(indices)
    return {
        "projections": projection_tiles(opened.net, name, opened.inputs(crops), torch.from_numpy(maps), places),
        "patches": patch_tiles(opened.net, name, crops, places),
        "values": look.values[maps],
        "pictures": indices,
        "places": places.numpy(),
    }


def _summary(
    times: tuple[float, ...],
    least: float,
    filters: list[torch.Tensor],
    looks: list[Look],
    likeness: np.ndarray,
    tiles: list[np.ndarray],
) -> dict[str, Any]:
    """How near a layer is to its final state, which comes last of every list, at each snapshot; likeness: of `_likeness`.

    null where no map of the final network is ever active.
    """
    from zfrepro.core.evolution import correlations, filter_similarity, settled_from

    *before, last = looks
    live = last.values > 0
    similar = [filter_similarity(earlier, filters[-1]) for earlier in filters[:-1]]
    responses = [float(of_maps.mean()) for of_maps in likeness] if live.any() else []
    return {
        "maps": len(live),
        "dead": [int((look.values <= 0).sum()) for look in before],
        "filters": similar,
        "responses": responses or [None] * len(before),
        "same_picture": [_mean(look.images[live] == last.images[live]) for look in before],
        "projections": [_mean(correlations(earlier, tiles[-1])) for earlier in tiles[:-1]],
        "settled": {
            "filters": settled_from(times[:-1], similar, times[-1], least),
            "responses": settled_from(times[:-1], responses, times[-1], least) if responses else None,
        },
    }


def _likeness(looks: list[Look]) -> np.ndarray:
    """float64 (E, M): correlation of each map's responses with the final ones at every snapshot; maps active in the end."""
    from zfrepro.core.evolution import correlations

    *before, last = looks
    live = last.values > 0
    return np.stack([correlations(look.responses[live], last.responses[live]) for look in before])


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _head(spec: Spec, opened: NetworkOnSplit, searched: int, final: dict[int, Look]) -> dict[str, Any]:
    return {
        "network": opened.description.network.model_dump(mode="json"),
        "width": opened.description.width,
        "input_size": opened.size,
        "split": spec.split,
        "split_pictures": len(opened.images),
        "pictures": searched,
        "compared": next(iter(final.values())).responses.shape[1],
        "settled": spec.settled,
        "seed": spec.seed,
    }
