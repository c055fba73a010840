"""Estimate the operations of a job of `probes`: inner products of all features, and Newton's method with them (core/newton.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from zfrepro.datasets.published import Counts
from zfrepro.stages import folds as folds_stage
from zfrepro.stages import probes as probes_stage

# Products with the matrix of inner products that a fit takes, which begins at the weights of the strength before, over the square root
# of its strength C: measured on drawn features of 24 to 100 classes, from easy to hard.
PRODUCTS = {"softmax": 18, "svm": 57, "sigmoids": 18}
MOST = {"softmax": 100, "svm": 300, "sigmoids": 100}  # of a fit, where its strength is large


def count_operations(
    spec: probes_stage.Spec,
    split: folds_stage.Spec,
    images: Counts,
    lengths: Mapping[int, int],
    kind: str,
    several: bool,
) -> int:
    """images: of the target set; lengths: features of an image by layer; kind: as in stages/features.py; several: whether an image
    can have several classes."""
    if several:
        deepest = lengths[max(lengths)]
        return _gram(images.images, deepest) + sum(
            _fits(classifier, images.splits["train"], images.splits["val"], images.classes, spec, spec.inner)
            for classifier in ("softmax", "sigmoids")
        )
    grams = sum(_gram(images.images, length) for length in lengths.values())
    return grams + sum(_of_layer(spec, split, images, layer == max(lengths), kind) for layer in lengths)


def _gram(images: int, length: int) -> int:
    """A multiplication and an addition for every feature of every pair of images."""
    return images**2 * length


def _of_layer(spec: probes_stage.Spec, split: folds_stage.Spec, images: Counts, deepest: bool, kind: str) -> int:
    """All folds, numbers of training images and classifiers."""
    own = {"train", "val"} <= set(images.splits)
    sizes: Sequence[int | None] = [None] if own else sorted(set(split.per_class))
    total = 0
    for size in sizes if spec.curve and deepest else sizes[-1:]:
        train, test, count = _fold(split, images, size)
        parts = min(spec.inner, train // images.classes)
        for classifier in probes_stage.classifiers(kind, size == sizes[-1]):
            total += count * _fits(classifier, train, test, images.classes, spec, parts)
    return total


def _fold(split: folds_stage.Spec, images: Counts, per_class: int | None) -> tuple[int, int, int]:
    """Training images, test images, number of folds."""
    if per_class is None:
        return images.splits["train"], images.splits["val"], 1
    left = images.images / images.classes - per_class
    return per_class * images.classes, round(images.classes * max(1, min(split.test_per_class, left))), split.folds


def _fits(classifier: str, train: int, test: int, classes: int, spec: probes_stage.Spec, parts: int) -> int:
    """Choosing a strength on `parts` parts of the training images, none if there is one, and the fit with it, which goes by way of the
    smaller ones: the largest, if one can be chosen."""
    strengths = sorted(getattr(spec, classifier))
    chosen = strengths if parts > 1 else strengths[: (len(strengths) + 1) // 2]
    total = sum(_fit(classifier, chosen, train, test, classes))
    if parts > 1:
        total += parts * sum(_fit(classifier, strengths, train - train // parts, train // parts, classes))
    return total


def _fit(classifier: str, strengths: Sequence[float], train: int, test: int, classes: int) -> Iterator[int]:
    """Of every strength: the products that find the weights, and those of the test images with them."""
    for strength in strengths:
        products = min(MOST[classifier], PRODUCTS[classifier] * strength**0.5)
        yield round(2 * classes * train * (products * train + test))
