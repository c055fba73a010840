"""What the jobs of a plan need, counted before any of the data are there: pictures, disk, operations.

An operation is one multiplication or one addition of a convolution or a full layer; normalisation, pooling and the classifiers
on frozen features are not counted. A step of training counts as three forward passes: the scores, the gradients of the
activations, those of the weights. Looking into networks (Figs 1, 2 and 4 to 8) is not counted.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from zfrepro.core.architecture import Conv, Full, Row, describe, parameter_count
from zfrepro.core.hog import length
from zfrepro.core.recipe import Recipe, faded_to, rate_sum, steps_per_epoch, weight_decay_of
from zfrepro.datasets.published import Counts, counts
from zfrepro.experiment.config import SOURCE, Config
from zfrepro.running.snakemake_log import Job
from zfrepro.stages import scratch
from zfrepro.stages.features import RANDOM_LAYER
from zfrepro.stages.prepare import options_of
from zfrepro.storage import artifacts

PASSES = 3  # a step of training, in forward passes
FLOAT, HALF = 4, 2  # bytes
BYTES = ("prepared pictures", "weights and snapshots", "features")
OPERATIONS = ("training", "evaluation", "features", "training on targets alone")


@dataclass(frozen=True)
class Fading:
    """How far the first weights fade in the trainings of some runs, see core/recipe.py; `share` 0..1 is what is left at the end.

    For the schedule `stall` it is what would be left if the validation error never stalled.
    """

    runs: tuple[str, ...]
    weight_decay: float
    share: float


def estimate_fading(config: Config, runs: Iterable[str]) -> list[Fading]:
    """Of the named runs, those trained alike together; nothing where the source set's size is not known."""
    source = count_images(config, SOURCE)
    if source is None:
        return []
    found: dict[tuple[float, float], list[str]] = {}
    for run in runs:
        spec = config.training(run)
        recipe = Recipe(**{field.name: getattr(spec, field.name) for field in fields(Recipe)})
        per_epoch = steps_per_epoch(source.splits["train"], spec.batch)
        decay = weight_decay_of(recipe, per_epoch)
        share = faded_to(decay, spec.momentum, rate_sum(recipe, per_epoch))
        found.setdefault((decay, share), []).append(run)
    return [Fading(tuple(names), decay, share) for (decay, share), names in found.items()]


@dataclass(frozen=True)
class Needs:
    """Pictures of each set (None: not known before its folder is read), bytes and operations, by what they are for."""

    pictures: dict[str, int | None]
    bytes: dict[str, int]
    operations: dict[str, int]


def estimate_cost(config: Config, jobs: Sequence[Job]) -> Needs:
    """Of the jobs that are still to run. A set of unknown size is left out of the sums."""
    sets = {name: count_images(config, name) for name in config.prepare}
    source = sets[SOURCE]
    size, work = dict.fromkeys(BYTES, 0), dict.fromkeys(OPERATIONS, 0)
    for job in jobs:
        name = job.name
        if job.rule == "prepare" and sets[name]:
            size["prepared pictures"] += sets[name].pictures * config.prepare[name].size ** 2 * 3
        elif job.rule in ("train", "ablate") and source:
            work["training"] += _training(config, name, source)
            size["weights and snapshots"] += _weights(config, name, source)
        elif job.rule == "evaluate" and source:
            work["evaluation"] += _evaluation(config, name, source)
        elif job.rule == "features":
            target, features = name.split(" ")
            if (found := sets[target]) and source:
                work["features"] += _features(config, features, found, source)
                size["features"] += sum(_dimensions(config, features, target, source)) * found.pictures * HALF
        elif job.rule == "scratch" and sets[name]:
            work["training on targets alone"] += _scratch(config, name, sets[name])
    prepared = {job.name for job in jobs if job.rule == "prepare"}
    pictures = {name: found.pictures if found else None for name, found in sets.items() if name in prepared}
    return Needs(pictures, _filled(size), _filled(work))


def _filled(totals: Mapping[str, int]) -> dict[str, int]:
    return {what: much for what, much in totals.items() if much}


def forward_operations(rows: Iterable[Row]) -> int:
    """Operations of one picture on its way up."""
    return sum(2 * _multiplications(row) for row in rows)


def _multiplications(row: Row) -> int:
    if isinstance(row.op, Conv):
        return row.size**2 * row.outputs * row.inputs * row.op.kernel**2
    return row.inputs * row.outputs if isinstance(row.op, Full) else 0


def count_images(config: Config, name: str) -> Counts | None:
    """What has been prepared if it has, else what is published or can be listed without reading a folder."""
    spec = config.prepare[name]
    manifest = config.results() / "prepare" / name / "manifest.json"
    if manifest.is_file():
        told = artifacts.load_json(manifest)
        return Counts(len(told["classes"]), {split: last - first for split, (first, last) in told["splits"].items()})
    options = options_of(spec)
    if spec.dataset == "scenes":
        listing = importlib.import_module("zfrepro.datasets.scenes").listing(options)
        return Counts(len(listing.classes), {split: len(items) for split, items in listing.splits.items()})
    return counts(spec.dataset, options)


def _rows(config: Config, run: str, classes: int) -> list[Row]:
    spec = config.training(run)
    return describe(spec.network, spec.input_size, classes, spec.width)


def _training(config: Config, run: str, source: Counts) -> int:
    """The epochs, and after each one view of every validation picture."""
    seen = PASSES * source.splits["train"] + source.splits.get("val", 0)
    return config.training(run).epochs * seen * forward_operations(_rows(config, run, source.classes))


def _weights(config: Config, run: str, source: Counts) -> int:
    rows = _rows(config, run, source.classes)
    convolutions = parameter_count([row for row in rows if isinstance(row.op, Conv)])
    return FLOAT * (parameter_count(rows) + len(config.training(run).snapshots) * convolutions)


def _evaluation(config: Config, run: str, source: Counts) -> int:
    spec = config.evaluate
    pictures = sum(spec.views) * source.splits.get("val", 0) + min(spec.train_images, source.splits["train"])
    return pictures * forward_operations(_rows(config, run, source.classes))


def _features(config: Config, features: str, target: Counts, source: Counts) -> int:
    run = config.network_of_features(features)
    return target.pictures * forward_operations(_rows(config, run, source.classes)) if run else 0


def _dimensions(config: Config, features: str, target: str, source: Counts) -> list[int]:
    """Features of a picture, layer by layer."""
    run = config.network_of_features(features)
    if run is None:
        return [length(config.prepare[target].size)]
    wanted = (RANDOM_LAYER,) if features == "random" else config.features.layers
    tops: Mapping[int, Row] = {row.layer: row for row in _rows(config, run, source.classes)}
    return [tops[layer].outputs * tops[layer].size ** 2 for layer in wanted if layer in tops]


def _scratch(config: Config, target: str, found: Counts) -> int:
    spec = scratch.Spec.model_validate_json(config.slice("scratch", target))
    training, split = config.training(config.scratch_run()), config.folds[target]
    pictures = 0
    for k in set(spec.per_class) & set(split.per_class):
        epochs = math.ceil(spec.steps / steps_per_epoch(k * found.classes, training.batch))
        pictures += min(spec.folds, split.folds) * epochs * k * found.classes
    return PASSES * pictures * forward_operations(_rows(config, config.scratch_run(), found.classes))
