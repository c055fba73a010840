"""Split a target set into training and test images, without images that are also in the source's training set."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, PositiveInt

from zfrepro.core.folds import Fold, folds, too_small
from zfrepro.errors import UserError
from zfrepro.spec import Base
from zfrepro.storage import artifacts, fold_set
from zfrepro.storage.diverged import explain_not_finite
from zfrepro.storage.prepared_set import PreparedSet

OWN_SPLITS = ("train", "val")  # splits of a set that is not split here
PAIRS, PAIR_SIZE = 12, 64  # most similar pairs that are shown, pixels


class Spec(Base):
    per_class: tuple[PositiveInt, ...] = Field(
        (15, 30),
        description="training images per class; the paper: 15, 30 (Caltech-101); 1-7, 10, 15, 30, 45, 60 (Caltech-256)",
    )
    test_per_class: int = Field(50, ge=1, description="largest number of test images per class; the paper: 50")
    folds: int = Field(5, ge=1, description="random splits; the paper: 5")
    seed: int = Field(0, ge=0, description="seed of the random splits, which all methods share")
    small: Literal["stop", "drop"] = Field(
        "stop", description="if a class has no more images than the largest of per_class: stop, or drop the class"
    )
    duplicates: Literal["stop", "drop"] = Field(
        "stop", description="if two images have the same pixels: stop, or drop the second"
    )
    overlap: float = Field(
        0.95,
        gt=0,
        le=1,
        description="images with at least this correlation with a training image of the source are left out; the default "
        "follows from a measured curve (benchmarks/overlap_curve.py)",
    )
    overlap_size: int = Field(16, ge=4, description="side in pixels of the reduced images that are correlated")
    mirrored: bool = Field(True, description="also compare mirror images")
    crops: bool = Field(
        True, description="also compare parts of the most similar images, to find copies that were cropped or framed"
    )


def run(spec: Spec, images: Path, source: Path, out: Path, device: str = "auto", threads: int = 1) -> None:
    """images, source: manifest.json of the target and of the source set, which has thumbnails of `overlap_size` pixels. Writes
    out/folds.npz, out/overlap.npz (the most similar pairs) and out/folds.json.

    A set with the splits train and val keeps them; per_class, test_per_class and folds are then not used.
    """
    target, against = PreparedSet(images), PreparedSet(source)
    twice = _duplicates(spec, target)
    correlation, match, pairs = _overlap(spec, target, against, device, threads)
    labels = target.labels(None).copy()
    labels[correlation >= spec.overlap] = -1
    labels[[again for again, _ in twice]] = -1
    dropped = {} if _has_own_splits(target) else _too_small(spec, target, labels)
    labels[np.isin(labels, list(dropped))] = -1
    folds_by_size = _folds(spec, target, labels)
    arrays = {
        name: array for k, size_folds in folds_by_size.items() for name, array in fold_set.arrays(size_folds, k).items()
    }
    artifacts.save_arrays(out / "folds.npz", correlation=correlation, source=match, **arrays)
    artifacts.save_arrays(out / "overlap.npz", **pairs)
    files = target.files(None)
    artifacts.save_json(
        out / "folds.json",
        {
            **_summary(spec, target, labels, folds_by_size),
            "dropped": {target.classes[label]: count for label, count in dropped.items()},
            "sha256": {"folds.npz": artifacts.sha256(out / "folds.npz")},
            "overlap": _overlap_summary(spec, target, against, correlation, match),
            "duplicates": [
                {"file": files[a], "of": files[b], "class": target.classes[target.labels(None)[a]]} for a, b in twice
            ],
        },
    )


def _has_own_splits(target: PreparedSet) -> bool:
    return set(OWN_SPLITS) <= set(target.splits)


def _duplicates(spec: Spec, target: PreparedSet) -> list[tuple[int, int]]:
    """(position, position of the first) of every image that was there before. Raises UserError where that is to stop."""
    first: dict[bytes, int] = {}
    digests = [hashlib.sha256(image).digest() for image in target.all_images]
    twice = [(i, j) for i, digest in enumerate(digests) if (j := first.setdefault(digest, i)) != i]
    if twice and spec.duplicates == "stop":
        files = target.files(None)
        raise UserError(
            f"{target.folder}: {files[twice[0][0]]} is the same image as {files[twice[0][1]]}"
            f"{f' (and {len(twice) - 1} more duplicates)' if len(twice) > 1 else ''}; remove it from the data, or "
            "set `duplicates: drop` for this set under `folds`"
        )
    return twice


def _overlap(
    spec: Spec, target: PreparedSet, source: PreparedSet, device: str, threads: int
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Largest correlation and most similar source image of every image; the most similar pairs as images."""
    from zfrepro.core import overlap
    from zfrepro.core.shrinking import thumbnails
    from zfrepro.models import devices

    torch_device = devices.choose(device, threads)
    trained_on = source.reader("train")
    if spec.overlap_size > min(target.size, source.size):
        raise UserError(
            f"folds.overlap_size: {spec.overlap_size} pixels exceed the stored size of {target.folder} or of its source; lower it"
        )
    small_source = source.thumbnails(spec.overlap_size, "train")
    with explain_not_finite(target.folder, f"prepare it and {source.folder} again"):
        correlation, match = overlap.find(
            target.all_images,
            trained_on,
            spec.overlap_size,
            mirrored=spec.mirrored,
            crops=spec.crops,
            device=torch_device,
            small_source=small_source,
        )
    highest = np.argsort(-correlation, kind="stable")[:PAIRS]
    side = min(PAIR_SIZE, target.size, source.size)
    sides = (target.all_images[highest], trained_on[match[highest]])
    small = [thumbnails(images, side).round().byte().numpy() for images in sides]
    names = target.files(None)[highest], source.files("train")[match[highest]]
    pairs = {
        "pairs": np.stack(small, 1),
        "correlation": correlation[highest],
        "left_out": correlation[highest] >= spec.overlap,
        "files": np.stack(names, 1).astype(str),
    }
    return correlation, match, pairs


