"""Read how a target set was split: the folds that `folds` writes, the same for every method.

folds.json   what was kept and left out, and why; the digest of the set it was made for
folds.npz    train15, test15 (and so on for every number of training images per class) int64 (folds, n): positions in the
             set's images.npy. A set that comes with splits of its own has `train` and `test` instead.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zfrepro.core.folds import Fold
from zfrepro.errors import UserError
from zfrepro.storage import artifacts
from zfrepro.storage.prepared_set import PreparedSet


def arrays(folds: list[Fold], per_class: int | None) -> dict[str, np.ndarray]:
    """As they stand in folds.npz."""
    name = "" if per_class is None else str(per_class)
    return {f"train{name}": np.stack([f.train for f in folds]), f"test{name}": np.stack([f.test for f in folds])}


class FoldedSet:
    """The folds of one prepared set. `sizes` are the numbers of training images per class; (None,) for own splits."""

    def __init__(self, summary: Path, target: PreparedSet):
        """Raises UserError where the folds were made for another set, or for this one before it was prepared again."""
        self.path, self.target = Path(summary).with_name("folds.npz"), target
        self.summary = artifacts.load_json(summary)
        if self.summary["digest"] != target.digest:
            raise UserError(f"{summary}: made for other images than those of {target.folder}; delete it and run again")
        self.sizes: tuple[int | None, ...] = tuple(self.summary["per_class"]) or (None,)
        self._arrays = artifacts.load_arrays(self.path)

    def folds(self, per_class: int | None) -> list[Fold]:
        """Raises UserError naming an image that is both a training and a test image."""
        name = "" if per_class is None else str(per_class)
        indices = self._arrays[f"train{name}"], self._arrays[f"test{name}"]
        folds = [Fold(train, test) for train, test in zip(*indices, strict=True)]
        for number, fold in enumerate(folds):
            twice = np.intersect1d(fold.train, fold.test)
            if len(twice):
                raise UserError(
                    f"{self.path}: {self.target.files(None)[twice[0]]} is a training and a test image of fold {number}; "
                    "delete the file and run again"
                )
        return folds
