"""Find the images with the highest activations of a network's maps and project these to pixels (Figs 1, 2 and 6)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, PositiveInt

from zfrepro.core.choice import choose_maps
from zfrepro.core.finite import require_finite_arrays
from zfrepro.spec import Base
from zfrepro.storage import artifacts
from zfrepro.storage.diverged import explain_diverged_network
from zfrepro.storage.not_measured import NotMeasurable, records_not_measurable

if TYPE_CHECKING:
    from zfrepro.core.top_activations import TopActivations
    from zfrepro.models.trained_network import NetworkOnSplit


WHOLE = 128  # largest side in pixels at which the whole images of the tiles are kept


class Spec(Base):
    top: int = Field(9, ge=1, description="highest activations per map, each from another image; the paper: 9")
    maps: dict[PositiveInt, PositiveInt] = Field(
        {1: 9, 2: 25, 3: 12, 4: 10, 5: 10},
        min_length=1,
        description="layer -> number of maps, randomly selected; as in the paper's Fig 2, except layer 2: Fig 6 shows 25, "
        "Fig 2 the first 16 of them",
    )
    split: str = Field("val", description="split to search; the paper: validation")
    seed: int = Field(0, ge=0, description="selects the maps")
    batch: int = Field(64, ge=1, description="images per forward pass")


@records_not_measurable("features.npz", "features.json")
@explain_diverged_network
def run(spec: Spec, weights: Path, images: Path, out: Path, device: str = "auto", threads: int = 1) -> None:
    """Write out/features.npz (values, positions, projections, patches per layer; the whole images, small; first-layer filters and
    their spectra) and out/features.json (their description)."""
    from zfrepro.core.deconvnet_diagram import layers, pooling
    from zfrepro.core.top_activations import find_top_activations
    from zfrepro.models.trained_network import NetworkOnSplit

    network = NetworkOnSplit(weights, images, spec.split, device, threads)
    names = {layer: network.relu_of(layer) for layer in sorted({1, *spec.maps})}
    if len(network.images) < spec.top:
        raise NotMeasurable(f"deconvnet.top is {spec.top}, but split {spec.split} has {len(network.images)} images")
    strongest_by_layer = find_top_activations(
        network.net, network.batches(spec.batch), {name: layer for layer, name in names.items()}, spec.top
    )
    values = {layer: strongest.values.cpu().numpy() for layer, strongest in strongest_by_layer.items()}
    arrays, summary = {"filters_1": _first_filters(network)}, {}
    for layer in sorted(spec.maps):
        maps = choose_maps(values[layer][:, 0] > 0, spec.maps[layer], spec.seed, layer)
        map_arrays = _project_maps(network, names[layer], strongest_by_layer[layer], maps)
        arrays |= {f"{key}_{layer}": array for key, array in map_arrays.items()}
        summary[str(layer)] = _summary(network, names[layer], values[layer], map_arrays)
    arrays |= _whole_images(network, np.unique(np.concatenate([arrays[f"pictures_{layer}"] for layer in spec.maps])))
    spectra, about = _spectra(network, arrays, values[1][:, 0] <= 0)
    sketch = {"path": layers(network.net, network.size), "pooling": [pooling(2, 2), pooling(3, 2)]}
    require_finite_arrays(arrays | spectra, missing=("lines_2", "squares_2"))  # none: a map whose projections are 0
    artifacts.save_arrays(out / "features.npz", **arrays, **spectra)
    artifacts.save_json(out / "features.json", _head(spec, network) | about | sketch | {"layers": summary})


def _first_filters(network: NetworkOnSplit) -> np.ndarray:
    """float32 (maps, k, k, 3)"""
    return network.first_layer.weight.detach().cpu().permute(0, 2, 3, 1).contiguous().numpy()


def _project_maps(
    network: NetworkOnSplit, name: str, strongest: TopActivations, chosen: np.ndarray
) -> dict[str, np.ndarray]:
    """Arrays (M, top, ...) of the chosen maps; corners: top and left of each tile in pixels of the input."""
    from zfrepro.core.tiles import patch_tiles, projection_tiles, tile_corners

    indices, positions = strongest.images[chosen].cpu().numpy(), strongest.positions[chosen].cpu()
    projections, patches = [], []
    for row, number in enumerate(chosen.tolist()):
        crops = network.crops(indices[row])
        maps = positions.new_full((len(crops),), number)
        projections.append(projection_tiles(network.net, name, network.inputs(crops), maps, positions[row]))
        patches.append(patch_tiles(network.net, name, crops, positions[row]))
    return {
        "maps": chosen,
        "pictures": indices,
        "values": strongest.values[chosen].cpu().numpy(),
        "places": positions.numpy(),
        "corners": np.array([tile_corners(network.net, name, places, network.size) for places in positions]),
        "projections": np.stack(projections),
        "patches": np.stack(patches),
    }


def _whole_images(network: NetworkOnSplit, indices: np.ndarray) -> dict[str, np.ndarray]:
    """`whole` uint8 (N, s, s, 3): these images as the network sees them, at most WHOLE pixels a side; their `whole_pictures` (N,)."""
    from zfrepro.core.shrinking import thumbnails

    small = thumbnails(network.crops(indices), min(WHOLE, network.size))
    return {"whole": small.round().byte().numpy(), "whole_pictures": indices}


def _summary(
    network: NetworkOnSplit, name: str, values: np.ndarray, map_arrays: dict[str, np.ndarray]
) -> dict[str, Any]:
    from zfrepro.core.receptive_field import receptive_field

    field = receptive_field(network.net, name)
    labels, files = network.set.labels(network.split), network.set.files(network.split)
    return {
        "child": name,
        "maps": len(values),
        "dead": int((values[:, 0] <= 0).sum()),  # never active on the split
        "shown": map_arrays["maps"].tolist(),
        "field": field.size,
        "jump": field.jump,
        "tile": map_arrays["patches"].shape[2],
        "files": files[map_arrays["pictures"]].tolist(),
        "classes": [[network.set.classes[label] for label in row] for row in labels[map_arrays["pictures"]].tolist()],
    }


def _spectra(
    network: NetworkOnSplit, arrays: dict[str, np.ndarray], silent: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Size and spectrum of every first-layer filter, and the spectra of the layer-2 projections where they are shown."""
    from zfrepro.core import spectra

    filters = arrays["filters_1"]
    power = spectra.power(filters, spectra.side_for(filters))
    rms = np.sqrt((filters.astype(np.float64) ** 2).mean(axis=(1, 2, 3)))
    numbers = {"rms_1": rms, "silent_1": silent, "peaks_1": spectra.peaks(power), "bands_1": spectra.shares(power)}
    edges = np.arange(1, spectra.SIDE // 2 + 1) / spectra.SIDE
    numbers["spectrum_1"] = spectra.shares(power, edges).mean(axis=0)
    stride = network.first_layer.stride[0]
    about: dict[str, Any] = {"stride": stride, "bands": spectra.BANDS, "high": spectra.HIGH, "projected": None}
    if "projections_2" in arrays:
        numbers["spectrum_2"], about["projected"] = _projection_spectra(arrays["projections_2"], stride)
        numbers["lines_2"], numbers["squares_2"] = spectra.grids(arrays["projections_2"], stride)
    return numbers, about


def _projection_spectra(projections: np.ndarray, stride: int) -> tuple[np.ndarray, dict[str, float | None]]:
    """The projections' energy by frequency along rows and columns; which share of it is high, and how far lines at the
    period of layer 1's stride, and squares of that side, stand out."""
    from zfrepro.core import spectra

    tiles = projections.reshape(-1, *projections.shape[2:])
    side = spectra.side_for(tiles)
    power, changes = spectra.power(tiles, side), spectra.power(spectra.changes(tiles), side)
    nonzero = power.sum(axis=(1, 2)) > 0
    if not nonzero.any():
        return spectra.along_axes(power), {"high": None, "lines": None, "squares": None}
    return spectra.along_axes(power), {
        "high": float(spectra.shares(power[nonzero], (spectra.HIGH,))[:, 1].mean()),
        "lines": spectra.contrast(power, stride),
        "squares": spectra.contrast(changes, stride),
    }


def _head(spec: Spec, network: NetworkOnSplit) -> dict[str, Any]:
    return {
        "network": network.description.network.model_dump(mode="json"),
        "width": network.description.width,
        "input_size": network.size,
        "split": spec.split,
        "pictures": len(network.images),
        "top": spec.top,
        "seed": spec.seed,
    }
