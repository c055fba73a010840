"""The first layers of a few networks, as the stage `deconvnet` leaves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro.measurements import intervals
from zfrepro.storage import artifacts

WEAK = 0.1  # of the median RMS: a filter below it counts as dead


@dataclass(frozen=True)
class Layers:
    """One network's first layers."""

    arrays: Mapping[str, np.ndarray]
    about: Mapping[str, Any]
    rms: np.ndarray  # of the filters as they were trained
    clip: float | None

    @property
    def filters(self) -> np.ndarray:
        return self.arrays["filters_1"]

    @property
    def side(self) -> str:
        return f"{self.filters.shape[1]} x {self.filters.shape[2]}"

    @property
    def ratio(self) -> float:
        """Of the largest RMS to the median."""
        return float(self.rms.max() / np.median(self.rms))

    @property
    def peaks(self) -> list[float]:
        """Percent of the filters whose strongest frequency lies in the low, the middle, the high band."""
        band = np.digitize(self.arrays["peaks_1"], self.about["bands"])
        return [100 * float((band == number).mean()) for number in range(3)]

    def grids(self, name: str) -> np.ndarray:
        """float64 (M,), dB: how far the stride's `lines` or `squares` stand out in each map of layer 2; NaN where that is none."""
        contrast = self.arrays[f"{name}_2"].astype(np.float64)
        return 10 * np.log10(contrast, out=np.full(len(contrast), np.nan), where=contrast > 0)

    def grid(self, name: str) -> float | None:
        """Mean of `grids`; None where layer 2 was not projected or shows nothing."""
        if f"{name}_2" not in self.arrays:
            return None
        present = intervals.drop_missing(self.grids(name))
        return float(present.mean()) if len(present) else None

    @property
    def dead(self) -> int:
        return int(((self.rms < WEAK * np.median(self.rms)) | self.arrays["silent_1"]).sum())


def load(files: Mapping[str, Path], label: str) -> Layers:
    spec = artifacts.load_json(files[f"network/{label}"])["spec"]
    arrays = artifacts.load_arrays(files[f"arrays/{label}"])
    rms = arrays["rms_1"] / spec.get("input_scale", 1.0)
    return Layers(arrays, artifacts.load_json(files[f"about/{label}"]), rms, spec["filter_rms"])
