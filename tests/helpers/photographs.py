"""A small tree of one's own photographs: two classes that a network can tell apart, as <split>/<class>/*.png."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("bark", "sky")


def write(root: Path, train: int = 8, val: int = 5, side: int = 72) -> Path:
    """Stripes of either direction in different colours, with noise."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for label, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(_photograph(rng, label, side)).save(folder / f"{i}.png")
    return root


def _photograph(rng: np.random.Generator, label: int, side: int) -> np.ndarray:
    """uint8 (side, side, 3)"""
    wave = 127 + 100 * np.sin(np.arange(side) / rng.uniform(2, 6))
    stripes = np.broadcast_to(wave[:, None] if label else wave, (side, side))
    colours = rng.uniform(0.3, 1, 3)
    noisy = stripes[..., None] * colours + rng.normal(0, 12, (side, side, 3))
    image: np.ndarray = noisy.clip(0, 255).astype(np.uint8)
    return image
