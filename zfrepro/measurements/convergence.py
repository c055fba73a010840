"""Whether training converged: networks that did not converge cannot refute a claim about trained networks.

Two signs that they did not. The validation top-1 error of a network that the claim uses still falls over the last fifth of
its epochs by more than its noise. Or the full network (the baseline) fits its training images worse than the one without
layers 3, 4, 6, 7, which it could imitate: then the experiment's trainings are too short for depth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zfrepro.errors import UserError
from zfrepro.measurements import files as measured_files
from zfrepro.measurements import runs
from zfrepro.measurements.intervals import Z
from zfrepro.measurements.runs import Run

LAST = 0.2  # of the epochs
FULL, SHALLOW = "baseline", "baseline-without-3-4-6-7"
GROUP = "trained"
ERROR = "val_top1_error"


@dataclass(frozen=True)
class Fall:
    """Of the validation top-1 error over the last fifth of a training, in percent and points."""

    run: str
    epochs: tuple[int, int]  # that are compared
    errors: tuple[float, float]
    noise: float  # 1.96 standard errors of the difference of two independent shares of the validation images

    @property
    def clear(self) -> bool:
        return self.errors[0] - self.errors[1] > self.noise

    def text(self) -> str:
        """`improved: 60.2 % after epoch 16, 57.1 % after epoch 20, noise 2.8 points`"""
        (first, last), (before, after) = self.epochs, self.errors
        return f"{self.run}: {before:.1f} % after epoch {first}, {after:.1f} % after epoch {last}, noise {self.noise:.1f} points"


def needs(config: Any) -> dict[str, str]:
    """What `reason` reads: label -> file of every run's network, errors and history."""
    histories = {f"history/{name}": f"{stage}/{name}/history.csv" for name, stage in config.runs().items()}
    return {f"{GROUP}/{label}": path for label, path in (runs.needs(config) | histories).items()}


def reason(files: Mapping[str, Path], names: Iterable[str]) -> str:
    """Why the networks of these runs did not converge, without a full stop, for `base.excuse_unconverged`; "" where they converged.

    `files` holds, among others, the labels of `needs`; diverged runs are skipped. Raises UserError for a broken history.
    """
    group_files = measured_files.select(files, GROUP)
    measured = [run for run in runs.load(group_files) if not run.diverged]
    selected = set(names)
    histories = {run.name: group_files[f"history/{run.name}"] for run in measured if run.name in selected}
    return " and ".join(part for part in (_describe_fall(measured, histories), shallow_fits_better(measured)) if part)


def shallow_fits_better(measured: Iterable[Run]) -> str:
    """The numbers, where the baseline's training error is above that of the network without layers 3, 4, 6, 7; else ""."""
    measured = list(measured)
    rows = [[run.errors["train_top1"] for run in runs.select_row(measured, row)] for row in (FULL, SHALLOW)]
    if not all(rows):
        return ""
    full, shallow = (float(np.mean(errors)) for errors in rows)
    if full <= shallow:
        return ""
    return (
        "the full network fits its training images worse than the one without layers 3, 4, 6, 7 (top-1 training error of the "
        f"baseline {full:.1f} %, without them {shallow:.1f} %)"
    )


def last_fall(name: str, history: Path, images: int) -> Fall | None:
    """The row at 80 % of the epochs, at least one before the end, beside the last; None for a single epoch.

    images: of the validation split, on which history.csv measures. Raises UserError for a history that lacks the error.
    """
    errors = _errors(history)
    last = len(errors)
    if last < 2:
        return None
    first = max(1, min(last - 1, math.floor((1 - LAST) * last + 1e-9)))
    before, after = errors[first - 1], errors[last - 1]
    noise = Z * math.sqrt((before * (100 - before) + after * (100 - after)) / images)
    return Fall(name, (first, last), (before, after), noise)


def _describe_fall(measured: Iterable[Run], histories: Mapping[str, Path]) -> str:
    """Names the network whose error falls most beyond its noise. After a single epoch nothing shows that it has ended."""
    images = {run.name: run.errors["n"] for run in measured}
    falls = {name: last_fall(name, path, images[name]) for name, path in histories.items()}
    short = sorted(name for name, fall in falls.items() if fall is None)
    if short:
        return f"{short[0]} was trained for a single epoch"
    clear = [fall for fall in falls.values() if fall and fall.clear]
    if not clear:
        return ""
    clearest = max(clear, key=lambda fall: fall.errors[0] - fall.errors[1] - fall.noise)
    which = f"{len(clear)} of {len(falls)} networks" if len(falls) > 1 else "the network"
    return f"the validation top-1 error of {which} still falls by more than its noise ({clearest.text()})"


def _errors(path: Path) -> list[float]:
    """Validation top-1 error after every epoch, in percent."""
    try:
        errors = pd.read_csv(path)[ERROR].astype(float).to_list()
    except (ValueError, KeyError) as error:
        raise UserError(f"{path}: not a history of training ({error}); delete it and run again") from error
    if not errors or not all(math.isfinite(error) for error in errors):
        raise UserError(f"{path}: lacks the validation error of an epoch; delete it and run again")
    return errors
