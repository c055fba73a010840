"""Follow a network's maps during training: the highest activation of each, projected to pixels, at every snapshot (Fig 4)."""

from __future__ import annotations

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
from zfrepro.storage.not_measured import records_not_measurable

if TYPE_CHECKING:
    import torch

    from zfrepro.models.trained_network import NetworkOnSplit

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
class Responses:
    """What one state of a layer responds to."""

    values: np.ndarray  # float32 (maps,), the strongest activation of each
    images: np.ndarray  # int64 (maps,), positions in the split
    positions: torch.Tensor  # int64 (maps, 2), row and column
    responses: np.ndarray  # float32 (maps, compared), each map's maximum in every image compared


Weights = dict[str, "torch.Tensor"]  # of the convolution layers


@records_not_measurable("evolution.npz", "evolution.json")
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
    from zfrepro.models.trained_network import NetworkOnSplit

    trained = NetworkOnSplit(weights, images, spec.split, device, threads)
    final = {name: w.cpu().clone() for name, w in trained.net.state_dict().items() if name.startswith("conv")}
    saved, recipe = _load_snapshots(snapshots, final, weights), artifacts.load_json(network)["spec"]
    searched, states = _evenly(len(trained.images), spec.pictures), [*saved.values(), final]
    all_responses = [_find_responses(spec, trained, state, searched) for state in states]
    chosen = {
        layer: choose_maps(last.values > 0, spec.maps, spec.seed, layer) for layer, last in all_responses[-2].items()
    }
    pairs = zip(states, all_responses, strict=True)
    all_arrays = [_project_maps(trained, state, responses, chosen) for state, responses in pairs]
    arrays, layers = {f"maps_{layer}": maps for layer, maps in chosen.items()}, {}
    for layer in chosen:
        keys = all_arrays[0][layer]
        arrays |= {f"{key}_{layer}": np.stack([state[layer][key] for state in all_arrays[:-1]]) for key in keys}
        filters, responses = (
            [state[f"conv{layer}.weight"] for state in states],
            [state[layer] for state in all_responses],
        )
        likeness = arrays[f"likeness_{layer}"] = _likeness(responses)
        tiles = [state[layer]["projections"] for state in all_arrays]
        layers[str(layer)] = _summary((*saved, recipe["epochs"]), spec.settled, filters, responses, likeness, tiles)
    head = _head(spec, trained, len(searched), all_responses[-1]) | {
        "epochs": list(saved),
        "training": recipe["epochs"],
        "schedule": recipe["schedule"],
    }
    require_finite_arrays(arrays)
    artifacts.save_arrays(out / "evolution.npz", **arrays)
    artifacts.save_json(out / "evolution.json", head | {"layers": layers})


def _load_snapshots(snapshots: Path, final: Weights, weights: Path) -> dict[float, Weights]:
    """Epoch -> convolution weights, in order. Raises UserError for a file without snapshots, of another network, or with
    weights that are not finite."""
    tensors, _ = artifacts.load_weights(snapshots)
    with explain_not_finite(snapshots):
        check_weights(tensors)
    saved: dict[float, Weights] = {}
    for name, tensor in tensors.items():
        epoch, _, suffix = name.removeprefix("epoch").partition(".conv")
        saved.setdefault(float(epoch), {})[f"conv{suffix}"] = tensor
    if not saved:
        raise UserError(f"{snapshots}: holds no snapshots; name epochs in train.runs.<run>.snapshots and train again")
    shapes = {name: w.shape for name, w in final.items()}
    if any({name: w.shape for name, w in state.items()} != shapes for state in saved.values()):
        raise UserError(f"{snapshots}: snapshots of another network than {weights}; train again")
    return dict(sorted(saved.items()))


def _evenly(count: int, wanted: int | None) -> np.ndarray:
    """int64: positions of `wanted` of `count` images, evenly spaced."""
    total = count if wanted is None else min(count, wanted)
    return np.arange(total) * count // total


