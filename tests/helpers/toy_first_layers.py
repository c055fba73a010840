"""The outputs of the stage `deconvnet` for Figs 1 and 6 in `results/toy/`: gratings for filters and projections.

Existing files of the improved network are extended.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zfrepro.core import spectra
from zfrepro.storage import artifacts

TOP, COUNT, MAPS = 9, 24, 25
KERNELS = {
    "baseline": (11, 4, 51),
    "improved": (7, 2, 27),
    "unclipped": (7, 2, 27),
}  # first kernel, stride, layer-2 field


def write(results: Path, classes: list[str], rng: np.random.Generator) -> None:
    """Fill results/deconvnet/{baseline,improved,unclipped}, and the settings of their training where they are missing."""
    for run, (kernel, stride, field) in KERNELS.items():
        folder = results / "deconvnet" / run
        arrays, about = _first(kernel, stride, run == "unclipped", rng)
        if (folder / "features.npz").is_file():
            arrays = arrays | artifacts.load_arrays(folder / "features.npz")
            about = about | artifacts.load_json(folder / "features.json")
        else:
            arrays["projections_2"] = _tiles(MAPS, field, rng)
        arrays["lines_2"], arrays["squares_2"] = spectra.grids(arrays["projections_2"], stride)
        artifacts.save_arrays(folder / "features.npz", **arrays)
        artifacts.save_json(folder / "features.json", about)
        if not (results / f"train/{run}/network.json").is_file():
            spec = {"filter_rms": None if run == "unclipped" else 0.1, "input_scale": 0.5}
            artifacts.save_json(results / f"train/{run}/network.json", {"spec": spec})


def _first(
    kernel: int, stride: int, grown: bool, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """24 filters of RMS 0.02, one silent; without clipping the third outgrows all by a factor of 50."""
    filters = np.stack([tile / np.sqrt((tile**2).mean()) for tile in _tiles(COUNT, kernel, rng)[:, 0]]) * 0.02
    filters[2] *= 50 if grown else 1
    spectrum = np.exp(-((np.arange(33) - 4 * stride) ** 2) / 80)
    arrays = {
        "filters_1": filters.astype(np.float32), "rms_1": np.sqrt((filters**2).mean(axis=(1, 2, 3))),
        "silent_1": np.arange(COUNT) == 7, "peaks_1": np.linspace(0.05, 0.3, COUNT), "bands_1": np.full((COUNT, 3), 1 / 3),
        "spectrum_1": spectrum / spectrum.sum(), "spectrum_2": spectrum[::-1] / spectrum.sum() + 1e-4,
    }  # fmt: skip
    about = {
        "network": {"base": "baseline" if kernel == 11 else "improved", "remove": [], "maps": [384, 384, 256], "units": 4096},
        "width": 0.25, "input_size": 64, "split": "val", "pictures": 240, "top": TOP, "seed": 0, "layers": {}, "stride": stride,
        "bands": [0.125, 0.25], "high": 0.25, "projected": {"high": 0.3, "lines": 0.5 * stride, "squares": 1.1},
        "path": _path(kernel, stride), "pooling": [_pooling(2), _pooling(3)],
    }  # fmt: skip
    return arrays, about


def _tiles(count: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """float32 (count, TOP, side, side, 3): one grating per map, shifted."""
    y, x = np.mgrid[:side, :side]
    tiles = []
    for _ in range(count):
        angle, period, colour = rng.uniform(0, np.pi), rng.uniform(3, side), rng.uniform(0.2, 1, 3)
        along = (x * np.cos(angle) + y * np.sin(angle)) / period
        tiles.append([np.cos(2 * np.pi * (along + rng.random()))[..., None] * colour for _ in range(TOP)])
    return np.array(tiles, dtype=np.float32)


def _path(kernel: int, stride: int) -> list[dict[str, Any]]:
    """The improved network's layer 1 at 64 pixels; the baseline's with norm before pool."""
    conv = ("conv1", 24, 64, 30, kernel, stride, "transposed filters")
    relu = ("relu1", 24, 30, 30, None, None, "rectify")
    pool, norm = ("pool1", 24, 30, 15, 3, 2, "max unpooling"), ("norm1", 24, 15, 15, None, None, "skipped")
    keys = ("name", "maps", "below", "above", "kernel", "stride", "down")
    rows = (conv, relu, norm, pool) if kernel == 11 else (conv, relu, pool, norm)
    return [{**dict(zip(keys, row, strict=True)), "kind": row[0][:-1]} for row in rows]


def _pooling(kernel: int) -> dict[str, Any]:
    shared = kernel == 3
    return {
        "kernel": kernel, "stride": 2, "values": [[1, -2, 6, 0], [3, 2, -1, 4], [-3, 5, 2, -4], [0, 1, 3, 7]],
        "pooled": [[6, 6], [5, 7]] if shared else [[3, 6], [5, 7]],
        "switches": [[[0, 2] if shared else [1, 0], [0, 2]], [[2, 1], [3, 3]]], "above": [[2, 3], [-1, 4]],
        "unpooled": [[0, 0, 5 if shared else 3, 0], [0 if shared else 2, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 4]],
        "rectified": [[0, 0, 5 if shared else 3, 0], [0 if shared else 2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 4]],
    }  # fmt: skip
