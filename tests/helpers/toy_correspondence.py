"""The outputs of the stage `correspondence` in `results/toy/`: numbers and boxes by simple rules, nothing is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from zfrepro.storage import artifacts

INPUT, SQUARE, GREY, DRAWS, SHOWN, ALL = 64, 10, 124, 4, 5, 8
PARTS = {"right eye": (22, 20), "left eye": (22, 36), "nose": (36, 28)}  # top, left of the square
MEANS = {5: (0.21, 0.22, 0.24, 0.29), 7: (0.30, 0.31, 0.29, 0.32)}  # right eye, left eye, nose, random
OPPOSITE = (0.30, 0.32, 0.25, 0.49)
CHANGED = (0.36, 0.37, 0.40, 0.34)


def write(results: Path, classes: list[str], rng: np.random.Generator) -> None:
    """Fill results/correspondence/improved."""
    folder = results / "correspondence/improved"
    drawn = rng.integers(INPUT - SQUARE + 1, size=(ALL, DRAWS, 2))
    places = np.concatenate([np.tile(np.array(list(PARTS.values())), (ALL, 1, 1)), drawn], axis=1)
    arrays = {
        f"{what}_{layer}": _pairs(means if what == "different" else shares, rng)
        for layer, means in MEANS.items()
        for what, shares in (("different", means), ("unchanged", [1 - share for share in CHANGED]))
    }
    pictures = [{"file": f"val/{classes[0]}/{i:05d}", "class": classes[0]} for i in range(ALL)]
    artifacts.save_arrays(
        folder / "correspondence.npz", inputs=np.stack([_face(rng) for _ in range(SHOWN)]), places=places, **arrays
    )
    about = {
        "network": {"base": "improved", "remove": [], "maps": [384, 384, 256], "units": 4096}, "width": 0.25,
        "input_size": INPUT, "marked_by_hand": False, "square": SQUARE, "grey": GREY, "draws": DRAWS, "split": "val",
        "classes": [classes[0]], "seed": 0, "children": {"5": "pool5", "7": "relu7"}, "pictures": pictures,
        "samples": {name: _sample(count) for name, count in (("shown", SHOWN), ("all", ALL))},
    }  # fmt: skip
    artifacts.save_json(folder / "correspondence.json", about)


def _pairs(shares: tuple[float, ...] | list[float], rng: np.random.Generator) -> np.ndarray:
    """float64 (3 + DRAWS, ALL, ALL), symmetric, about the share of each mask."""
    of_mask = np.array([*shares[:3], *[shares[3]] * DRAWS])
    noise = 0.02 * rng.normal(size=(len(of_mask), ALL, ALL))
    return of_mask[:, None, None] + (noise + noise.transpose(0, 2, 1)) / 2


def _sample(count: int) -> dict:
    layers = {
        str(layer): {
            "active": 0.33,
            "active_in_one": 0.2,
            "masks": {mask: _mask(i, means[i]) for i, mask in enumerate([*PARTS, "random"])},
            "parts_below_random": {"value": 1 - np.mean(means[:3]) / means[3], "low": 0.01, "high": 0.3},
            "part_below_random": {
                part: {"value": 1 - means[i] / means[3], "low": 0.0, "high": 0.4} for i, part in enumerate(PARTS)
            },
        }
        for layer, means in MEANS.items()
    }
    return {"pictures": count, "pairs": count * (count - 1) // 2, "layers": layers}


def _mask(i: int, mean: float) -> dict[str, float]:
    return {
        "mean": mean, "low": mean - 0.03, "high": mean + 0.03, "spread": 0.05, "changed": CHANGED[i],
        "unchanged": 1 - CHANGED[i] - 0.1, "opposite": OPPOSITE[i], "opposite_low": OPPOSITE[i] - 0.02,
        "opposite_high": OPPOSITE[i] + 0.02, "by_chance": 0.49,
    }  # fmt: skip


def _face(rng: np.random.Generator) -> np.ndarray:
    """uint8 (INPUT, INPUT, 3): a head with eyes and a nose where PARTS says."""
    ground, head = (tuple(int(v) for v in rng.integers(low, high, 3)) for low, high in ((150, 240), (60, 200)))
    image = Image.new("RGB", (INPUT, INPUT), ground)
    draw = ImageDraw.Draw(image)
    draw.ellipse((10, 8, 54, 58), fill=head)
    for top, left in PARTS.values():
        draw.ellipse((left + 2, top + 2, left + 8, top + 8), fill="black", outline="white")
    return np.asarray(image)