def _find_responses(spec: Spec, network: NetworkOnSplit, state: Weights, searched: np.ndarray) -> dict[int, Responses]:
    """One pass over the images searched, with the weights of one state."""
    from zfrepro.core.evolution import survey, up_to_convolutions

    network.net.load_state_dict(state, strict=False)
    layers = {name: int(name.removeprefix("conv")) for name in CONVOLUTIONS if f"{name}.weight" in state}
    net, every = up_to_convolutions(network.net, layers), -(-len(searched) // spec.compared)
    results = survey(net, network.batches(spec.batch, searched), layers, every)
    responses_by_layer = {}
    for layer, (strongest, responses) in results.items():
        values = strongest.values[:, 0].cpu().numpy()
        indices = searched[strongest.images[:, 0].cpu().numpy()]
        responses_by_layer[layer] = Responses(
            np.maximum(values, 0), indices, strongest.positions[:, 0].cpu(), responses.T.cpu().numpy()
        )
    return responses_by_layer


def _project_maps(
    network: NetworkOnSplit, state: Weights, responses: dict[int, Responses], maps_by_layer: dict[int, np.ndarray]
) -> dict[int, dict]:
    """Layer -> arrays (M, ...) of the chosen maps: the strongest activation of each, projected alone."""
    network.net.load_state_dict(state, strict=False)
    return {layer: _layer(network, layer, responses[layer], maps) for layer, maps in maps_by_layer.items()}


def _layer(network: NetworkOnSplit, layer: int, responses: Responses, maps: np.ndarray) -> dict[str, np.ndarray]:
    import torch

    from zfrepro.core.tiles import patch_tiles, projection_tiles

    name, positions, indices = network.relu_of(layer), responses.positions[maps], responses.images[maps]
    crops = network.crops(indices)
    return {
        "projections": projection_tiles(network.net, name, network.inputs(crops), torch.from_numpy(maps), positions),
        "patches": patch_tiles(network.net, name, crops, positions),
        "values": responses.values[maps],
        "pictures": indices,
        "places": positions.numpy(),
    }


def _summary(
    times: tuple[float, ...],
    threshold: float,
    filters: list[torch.Tensor],
    states: list[Responses],
    likeness: np.ndarray,
    tiles: list[np.ndarray],
) -> dict[str, Any]:
    """How near a layer is to its final state, which comes last of every list, at each snapshot; likeness: of `_likeness`.

    null where no map of the final network is ever active.
    """
    from zfrepro.core.evolution import correlations, filter_similarity, find_settling_time

    *before, last = states
    active = last.values > 0
    similar = [filter_similarity(earlier, filters[-1]) for earlier in filters[:-1]]
    responses = [float(of_maps.mean()) for of_maps in likeness] if active.any() else []
    return {
        "maps": len(active),
        "dead": [int((state.values <= 0).sum()) for state in before],
        "filters": similar,
        "responses": responses or [None] * len(before),
        "same_picture": [_mean(state.images[active] == last.images[active]) for state in before],
        "projections": [_mean(correlations(earlier, tiles[-1])) for earlier in tiles[:-1]],
        "settled": {
            "filters": find_settling_time(times[:-1], similar, times[-1], threshold),
            "responses": find_settling_time(times[:-1], responses, times[-1], threshold) if responses else None,
        },
    }


def _likeness(states: list[Responses]) -> np.ndarray:
    """float64 (E, M): correlation of each map's responses with the final ones at every snapshot; maps active in the end."""
    from zfrepro.core.evolution import correlations

    *before, last = states
    active = last.values > 0
    return np.stack([correlations(state.responses[active], last.responses[active]) for state in before])


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _head(spec: Spec, network: NetworkOnSplit, searched: int, final: dict[int, Responses]) -> dict[str, Any]:
    return {
        "network": network.description.network.model_dump(mode="json"),
        "width": network.description.width,
        "input_size": network.size,
        "split": spec.split,
        "split_pictures": len(network.images),
        "pictures": searched,
        "compared": next(iter(final.values())).responses.shape[1],
        "settled": spec.settled,
        "seed": spec.seed,
    }