def _too_small(spec: Spec, target: PreparedSet, labels: np.ndarray) -> dict[int, int]:
    """Class -> its images, of those to drop. Raises UserError where that is to stop, or none would be left."""
    largest = max(spec.per_class)
    small = dict.fromkeys(set(range(len(target.classes))) - set(labels.tolist()), 0)
    small |= too_small(labels[labels >= 0], largest)
    counts = ", ".join(f"{target.classes[label]} ({count})" for label, count in sorted(small.items()))
    if small and (spec.small == "stop" or len(small) == len(target.classes)):
        raise UserError(
            f"{target.folder}: these classes have fewer than {largest} training images and one test image: {counts}; lower "
            "`per_class` for this set under `folds`, or set `small: drop`"
        )
    return dict(sorted(small.items()))


def _folds(spec: Spec, target: PreparedSet, labels: np.ndarray) -> dict[int | None, list[Fold]]:
    if not _has_own_splits(target):
        sizes = sorted(set(spec.per_class))
        return {k: folds(labels, k, spec.test_per_class, spec.folds, spec.seed) for k in sizes}
    train, test = (np.arange(target.count)[target.where(split)] for split in OWN_SPLITS)
    return {None: [Fold(train[labels[train] >= 0], test[labels[test] >= 0])]}


def _summary(
    spec: Spec, target: PreparedSet, labels: np.ndarray, folds_by_size: dict[int | None, list[Fold]]
) -> dict[str, Any]:
    own_splits = None in folds_by_size
    summary = {
        "target": target.manifest["dataset"],
        "digest": target.digest,
        "classes": [name for label, name in enumerate(target.classes) if own_splits or label in labels],
        "pictures": target.count,
        "used": int((labels >= 0).sum()),
        "seed": spec.seed,
        "own_splits": own_splits,
        "folds": len(next(iter(folds_by_size.values()))),
        "per_class": [k for k in folds_by_size if k is not None],
        "test_per_class": spec.test_per_class,
        "test_pictures": {str(k): len(size_folds[0].test) for k, size_folds in folds_by_size.items() if k is not None},
    }
    if own_splits:
        summary |= {
            "train_pictures": len(folds_by_size[None][0].train),
            "val_pictures": len(folds_by_size[None][0].test),
        }
    return summary


def _overlap_summary(
    spec: Spec, target: PreparedSet, source: PreparedSet, correlation: np.ndarray, match: np.ndarray
) -> dict[str, Any]:
    left_out = np.flatnonzero(correlation >= spec.overlap)
    files, labels, source_files = target.files(None), target.labels(None), source.files("train")
    return {
        "source": source.manifest["dataset"],
        "source_pictures": len(source_files),
        "threshold": spec.overlap,
        "size": spec.overlap_size,
        "mirrored": spec.mirrored,
        "crops": spec.crops,
        "largest": round(float(correlation.max()), 4) if len(correlation) else None,
        "left_out": [
            {
                "file": files[i],
                "class": target.classes[labels[i]],
                "source_file": source_files[match[i]],
                "correlation": round(float(correlation[i]), 4),
            }
            for i in left_out
        ],
    }
