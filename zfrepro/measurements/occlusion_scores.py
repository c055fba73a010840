"""Occlusion maps of many images, scored against the object's box (Fig 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zfrepro.errors import UserError
from zfrepro.storage import artifacts

NEEDED = (  # NaN where an image does not allow it
    "inside", "outside", "touching", "elsewhere", "energy", "kept_inside", "kept_outside", "projection", "map_fall", "true_fall",
)  # fmt: skip
FALL = 0.2  # of the map's median: a minimum that falls by less is not clear
RIVAL = 0.8  # of the fall at the minimum: nor is one whose rival, further away than the square's side, falls by more


@dataclass(frozen=True)
class Scores:
    """What `core.localisation.scores` gives, name -> (N,), of the images for which all of it is defined."""

    values: Mapping[str, np.ndarray]
    left_out: int  # images that were scored and lack a quantity
    square: int  # pixels of its side

    @classmethod
    def load(cls, files: Mapping[str, Path]) -> Scores:
        """Of the labels of `files.occlusion_scores`. Raises UserError where a number is infinite, or a probability is not one."""
        arrays, about = artifacts.load_arrays(files["scores"]), artifacts.load_json(files["about"])
        invalid = [name for name, values in arrays.items() if np.isinf(values).any()]
        invalid += ["clean"] * bool(len(arrays["clean"]) and not np.isfinite(arrays["clean"]).all())
        if invalid:
            raise UserError(
                f"{files['scores']}: {invalid[0]} holds values that are not finite; delete it and run again"
            )
        defined = np.all([np.isfinite(arrays[name]) for name in NEEDED], axis=0)
        return cls({name: values[defined] for name, values in arrays.items()}, int((~defined).sum()), about["square"])

    def __len__(self) -> int:
        return len(self.values["clean"])

    @property
    def surer(self) -> np.ndarray:
        """bool (N,): the half of the images whose true class is most probable uncovered."""
        surer: np.ndarray = self.values["clean"] >= np.median(self.values["clean"])
        return surer

    @property
    def clear(self) -> np.ndarray:
        """bool (N,): both minima are clear, that of the strongest map and that of P(true class)."""
        clear = [
            (self.values[f"{name}_fall"] >= FALL) & (self.values[f"{name}_rival"] <= RIVAL) for name in ("map", "true")
        ]
        return clear[0] & clear[1]

    def distant_minima(self) -> np.ndarray:
        """bool (C, C), of the C images that are `clear`: the minimum of the strongest map of image i and that of P(true class)
        of image j lie further apart than the square's side. The diagonal is what is observed; off it, what unrelated minima
        would give."""
        minima = {
            name: [self.values[f"{name}_{side}"][self.clear] for side in ("top", "left")] for name in ("map", "true")
        }
        rows, columns = (first[:, None] - second for first, second in zip(minima["map"], minima["true"], strict=True))
        distant: np.ndarray = np.hypot(rows, columns) > self.square
        return distant


def share_by_chance(distant: np.ndarray) -> float:
    """Percent of the pairs of different images, (C, C) bool, that are apart. Raises ValueError for fewer than two images."""
    count = len(distant)
    if count < 2:
        raise ValueError("minima are compared between two images or more")
    return 100 * float(distant.sum() - np.trace(distant)) / (count * (count - 1))
