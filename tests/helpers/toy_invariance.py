"""The outputs of `invariance` by simple rules: layer 7 changes linearly, layer 1 saturates, rotation lowers the probability most."""

from pathlib import Path

import numpy as np

from zfrepro.storage import artifacts

SHOWN, PICTURES = 5, 24


def write(results: Path, classes: list[str], rng: np.random.Generator) -> None:
    amounts = {"shift": np.arange(-20.0, 21, 4), "scale": np.linspace(1, 2, 9), "turn": np.arange(0.0, 361, 15)}
    steepness = rng.uniform(0.8, 1.2, (PICTURES, 1))
    arrays = {"pictures": np.arange(PICTURES), "labels": np.arange(PICTURES) % len(classes), **amounts}
    arrays["correct"] = np.arange(PICTURES) % 4 > 0
    for kind, neutral in (("shift", 0.0), ("scale", 1.0), ("turn", 0.0)):
        far = np.abs(amounts[kind] - neutral)
        far = far / far.max() if kind != "turn" else np.minimum(far, 360 - far) / 180
        arrays[f"distance1_{kind}"] = (5 * steepness * (1 - np.exp(-8 * far))).astype(np.float32)
        arrays[f"distance7_{kind}"] = (0.7 * steepness * far).astype(np.float32)
        arrays[f"probability_{kind}"] = np.repeat(0.9 - (0.8 if kind == "turn" else 0.3) * far[None], PICTURES, 0)
        arrays[f"views_{kind}"] = rng.integers(0, 256, (SHOWN, 8, 64, 64, 3), dtype=np.uint8)
    folder = results / "invariance/improved"
    artifacts.save_arrays(folder / "invariance.npz", **arrays)
    images = [
        {"picture": i, "file": f"val/{i:04d}.png", "class": classes[i % len(classes)], "correct": bool(i % 4)}
        for i in range(PICTURES)
    ]
    about = {
        "input_size": 64, "width": 0.25, "shift": 20, "scale": 2.0, "split": "val", "seed": 0, "shown": SHOWN, "pictures": images,
        "children": {"1": "norm1", "7": "dropout7"}, "largest": {"1": 48**0.5, "7": 2**0.5},
    }  # fmt: skip
    artifacts.save_json(folder / "invariance.json", about)
