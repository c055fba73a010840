"""How many pictures and classes the published data sets hold, for plans that are made before the data are there.

A split's pictures are taken to be spread evenly over its classes. ImageNet: ILSVRC 2012. VOC 2012: the classification splits.
Caltech-101 and Caltech-256: without background and clutter, which their readers leave out unless asked (ASKED).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Counts:
    """Number of classes, and of pictures in each split."""

    classes: int
    splits: dict[str, int]

    @property
    def pictures(self) -> int:
        return sum(self.splits.values())


WHOLE = {
    "imagenet": Counts(1000, {"train": 1_281_167, "val": 50_000}),
    "tiny_imagenet": Counts(200, {"train": 100_000, "val": 10_000}),
    "imagenette": Counts(10, {"train": 9_469, "val": 3_925}),
    "caltech101": Counts(101, {"all": 8_677}),
    "caltech256": Counts(256, {"all": 29_780}),
    "voc2012": Counts(20, {"train": 5_717, "val": 5_823}),
}

ASKED = {"background": 467, "clutter": 827}  # option of a reader -> pictures of the class that it adds


def counts(dataset: str, options: Any) -> Counts | None:
    """Of the part that `options`, the data set's Spec, asks for; None for a user's own folder."""
    whole = WHOLE.get(dataset)
    if whole is None:
        return None
    chosen = getattr(options, "classes", None)
    classes = len(chosen) if isinstance(chosen, list) else min(chosen or whole.classes, whole.classes)
    more = [pictures for option, pictures in ASKED.items() if getattr(options, option, False)]
    splits = {}
    for split, pictures in whole.splits.items():
        limit = getattr(options, "per_class" if split == "all" else f"{split}_per_class", None)
        each = pictures / whole.classes
        splits[split] = round(classes * min(each, limit or each)) + sum(min(one, limit or one) for one in more)
    return Counts(classes + len(more), splits)
