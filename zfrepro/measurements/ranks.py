"""Ranks of the true labels, from the class probabilities that the stage `evaluate` saves (scores.npz)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zfrepro.core.ranking import label_ranks
from zfrepro.errors import UserError
from zfrepro.storage import artifacts

PREFIX = "probabilities_"  # of the arrays, before the number of views


@dataclass(frozen=True)
class Ranks:
    """One network's."""

    by_views: Mapping[int, np.ndarray]  # views -> (N,) of `label_ranks`
    classes: int
    most_frequent: float  # share of the images whose label is the most frequent one


def load_ranks(run: str, path: Path) -> Ranks:
    """Of scores.npz, read once however many claims ask for it, and again where the file has changed."""
    stat = path.stat()
    return _cached_ranks(run, path, stat.st_mtime_ns, stat.st_size)


def rank_ensemble(scores: Mapping[str, Path], runs: Sequence[str], views: int) -> np.ndarray:
    """(N,): ranks by the mean of the runs' probabilities; scores: run -> scores.npz. Computed once for unchanged files."""
    paths = tuple(scores[run] for run in runs)
    return _cached_ensemble(views, paths, tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in paths))


@functools.cache
def _cached_ensemble(views: int, paths: tuple[Path, ...], _: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Files are read one after another: the probabilities of 50,000 images and 1,000 classes take 0.2 GB."""
    name = f"{PREFIX}{views}"
    mean = sum(artifacts.load_arrays(path, name)[name] / len(paths) for path in paths)
    return label_ranks(np.asarray(mean), artifacts.load_arrays(paths[0], "labels")["labels"])


@functools.cache
def _cached_ranks(run: str, path: Path, *stamp: int) -> Ranks:
    """Raises UserError naming file and run for probabilities that are not finite."""
    scores = artifacts.load_arrays(path)
    by_views, classes = {}, 0
    for name in sorted(set(scores) - {"labels"}):
        classes = scores[name].shape[1]
        try:
            by_views[int(name.removeprefix(PREFIX))] = label_ranks(scores[name], scores["labels"])
        except FloatingPointError as error:
            raise UserError(f"{path}: {name} of run {run}: {error}; delete the file and run again") from error
    counts = np.bincount(scores["labels"])
    return Ranks(by_views, classes, float(counts.max() / counts.sum()))
