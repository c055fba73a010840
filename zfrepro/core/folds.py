"""The protocol of the Caltechs: random folds, and accuracy averaged over classes. Paper section 5.2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fold:
    """Positions of training and test images, int64, disjoint."""

    train: np.ndarray
    test: np.ndarray


def too_small(labels: np.ndarray, per_class: int) -> dict[int, int]:
    """Class -> its images, of the classes that lack `per_class` images to train and one to test."""
    classes, counts = np.unique(labels, return_counts=True)
    small = counts <= per_class
    return dict(zip(classes[small].tolist(), counts[small].tolist(), strict=True))


def folds(labels: np.ndarray, per_class: int, test_per_class: int, count: int, seed: int) -> list[Fold]:
    """`count` random splits: `per_class` training images of every class, and up to `test_per_class` of the others to test.

    labels: int (N,); an image whose label is negative is in no fold. Fewer training images are a prefix of more, so that
    curves over `per_class` compare like with like. Raises ValueError for a class that is `too_small`.
    """
    labels = np.asarray(labels)
    for label, images in too_small(labels[labels >= 0], per_class).items():
        raise ValueError(f"class {label} has {images} images, {per_class} to train and one to test are needed")
    return [_fold(labels, per_class, test_per_class, np.random.default_rng([seed, number])) for number in range(count)]


def _fold(labels: np.ndarray, per_class: int, test_per_class: int, generator: np.random.Generator) -> Fold:
    train, test = [], []
    for label in np.unique(labels[labels >= 0]):
        members = generator.permutation(np.flatnonzero(labels == label))
        train.append(members[:per_class])
        test.append(members[::-1][: min(test_per_class, len(members) - per_class)])
    return Fold(np.concatenate(train), np.concatenate(test))


def mean_class_accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Percent right in each class, averaged over the classes."""
    return 100 * float(np.mean([np.mean(predicted[labels == label] == label) for label in np.unique(labels)]))
