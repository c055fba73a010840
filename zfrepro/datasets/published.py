"""How many images and classes the published data sets hold, for plans that are made before the data are there.

A split's images are assumed to be spread evenly over its classes. ImageNet: ILSVRC 2012. VOC 2012: the classification splits.
Caltech-101 and Caltech-256: without background and clutter, which their readers leave out by default (EXTRA_CLASSES).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Counts:
    """Number of classes, and of images in each split."""

    classes: int
    splits: dict[str, int]

    @property
    def images(self) -> int:
        return sum(self.splits.values())


COUNTS = {
    "imagenet": Counts(1000, {"train": 1_281_167, "val": 50_000}),
    "tiny_imagenet": Counts(200, {"train": 100_000, "val": 10_000}),
    "imagenette": Counts(10, {"train": 9_469, "val": 3_925}),
    "caltech101": Counts(101, {"all": 8_677}),
    "caltech256": Counts(256, {"all": 29_780}),
    "voc2012": Counts(20, {"train": 5_717, "val": 5_823}),
}

EXTRA_CLASSES = {"background": 467, "clutter": 827}  # option of a reader -> images of the class that it adds


def lookup_counts(dataset: str, options: Any) -> Counts | None:
    """Counts of the part that `options`, the data set's Spec, selects; None for a user's own folder."""
    full = COUNTS.get(dataset)
    if full is None:
        return None
    selected = getattr(options, "classes", None)
    classes = len(selected) if isinstance(selected, list) else min(selected or full.classes, full.classes)
    extra = [images for option, images in EXTRA_CLASSES.items() if getattr(options, option, False)]
    splits = {}
    for split, images in full.splits.items():
        limit = getattr(options, "per_class" if split == "all" else f"{split}_per_class", None)
        per_class = images / full.classes
        splits[split] = round(classes * min(per_class, limit or per_class))
        splits[split] += sum(min(count, limit or count) for count in extra)
    return Counts(classes + len(extra), splits)
