"""A tiny but plausible `results/toy/` tree, as the stages write it: nothing is trained, the numbers follow simple rules.

`write(folder)` fills `folder` and gives the settings that the exhibits' `needs` and the report ask for.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import itertools
import json
import types
from pathlib import Path
from typing import Any

import numpy as np
from helpers import toy_correspondence, toy_evolution, toy_first_layers, toy_invariance, toy_transfer
from PIL import Image, ImageDraw

from zfrepro.core.architecture import KINDS, Network, describe, parameter_count
from zfrepro.core.ranking import most_probable
from zfrepro.experiment.config import INSPECTIONS
from zfrepro.storage import artifacts

CLASSES = ["owl", "pony", "lorry", "house", "oak", "kettle", "fish", "kite", "crab", "lamp", "boat", "chair"]
EXHIBITS = (
    "claims",
    "table1_correspondence", "table2_imagenet", "table3_ablations", "table4_caltech101",
    "table5_caltech256", "table6_pascal2012", "table7_layers", "overlap", "fig1_deconvnet", "fig2_features",
    "fig3_architecture", "fig4_evolution", "fig5_invariance", "fig6_first_layers", "fig7_occlusion", "occlusion_score",
    "fig8_masked_parts", "fig9_caltech256", "training_curves",
)  # fmt: skip
INPUT, STORED, WIDTH, EPOCHS, IMAGES = 64, 72, 0.25, 8, 240
BIG = {"base": "improved", "maps": (512, 1024, 512)}
RUNS = {  # name -> stage, network, seed, single-view top-1 error
    "baseline": ("train", {"base": "baseline"}, 0, 39.0),
    "improved": ("train", {"base": "improved"}, 0, 34.5),
    "improved-1": ("train", {"base": "improved"}, 1, 35.1),
    "improved-2": ("train", {"base": "improved"}, 2, 33.9),
    "wide": ("ablate", BIG, 0, 32.2),
    "no-34": ("ablate", {"base": "baseline", "remove": (3, 4)}, 0, 43.8),
    "no-7": ("ablate", {"base": "baseline", "remove": (7,)}, 0, 38.6),
    "no-67": ("ablate", {"base": "baseline", "remove": (6, 7)}, 0, 42.7),
    "no-3467": ("ablate", {"base": "baseline", "remove": (3, 4, 6, 7)}, 0, 66.0),
    "unclipped": ("train", {"base": "improved"}, 0, 35.8),
    "units-2048": ("ablate", {"base": "improved", "units": 2048}, 0, 36.4),
}
MAPS = {1: 9, 2: 4, 3: 4, 4: 4, 5: 4}


def write(results: Path, classes: list[str] = CLASSES, title: str = "Toy experiment") -> dict[str, Any]:
    """Fill `results` (results/toy) and give the report's settings: experiment, title, exhibits, config, reductions."""
    rng = np.random.default_rng(7)
    _prepared(results, "source", "scenes", classes)
    _prepared(results, "caltech101", "scenes", [f"{name} 2" for name in classes])
    labels = rng.integers(len(classes), size=IMAGES)
    for name in RUNS:
        _trained(results, name, classes, labels)
    _features(results / "deconvnet/improved", classes, rng)
    _occlusion(results / "occlusion/improved", classes, rng)
    for toy in (toy_evolution, toy_first_layers, toy_invariance, toy_correspondence):
        toy.write(results, classes, rng)
    toy_transfer.write(results, classes)
    _benchmarks(results / "benchmarks")
    return {
        "experiment": "toy",
        "title": title,
        "exhibits": list(EXHIBITS),
        "config": _settings(title),
        "reductions": ["Networks see 64 pixels instead of 224.", "Training lasts 8 epochs instead of 70."],
    }


def _settings(title: str) -> dict[str, Any]:
    """The experiment as the report prints it."""
    runs = {
        stage: {"runs": {name: run[1] for name, run in RUNS.items() if run[0] == stage}}
        for stage in ("train", "ablate")
    }
    sets = {label: {"dataset": "scenes", "size": STORED} for label in ("source", "caltech101")}
    plain = {"experiment": "toy", "title": title, "prepare": sets, **runs, **toy_transfer.settings()}
    return json.loads(json.dumps(plain))


