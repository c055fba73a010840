"""Estimate what the jobs of a plan need, before any data are there: images, disk space, operations.

An operation is one multiplication or one addition in a convolution, a fully connected layer or a classifier on frozen features
(probe_cost.py). Normalisation, pooling and the analyses of trained networks (Figs 1, 2 and 4 to 8) are not counted. A training step
counts as three forward passes: one for the scores, one for the gradients of the activations, one for those of the weights.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace

from zfrepro.core.architecture import Conv, Linear, Row, describe, parameter_count
from zfrepro.core.hog import length
from zfrepro.core.recipe import Recipe, faded_to, rate_sum, steps_per_epoch, weight_decay_of
from zfrepro.datasets.counting import count_in_folder
from zfrepro.datasets.published import Counts, lookup_counts
from zfrepro.experiment import left_out, probe_cost
from zfrepro.experiment.config import Config
from zfrepro.graph import SOURCE, TRAINING, Job
from zfrepro.stages import probes, scratch
from zfrepro.stages.features import HOG_LAYER, RANDOM_LAYER
from zfrepro.stages.prepare import parse_options
from zfrepro.storage import artifacts

PASSES = 3  # forward passes that one training step costs
FLOAT_BYTES, HALF_BYTES = 4, 2
BYTES = ("prepared images", "weights and snapshots", "features")
CLASSIFIERS = "linear classifiers"
OPERATIONS = ("training", "evaluation", "features", CLASSIFIERS, "training from scratch on targets")
IN_FLOAT32 = (CLASSIFIERS,)  # purposes that never compute in the precision of training


@dataclass(frozen=True)
class Fading:
    """How far the initial weights of some runs decay in training, see core/recipe.py.

    share: what is left of them at the end, 0..1; for the schedule `stall`, if the validation error never stalled.
    """

    runs: tuple[str, ...]
    weight_decay: float
    share: float


def estimate_fading(config: Config, runs: Iterable[str]) -> list[Fading]:
    """Group the runs by how far their initial weights decay; empty if the size of the source set is unknown."""
    source = count_images(config, SOURCE)
    if source is None:
        return []
    groups: dict[tuple[float, float], list[str]] = {}
    for run in runs:
        groups.setdefault(_decay_and_share(config, run, source), []).append(run)
    return [Fading(tuple(names), decay, share) for (decay, share), names in groups.items()]


def _decay_and_share(config: Config, run: str, source: Counts) -> tuple[float, float]:
    """Weight decay, share of the initial weights that is left."""
    spec = config.training(run)
    recipe = Recipe(**{field.name: getattr(spec, field.name) for field in fields(Recipe)})
    per_epoch = steps_per_epoch(source.splits["train"], spec.batch)
    decay = weight_decay_of(recipe, per_epoch)
    return decay, faded_to(decay, spec.momentum, _rate_sum(replace(recipe, seed=0, filter_rms=None), per_epoch))


@functools.cache
def _rate_sum(recipe: Recipe, per_epoch: int) -> float:
    """Runs of one recipe share it: the paper's whole training has 700,000 steps."""
    return rate_sum(recipe, per_epoch)


@dataclass(frozen=True)
class Cost:
    """Images of each set to prepare (None: unknown until its folder is read); bytes and operations by purpose."""

    images: dict[str, int | None]
    bytes: dict[str, int]
    operations: dict[str, int]


def estimate_cost(config: Config, jobs: Collection[Job]) -> Cost:
    """Cost of the given jobs. A set of unknown size is left out of the sums."""
    sizes = {name: count_images(config, name) for name in config.prepare}
    disk, work = dict.fromkeys(BYTES, 0), dict.fromkeys(OPERATIONS, 0)
    for job in jobs:
        for purpose, amount in job_bytes(config, job, sizes):
            disk[purpose] += amount
        for purpose, amount in job_operations(config, job, sizes):
            work[purpose] += amount
    prepared = {job[1] for job in jobs if job[0] == "prepare"}
    images = {name: size.images if size else None for name, size in sizes.items() if name in prepared}
    return Cost(images, _without_zeros(disk), _without_zeros(work))


def job_bytes(config: Config, job: Job, sizes: Mapping[str, Counts | None]) -> Iterator[tuple[str, int]]:
    """Purpose, one of BYTES, and bytes that the job writes."""
    source = sizes[SOURCE]
    if job[0] == "prepare" and (size := sizes[job[1]]):
        yield (
            "prepared images",
            size.images * (image_bytes(config, job[1]) + config.preparation(job[1]).thumbnail_bytes()),
        )
    elif job[0] in TRAINING and source:
        yield "weights and snapshots", _weight_bytes(config, job[1], source)
    elif job[0] == "features" and source:
        _, target, features = job
        if size := sizes[target]:
            yield (
                "features",
                sum(_feature_lengths(config, features, target, source).values()) * size.images * HALF_BYTES,
            )


