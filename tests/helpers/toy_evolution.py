"""The outputs of the stage `evolution` in `results/toy/`: patterns that emerge from noise, earlier in lower layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zfrepro.storage import artifacts

INPUT, EPOCHS, TRAINING, MAPS = 64, [0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 4.0, 7.0], 8, 2
TILES = {1: 7, 2: 27, 3: 64, 4: 64, 5: 64}


def write(results: Path, classes: list[str], rng: np.random.Generator) -> None:
    """Fill results/evolution/improved."""
    folder, arrays, layers = results / "evolution/improved", {}, {}
    for layer, side in TILES.items():
        near = [float(np.clip(epoch / (1 + layer), 0.05, 1)) for epoch in EPOCHS]
        arrays |= {
            f"maps_{layer}": rng.permutation(24)[:MAPS],
            f"projections_{layer}": _projections(near, side, rng),
            f"patches_{layer}": rng.integers(0, 256, (len(EPOCHS), MAPS, side, side, 3), dtype=np.uint8),
            f"values_{layer}": rng.gamma(3.0, 2.0, (len(EPOCHS), MAPS)).astype(np.float32),
            f"pictures_{layer}": rng.integers(960, size=(len(EPOCHS), MAPS)),
            f"places_{layer}": rng.integers(4, size=(len(EPOCHS), MAPS, 2)),
        }
        layers[str(layer)] = {
            "maps": 24, "dead": [0] * len(EPOCHS), "filters": [max(0.95, similarity) for similarity in near], "responses": near,
            "same_picture": [similarity**2 for similarity in near], "projections": near,
            "settled": {"filters": EPOCHS[0], "responses": 0.9 * (1 + layer)},
        }  # fmt: skip
    about = {
        "network": {"base": "improved", "remove": [], "maps": [384, 384, 256], "units": 4096}, "width": 0.25,
        "input_size": INPUT, "split": "train", "split_pictures": 960, "pictures": 960, "compared": 480, "epochs": EPOCHS,
        "training": TRAINING, "schedule": "cosine", "settled": 0.9, "seed": 0, "layers": layers,
    }  # fmt: skip
    artifacts.save_arrays(folder / "evolution.npz", **arrays)
    artifacts.save_json(folder / "evolution.json", about)


def _projections(near: list[float], side: int, rng: np.random.Generator) -> np.ndarray:
    """float32 (E, M, side, side, 3): a grating of each map, mixed with noise."""
    y, x = np.mgrid[:side, :side]
    projections = []
    for _ in range(MAPS):
        angle, period = rng.uniform(0, np.pi), rng.uniform(3, side / 2)
        wave = np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)[..., None] * rng.uniform(0.2, 1, 3)
        projections.append([share * wave + (1 - share) * _noise(side, rng) for share in near])
    return np.array(projections, dtype=np.float32).swapaxes(0, 1)


def _noise(side: int, rng: np.random.Generator) -> np.ndarray:
    """(side, side, 1): grey squares of 8 pixels, of which a PNG is small."""
    squares = rng.normal(size=(-(-side // 8), -(-side // 8), 1))
    return squares.repeat(8, axis=0).repeat(8, axis=1)[:side, :side]