def config() -> Any:
    """As much of zfrepro.config.Config as the exhibits' `needs` look at."""
    return types.SimpleNamespace(
        train=types.SimpleNamespace(runs={name: {} for name, run in RUNS.items() if run[0] == "train"}),
        ablate=types.SimpleNamespace(runs={name: {} for name, run in RUNS.items() if run[0] == "ablate"}),
        runs=lambda: {name: run[0] for name, run in RUNS.items()},
        training=lambda name: types.SimpleNamespace(
            network=Network(**RUNS[name][1]), seed=RUNS[name][2], filter_rms=spec_of(name)["filter_rms"]
        ),
        **{stage: types.SimpleNamespace(runs=("improved",)) for stage in INSPECTIONS if stage != "deconvnet"},
        deconvnet=types.SimpleNamespace(runs=("improved", "baseline", "unclipped")),
        folds=toy_transfer.settings()["folds"],
        features=types.SimpleNamespace(**toy_transfer.settings()["features"]),
        scratch=types.SimpleNamespace(**toy_transfer.settings()["scratch"]),
    )


def spec_of(name: str) -> dict[str, Any]:
    """The training settings of one run, as stages/train.py writes them."""
    _, network, seed, _ = RUNS[name]
    return {
        "network": Network(**network).model_dump(mode="json"), "width": WIDTH, "input_size": INPUT, "epochs": EPOCHS,
        "batch": 64, "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.0005, "dropout": 0.5, "init": "matched",
        "filter_rms": None if name == "unclipped" else 0.1,
        "crops": "random", "schedule": "cosine", "patience": 5, "factor": 0.1, "precision": "auto",
        "snapshots": [], "seed": seed,
    }  # fmt: skip


