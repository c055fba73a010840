"""Sentences on how many images and classes the prepared sets have, where the paper had others: known once they are prepared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SOURCE, CLASSES = "source", 1000
TRAIN, VAL = 1_281_167, 50_000  # ImageNet 2012; the paper prints 1.3M and 50k
TARGETS = {
    "caltech101": 9_144,
    "caltech256": 30_607,
}  # images, as the paper counts them; of VOC 2012 it prints no number


def list_count_reductions(manifests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """manifests: name of a set -> its manifest.json."""
    return [*_source(manifests.get(SOURCE)), *_targets(manifests)]


def _source(manifest: Mapping[str, Any] | None) -> Iterator[str]:
    if manifest is None:
        return
    train, val, classes = (_images(manifest, "train"), _images(manifest, "val"), len(manifest["classes"]))
    if (train, classes) != (TRAIN, CLASSES):
        yield (
            f"Networks are trained on {_count(train, 'image')} of {_count(classes, 'class')} instead of the paper's 1.3 million "
            f"of {CLASSES:,}."
        )
    if val != VAL:
        yield f"They are validated on {_count(val, 'image')} instead of {VAL:,}."


def _targets(manifests: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, printed in TARGETS.items():
        manifest = manifests.get(name)
        images = sum(last - first for first, last in manifest["splits"].values()) if manifest else printed
        if manifest and images != printed:
            yield f"{name}: {_count(images, 'image')} of {_count(len(manifest['classes']), 'class')} instead of {printed:,} images."


def _images(manifest: Mapping[str, Any], split: str) -> int:
    first, last = manifest["splits"].get(split, (0, 0))
    return int(last - first)


def _count(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