def job_operations(config: Config, job: Job, sizes: Mapping[str, Counts | None]) -> Iterator[tuple[str, int]]:
    """Purpose, one of OPERATIONS, and operations that the job computes."""
    source = sizes[SOURCE]
    if job[0] in TRAINING and source:
        yield "training", _training_operations(config, job[1], source)
    elif job[0] == "evaluate" and source:
        yield "evaluation", _evaluation_operations(config, job[1], source)
    elif job[0] == "features" and source:
        _, target, features = job
        if size := sizes[target]:
            yield "features", _feature_operations(config, features, size, source)
    elif job[0] == "probes" and source and (size := sizes[job[1]]):
        yield CLASSIFIERS, _probe_operations(config, job, size, source)
    elif job[0] == "scratch" and (size := sizes[job[1]]):
        yield "training from scratch on targets", _scratch_operations(config, job[1], size)


def _without_zeros(totals: Mapping[str, int]) -> dict[str, int]:
    return {purpose: total for purpose, total in totals.items() if total}


def forward_operations(rows: Iterable[Row]) -> int:
    """Operations of one forward pass of one image."""
    return sum(2 * _multiplications(row) for row in rows)


def _multiplications(row: Row) -> int:
    if isinstance(row.op, Conv):
        return row.size**2 * row.outputs * row.inputs * row.op.kernel**2
    return row.inputs * row.outputs if isinstance(row.op, Linear) else 0


def image_bytes(config: Config, name: str) -> int:
    """Of one prepared image of a set."""
    return config.prepare[name].image_bytes()


def count_images(config: Config, name: str, in_folder: bool = True) -> Counts | None:
    """Size of a set: of the prepared one if it exists, else as counted in its folder, else as published; None if unknown.

    in_folder: whether to look into the folder, which takes a while on a slow disk.
    """
    spec = config.prepare[name]
    path = config.results() / "prepare" / name / "manifest.json"
    if path.is_file():
        manifest = artifacts.load_json(path)
        splits = {split: last - first for split, (first, last) in manifest["splits"].items()}
        return Counts(len(manifest["classes"]), splits)
    options = parse_options(spec)
    if spec.dataset == "scenes":
        listing = importlib.import_module("zfrepro.datasets.scenes").listing(options)
        return Counts(len(listing.classes), {split: len(items) for split, items in listing.splits.items()})
    return (count_in_folder(spec.dataset, options) if in_folder else None) or lookup_counts(spec.dataset, options)


def _rows(config: Config, run: str, classes: int) -> list[Row]:
    spec = config.training(run)
    return describe(spec.network, spec.input_size, classes, spec.width)


def _training_operations(config: Config, run: str, source: Counts) -> int:
    """All epochs, and after each one forward pass of every validation image."""
    passes = PASSES * source.splits["train"] + source.splits.get("val", 0)
    return config.training(run).epochs * passes * forward_operations(_rows(config, run, source.classes))


def _weight_bytes(config: Config, run: str, source: Counts) -> int:
    rows = _rows(config, run, source.classes)
    convolutions = parameter_count([row for row in rows if isinstance(row.op, Conv)])
    return FLOAT_BYTES * (parameter_count(rows) + len(config.training(run).snapshots) * convolutions)


def _evaluation_operations(config: Config, run: str, source: Counts) -> int:
    spec = config.evaluate
    images = sum(spec.views) * source.splits.get("val", 0) + min(spec.train_images, source.splits["train"])
    return images * forward_operations(_rows(config, run, source.classes))


def _feature_operations(config: Config, features: str, target: Counts, source: Counts) -> int:
    run = config.network_of_features(features)
    return target.images * forward_operations(_rows(config, run, source.classes)) if run else 0


def _feature_lengths(config: Config, features: str, target: str, source: Counts) -> dict[int, int]:
    """Layer -> features per image."""
    run = config.network_of_features(features)
    if run is None:
        return {HOG_LAYER: length(config.prepare[target].size)}
    layers = (RANDOM_LAYER,) if features == "random" else config.features.layers
    last_rows: Mapping[int, Row] = {row.layer: row for row in _rows(config, run, source.classes)}
    return {layer: last_rows[layer].outputs * last_rows[layer].size ** 2 for layer in layers if layer in last_rows}


def _probe_operations(config: Config, job: Job, size: Counts, source: Counts) -> int:
    _, target, features = job
    spec = probes.Spec.model_validate_json(config.slice(job))
    lengths = _feature_lengths(config, features, target, source)
    several = target == left_out.SEVERAL and left_out.has_several_classes(config)
    return probe_cost.count_operations(spec, config.folds[target], size, lengths, features, several)


def _scratch_operations(config: Config, target: str, size: Counts) -> int:
    spec = scratch.Spec.model_validate_json(config.slice(("scratch", target)))
    training, split = config.training(config.scratch_run()), config.folds[target]
    images = 0
    for per_class in set(spec.per_class) & set(split.per_class):
        epochs = math.ceil(spec.steps / steps_per_epoch(per_class * size.classes, training.batch))
        images += min(spec.folds, split.folds) * epochs * per_class * size.classes
    return PASSES * images * forward_operations(_rows(config, config.scratch_run(), size.classes))