def picture(label: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 (size, size, 3): a body, a head or wheels on a ground, somewhere; its form follows from the label."""
    sky, ground, body = (
        tuple(int(v) for v in rng.integers(low, high, 3)) for low, high in ((150, 240), (60, 140), (30, 220))
    )
    image = Image.new("RGB", (4 * size, 4 * size), sky)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, int(size * rng.uniform(2.4, 3.2)), 4 * size, 4 * size), fill=ground)
    x, y, r = (size * rng.uniform(a, b) for a, b in ((1.3, 2.7), (1.6, 2.4), (0.6, 1.0)))
    if label % 3 == 0:
        draw.ellipse((x - r, y - r, x + r, y + r), fill=body)
        for side in (-1, 1):
            draw.ellipse((x + side * r / 2 - r / 4, y - r / 2, x + side * r / 2 + r / 4, y), fill="white")
            draw.ellipse((x + side * r / 2 - r / 8, y - r / 3, x + side * r / 2 + r / 8, y - r / 8), fill="black")
        draw.polygon([(x - r / 6, y), (x + r / 6, y), (x, y + r / 3)], fill=(230, 160, 40))
    elif label % 3 == 1:
        draw.rectangle((x - r, y - r / 2, x + r, y + r / 2), fill=body)
        for side in (-0.6, 0.6):
            draw.ellipse((x + side * r - r / 3, y + r / 3, x + side * r + r / 3, y + r), fill=(30, 30, 34))
    else:
        draw.rectangle((x - r / 6, y, x + r / 6, y + 1.4 * r), fill=(110, 75, 40))
        draw.ellipse((x - r, y - r, x + r, y + r / 2), fill=(40, 120 + label * 5 % 80, 60))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


def _prepared(results: Path, label: str, dataset: str, classes: list[str]) -> None:
    counts = {"train": 960, "val": IMAGES} if label == "source" else {"all": 600}
    ends = np.cumsum([0, *counts.values()]).tolist()
    digests = {
        file: hashlib.sha256((label + file).encode()).hexdigest() for file in ("images.npy", "index.npz", "mean.npy")
    }
    manifest = {
        "dataset": dataset, "options": {"seed": 1}, "size": STORED, "classes": classes, "counts": counts,
        "splits": dict(zip(counts, itertools.pairwise(ends), strict=True)), "sha256": digests,
        "skipped": [{"file": "broken/0001.jpg", "reason": "cut short"}],
    }  # fmt: skip
    artifacts.save_json(results / f"prepare/{label}/manifest.json", manifest)


def _trained(results: Path, name: str, classes: list[str], labels: np.ndarray) -> None:
    stage, _, seed, error = RUNS[name]
    rng = np.random.default_rng([3, *name.encode()])
    spec = spec_of(name)
    network = Network(**RUNS[name][1])
    network_shape, full = describe(network, INPUT, len(classes), WIDTH), describe(network)
    folder = results / stage / name
    summary = {
        "run": name, "spec": spec, "device": "cpu", "precision": "bfloat16", "classes": len(classes), "images": 960,
        "rows": [_row(row) for row in network_shape], "parameters": parameter_count(network_shape), "seconds": 42.0,
        "weight_decay": 0.002, "faded_to": 0.2 if "seed1" in name else 0.25, "diverged": None,
        "full_size": {"rows": [_row(row) for row in full], "parameters": parameter_count(full)},
    }  # fmt: skip
    artifacts.save_json(folder / "network.json", summary)
    artifacts.save_text(
        folder / "model.safetensors.sha256", f"{hashlib.sha256(name.encode()).hexdigest()}  model.safetensors\n"
    )
    artifacts.save_text(folder / "history.csv", _history(error, len(classes)))
    probabilities = {views: _probabilities(labels, error - 1.2 * (views == 10), len(classes), rng) for views in (1, 10)}
    errors = {
        "run": name, "network": spec["network"], "seed": seed, "parameters": summary["parameters"], "width": WIDTH,
        "full_size_parameters": summary["full_size"]["parameters"], "input_size": INPUT, "epochs": EPOCHS,
        "train_top1": error - 5.5, "train_n": 960, "n": IMAGES,
        "views": {str(v): {f"top{k}": _top(p, labels, k) for k in (1, 5)} for v, p in probabilities.items()},
    }  # fmt: skip
    folder = results / "evaluate" / name
    artifacts.save_arrays(
        folder / "scores.npz", labels=labels, **{f"probabilities_{v}": p for v, p in probabilities.items()}
    )
    artifacts.save_json(folder / "errors.json", errors)


def diverge(results: Path, name: str) -> None:
    """Leaves of a run what training and evaluation leave of one whose loss was NaN in epoch 3."""
    what = {"epoch": 3, "step": 120, "what": "the training loss is NaN"}
    network, folder = results / RUNS[name][0] / name / "network.json", results / "evaluate" / name
    artifacts.save_json(network, artifacts.load_json(network) | {"diverged": what})
    errors = artifacts.load_json(folder / "errors.json")
    artifacts.save_json(folder / "errors.json", errors | {"diverged": what, "views": {}, "train_top1": None})
    artifacts.save_arrays(folder / "scores.npz", labels=artifacts.load_arrays(folder / "scores.npz")["labels"])
    history = network.with_name("history.csv")
    head, *epochs = history.read_text().splitlines()
    finished = [] if name == "wide" else epochs[:2]  # or none, where it diverged in its first epoch
    artifacts.save_text(history, "\n".join([head, *finished]) + "\n")


def _row(row: Any) -> dict[str, Any]:
    plain = {field.name: getattr(row, field.name) for field in dataclasses.fields(row) if field.name != "op"}
    window = {field: getattr(row.op, field, None) for field in ("kernel", "stride", "pad")}
    return {**plain, **window, "kind": KINDS[type(row.op)]}


def _probabilities(labels: np.ndarray, error: float, classes: int, rng: np.random.Generator) -> np.ndarray:
    """float32 (n, classes): wrong in about `error` percent."""
    scores = rng.normal(size=(len(labels), classes))
    right = rng.random(len(labels)) * 100 >= error
    scores[np.arange(len(labels)), labels] = np.where(right, scores.max(1) + 0.8, scores.mean(1) + 0.4)
    raised = np.exp(1.5 * scores)
    return (raised / raised.sum(1, keepdims=True)).astype(np.float32)


def _top(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return 100 * float((order != labels[:, None]).all(1).mean())


def _history(error: float, classes: int) -> str:
    lines = [
        "epoch,learning_rate,train_loss,train_top1_error,val_loss,val_top1_error,val_top5_error,seconds,images_per_second"
    ]
    for epoch in range(1, EPOCHS + 1):
        left = np.exp(-epoch / 2.5)
        now = error + (100 - 100 / classes - error) * left
        numbers = (0.01 * (1 - epoch / (EPOCHS + 1)), now / 28, now - 3, now / 30, now, now / 4)
        lines.append(",".join([str(epoch), *(f"{number:.5f}" for number in numbers), "5.1,190"]))
    return "\n".join(lines) + "\n"


def _features(folder: Path, classes: list[str], rng: np.random.Generator) -> None:
    rows = {row.name: row for row in describe(Network(base="improved"), INPUT, len(classes), WIDTH)}
    arrays, layers = {"filters_1": _filters(rows["conv1"].outputs, rng)}, {}
    for layer, count in MAPS.items():
        row = rows[f"conv{layer}"]
        count, tile = min(count, row.outputs), min(row.field, INPUT)
        maps = np.sort(rng.permutation(row.outputs)[:count])
        labels = (
            rng.integers(len(classes), size=(count, 9))
            if layer < 4
            else np.repeat(rng.integers(len(classes), size=(count, 1)), 9, 1)
        )
        patches = np.stack([[_patch(label, tile, rng) for label in nine] for nine in labels])
        arrays |= {
            f"maps_{layer}": maps, f"patches_{layer}": patches, f"pictures_{layer}": rng.integers(IMAGES, size=(count, 9)),
            f"values_{layer}": -np.sort(-rng.gamma(3.0, 2.0, (count, 9)), axis=1).astype(np.float32),
            f"places_{layer}": rng.integers(row.size, size=(count, 9, 2)),
            f"corners_{layer}": rng.integers(INPUT - tile + 1, size=(count, 9, 2)),
            f"projections_{layer}": np.stack([[_edges(patch) for patch in nine] for nine in patches]),
        }  # fmt: skip
        layers[str(layer)] = {
            "child": f"relu{layer}", "maps": row.outputs, "dead": layer % 3, "shown": maps.tolist(), "field": row.field,
            "jump": row.jump, "tile": tile, "files": [[f"val/{i:04d}.png" for i in nine] for nine in arrays[f"pictures_{layer}"]],
            "classes": [[classes[label] for label in nine] for nine in labels],
        }  # fmt: skip
    whole = np.unique(np.concatenate([arrays[f"pictures_{layer}"] for layer in MAPS]))
    arrays |= {"whole_pictures": whole, "whole": np.stack([picture(int(i), INPUT, rng) for i in whole])}
    artifacts.save_arrays(folder / "features.npz", **arrays)
    about = {
        "network": Network(base="improved").model_dump(mode="json"), "width": WIDTH, "input_size": INPUT, "split": "val",
        "pictures": IMAGES, "top": 9, "seed": 0, "layers": layers,
    }  # fmt: skip
    artifacts.save_json(folder / "features.json", about)


def _filters(maps: int, rng: np.random.Generator) -> np.ndarray:
    """float32 (maps, 7, 7, 3): gratings of all directions and colours."""
    y, x = np.mgrid[-3:4, -3:4]
    filters = []
    for _ in range(maps):
        angle, period, phase = rng.uniform(0, np.pi), rng.uniform(2.5, 8), rng.uniform(0, 2 * np.pi)
        wave = np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + phase)
        filters.append(wave[..., None] * rng.uniform(-0.3, 1, 3) * np.exp(-(x**2 + y**2) / 14)[..., None])
    return 0.1 * np.array(filters, dtype=np.float32)


def _patch(label: int, tile: int, rng: np.random.Generator) -> np.ndarray:
    image = picture(int(label), INPUT, rng)
    top, left = rng.integers(INPUT - tile + 1, size=2)
    return image[top : top + tile, left : left + tile]


def _edges(patch: np.ndarray) -> np.ndarray:
    """float32: what changes from pixel to pixel, weaker towards the border: it looks like a projection."""
    values = patch.astype(np.float32) / 255
    edges = 2 * values - np.roll(values, 1, 0) - np.roll(values, 1, 1)
    edges[0], edges[:, 0] = 0, 0
    ramp = np.hanning(len(patch) + 2)[1:-1]
    return (edges * (ramp[:, None] * ramp[None])[..., None]).astype(np.float32)


def _occlusion(folder: Path, classes: list[str], rng: np.random.Generator) -> None:
    square, stride, count = 14, 2, 3
    positions = (INPUT - square) // stride + 1
    y, x = np.mgrid[:positions, :positions] * stride + square / 2
    true = np.array([0, 1, 2]) % len(classes)
    inputs = np.stack([picture(int(label), INPUT, rng) for label in true])
    centres = rng.uniform(0.35, 0.65, (count, 2)) * INPUT
    near = np.stack([np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 180) for cy, cx in centres])
    clean = np.array([0.93, 0.71, 0.55])
    probability = clean[:, None, None] * (1 - 0.9 * near) + 0.01 * rng.random(near.shape)
    label = np.where(probability < 0.25, (true[:, None, None] + 3) % len(classes), true[:, None, None])
    label[2][near[2] > 0.85] = 5 % len(classes)
    projections = np.stack([[_edges(picture(int(t), 59, rng)) for _ in range(4)] for t in true])
    artifacts.save_arrays(
        folder / "occlusion.npz", inputs=inputs, true=true, probability=probability.astype(np.float32),
        **_top_classes("top", label, true, probability, len(classes)),
        **_top_classes("clean_top", true, true, clean, len(classes)),
        activation=(40 * (1 - 0.7 * np.roll(near, 2, 1))).astype(np.float32), map=np.array([3, 17, 40]),
        clean_probability=clean.astype(np.float32), clean_activation=np.full(count, 41.0, np.float32),
        projections=projections, pictures=np.arange(count),
    )  # fmt: skip
    artifacts.save_arrays(folder / "scores.npz", **_scores(rng))
    records = [
        {"picture": i, "file": f"val/{i:04d}.png", "true": classes[t], "correct": True, "box": [20, 20, 44, 44],
         "touching": float(probability[i][near[i] > 0.2].mean()), "elsewhere": float(probability[i][near[i] <= 0.2].mean())}
        for i, t in enumerate(true)
    ]  # fmt: skip
    about = {
        "classes": classes, "input_size": INPUT, "positions": positions, "square": square, "stride": stride, "grey": 124,
        "layer": 5, "split": "val", "seed": 0,
        "score_stride": 6, "split_pictures": IMAGES, "split_correct": 150, "correct_with_box": 120, "correct_with_room": 40,
        "pictures": records, "width": WIDTH,
    }  # fmt: skip
    artifacts.save_json(folder / "occlusion.json", about)


def _top_classes(
    name: str, first: np.ndarray, true: np.ndarray, probability: np.ndarray, classes: int
) -> dict[str, np.ndarray]:
    """Labels and probabilities (..., 5) of the most probable classes; `first` leads, the true class has its `probability`."""
    true = np.broadcast_to(true.reshape(-1, *[1] * (first.ndim - 1)), first.shape)
    rest = (1 - probability) * np.where(first == true, 1, 0.1) / classes
    shares = rest[..., None] * np.linspace(1, 0.9, classes)
    np.put_along_axis(shares, first[..., None], 0.9 * (1 - probability)[..., None], axis=-1)
    np.put_along_axis(shares, true[..., None], probability[..., None], axis=-1)
    labels, top = most_probable(shares.astype(np.float32), 5)
    return {f"{name}_labels": labels, f"{name}_probabilities": top}


def _scores(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """40 images, the true class 0.2 less probable on the object; the first never falls, so it lacks the share of its fall.

    Of the other 39, the last 30 have clear minima; both lie at the same position, but for 12 images 18 pixels apart.
    """
    inside = rng.uniform(0.2, 0.6, 40)
    outside, places = inside + 0.2, rng.integers(0, 8, (2, 40)) * 6
    return {
        "picture": np.arange(40), "clean": inside + 0.3, "inside": inside, "outside": outside, "touching": inside + 0.05,
        "elsewhere": outside + 0.05, "energy": np.append(np.nan, np.full(39, 0.8)),
        "pointing": np.append(np.zeros(10), np.ones(30)), "area": np.full(40, 0.5), "kept": rng.uniform(0.7, 1, 40),
        "kept_inside": np.full(40, 0.6), "kept_outside": np.full(40, 0.9), "projection": np.full(40, 0.9),
        "map_top": places[0], "map_left": places[1] + 18 * (np.arange(40) >= 28), "map_fall": np.full(40, 0.3),
        "map_rival": np.full(40, 0.4), "true_top": places[0], "true_left": places[1], "true_fall": np.full(40, 0.5),
        "true_rival": np.where(np.arange(40) < 10, 0.95, 0.5),
    }  # fmt: skip


def _benchmarks(folder: Path) -> None:
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    times = {"prepare/source": 31.2, "prepare/caltech101": 20.5, "deconvnet/improved": 9.1, "occlusion/improved": 7.7}
    times |= {f"{stage}/{name}": 42.0 for name, (stage, *_) in RUNS.items()}
    for job, seconds in times.items():
        artifacts.save_text(folder / f"{job}.tsv", head + f"{seconds}\t0:00:42\t612.5\t1\t1\t1\t0\t0\t98.1\t41.0\n")


def files_of(name: str, results: Path) -> dict[str, Path]:
    module = importlib.import_module(f"zfrepro.exhibits.{name}")
    return {label: results / path for label, path in module.needs(config()).items()}
