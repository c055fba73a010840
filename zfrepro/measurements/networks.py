"""What the claims on trained networks compare: weighted sums of the errors of Table 3's rows, ours and the paper's.

A sum is a mapping from row to weight: `{"baseline-without-3-4": 1, "baseline": -1}` is what removing layers 3 and 4
adds to the error.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zfrepro import paper
from zfrepro.core.ranking import label_ranks
from zfrepro.errors import UserError
from zfrepro.measurements import intervals, runs
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.runs import Run
from zfrepro.storage import artifacts

Sum = Mapping[str, float]
ROWS = {
    "baseline": "the baseline",
    "baseline-without-3-4": "the baseline without layers 3, 4",
    "baseline-without-7": "the baseline without layer 7",
    "baseline-without-6-7": "the baseline without layers 6, 7",
    "baseline-without-3-4-6-7": "the baseline without layers 3, 4, 6, 7",
    "baseline-2048": "the baseline with 2048 units",
    "baseline-8192": "the baseline with 8192 units",
    "improved": "the improved network",
    "improved-2048": "the improved network with 2048 units",
    "improved-8192": "the improved network with 8192 units",
    "improved-wide": "the improved network with 512, 1024, 512 maps",
    "improved-wide-8192": "the improved network with 512, 1024, 512 maps and 8192 units",
}
TOPS = {"top-5": 5, "top-1": 1}
PRINTED = {"top-5": "val_top5", "top-1": "val_top1"}  # columns of the paper's Table 3
ENOUGH_CLASSES = 100  # with fewer, five guesses are more than a twentieth of the classes: top-5 error says little


BASELINE, SHALLOW = "baseline", "baseline-without-3-4-6-7"
BOTH = {SHALLOW: 1, BASELINE: -1}  # what removing layers 3, 4, 6, 7 adds


def total(*scaled: tuple[float, Sum]) -> Sum:
    """A weighted sum of sums; rows that cancel are left out."""
    rows = [row for row in ROWS if any(row in one for _, one in scaled)]
    summed = {row: sum(factor * one.get(row, 0) for factor, one in scaled) for row in rows}
    return {row: weight for row, weight in summed.items() if weight}


@dataclass(frozen=True)
class Networks:
    """The networks of an experiment by rows of Table 3, in the views that its Table 2 shows.

    Runs that diverged have no errors: a row counts its other seeds, and a row without any is not attempted.
    """

    found: tuple[Run, ...]
    scores: Mapping[str, Path]  # run -> scores.npz

    @classmethod
    def load(cls, files: Mapping[str, Path]) -> Networks:
        scores = {label.removeprefix("scores/"): path for label, path in files.items() if label.startswith("scores/")}
        return cls(tuple(runs.load(files)), scores)

    @property
    def views(self) -> int:
        return runs.views_taken(self.found)

    @property
    def rows(self) -> list[str]:
        """Those of Table 3 that were trained and did not diverge."""
        return [row for row in ROWS if runs.of_row(self.found, row)]

    def row(self, row: str) -> list[Run]:
        """The runs of a row, seed by seed. Raises NotMeasured for none, naming run and epoch where they diverged."""
        self._require([row])
        return runs.of_row(self.found, row)

    def _require(self, rows: Iterable[str]) -> None:
        missing = [row for row in rows if not runs.of_row(self.found, row)]
        diverged = {row: runs.diverged_in_row(self.found, row) for row in missing}
        gone = [
            f"The run {run.diverged}, so {ROWS[row]} has no errors." for row, some in diverged.items() for run in some
        ]
        if gone:
            raise NotMeasured(" ".join(gone))
        if missing:
            raise NotMeasured(f"The experiment does not train {'; '.join(ROWS[row] for row in missing)}.")

    def names(self, rows: Iterable[str]) -> list[str]:
        """The runs of these rows that did not diverge."""
        return [run.name for row in rows for run in runs.of_row(self.found, row)]

    def left_out(self, rows: Iterable[str]) -> str:
        """` Left out: no-34 diverged in epoch 3 (the training loss is NaN).`; "" where none of these rows' runs diverged."""
        gone = [run.diverged for row in rows for run in runs.diverged_in_row(self.found, row)]
        return f" Left out: {'; '.join(gone)}." if gone else ""

    def alike(self, rows: Iterable[str]) -> None:
        """Raises NotMeasured for rows that were not trained, or by recipes that differ."""
        rows = list(dict.fromkeys(rows))
        self._require(rows)
        recipes = [json.loads(self.row(row)[0].recipe) for row in rows]
        differ = sorted(key for key in recipes[0] if any(one.get(key) != recipes[0][key] for one in recipes))
        if differ:
            raise NotMeasured(f"The networks were not trained alike; they differ in {', '.join(differ)}.")

    def tops(self) -> dict[str, int]:
        """`top-5` only where there are classes enough to make it mean something."""
        measured = [run for run in self.found if not run.diverged]
        enough = bool(measured) and self._measured(measured[0]).classes >= ENOUGH_CLASSES
        return {name: k for name, k in TOPS.items() if enough or k == 1}

    def wrong(self, row: str, k: int, views: int) -> np.ndarray:
        """Bool (seeds, N): whose label is not among the k most probable. Raises NotMeasured where the views were not taken."""
        return np.stack([self._wrong(run, k, views) for run in self.row(row)])

    def error(self, row: str, k: int, views: int) -> Estimate | None:
        """Mean error of a row's seeds, in percent; None where the views were not taken. Raises NotMeasured for no runs."""
        if not all(str(views) in run.errors["views"] for run in self.row(row)):
            return None
        return intervals.of_error(self.wrong(row, k, views), self.spread_of_error(k, views))

    def training_error(self, row: str) -> Estimate:
        """Mean training error of a row's seeds, in percent, top-1, centre view. Raises NotMeasured for no runs."""
        percents = [run.errors["train_top1"] for run in self.row(row)]
        spread = self.spread(lambda run: run.errors["train_top1"])
        return intervals.of_training_error(percents, self._train_n({row: 1}), spread)

    def ensemble(self, members: Sequence[Run], k: int, views: int) -> np.ndarray:
        """Bool (1, N): which images the mean of the members' probabilities gets wrong."""
        stored = [_stored(run.name, self.scores[run.name]) for run in members]
        mean = sum(one[f"probabilities_{views}"] / len(stored) for one in stored)
        return (label_ranks(np.asarray(mean), stored[0]["labels"]) >= k)[None]

    def ensemble_error(self, members: Sequence[Run], k: int, views: int) -> Estimate | None:
        """In percent; None where a member was not measured in these views."""
        if not all(str(views) in run.errors["views"] for run in members):
            return None
        return intervals.of_error(self.ensemble(members, k, views), self.spread_of_error(k, views), len(members))

    def errors(self, rows: Sum) -> dict[str, Estimate]:
        """`top-5`, `top-1` -> the weighted sum of validation errors."""
        self.alike(rows)
        return {name: self._sum(rows, k) for name, k in self.tops().items()}

    def below(self, rows: Sum, limit: Sum) -> dict[str, Estimate]:
        """By how much the size of the sum of `rows` stays below that of `limit`: the less certain of both signs."""
        sides = [self.errors(total((1, limit), (sign, rows))) for sign in (-1, 1)]
        return {name: min((side[name] for side in sides), key=lambda one: one.low) for name in sides[0]}

    def training(self, rows: Sum) -> Estimate:
        """The weighted sum of training errors, top-1, centre view."""
        self.alike(rows)
        terms = [(weight, [run.errors["train_top1"] for run in self.row(row)]) for row, weight in rows.items()]
        return intervals.of_training(terms, self._train_n(rows), self.spread(lambda run: run.errors["train_top1"]))

    def gap(self, rows: Sum) -> Estimate:
        """The weighted sum of what top-1 error is higher on validation than on training pictures, both in the centre view."""
        self.alike(rows)
        terms = [
            (weight, self.wrong(row, 1, 1), [run.errors["train_top1"] for run in self.row(row)])
            for row, weight in rows.items()
        ]
        return intervals.of_gaps(terms, self._train_n(rows), self.spread(_gap))

    def spread(self, measure: Callable[[Run], float]) -> tuple[float, int] | None:
        """`intervals.seed_spread` of a run's number, over all networks that were trained several times and did not diverge."""
        kinds: dict[str, list[float]] = {}
        for run in (run for run in self.found if not run.diverged):
            kinds.setdefault(f"{runs.normal(run.spec['network'])} {run.recipe}", []).append(measure(run))
        return intervals.seed_spread(list(kinds.values()))

    def spread_of_error(self, k: int, views: int) -> tuple[float, int] | None:
        """`spread` of the validation error; None where a network was not measured in these views."""
        if not all(str(views) in run.errors["views"] for run in self.found if not run.diverged):
            return None
        return self.spread(lambda run: run.errors["views"][str(views)][f"top{k}"])

    def _sum(self, rows: Sum, k: int) -> Estimate:
        terms = [(weight, self.wrong(row, k, self.views)) for row, weight in rows.items()]
        return intervals.of_sums(terms, self.spread_of_error(k, self.views))

    def _wrong(self, run: Run, k: int, views: int) -> np.ndarray:
        if str(views) not in run.errors["views"]:
            raise NotMeasured(f"Errors were not measured in {'ten views' if views == 10 else 'the centre view'}.")
        return self._measured(run).ranks[views] >= k

    def _measured(self, run: Run) -> _Measured:
        path = self.scores[run.name]
        found = path.stat()
        return _kept(run.name, path, found.st_mtime_ns, found.st_size)

    def _train_n(self, rows: Sum) -> int:
        return min(run.errors["train_n"] for row in rows for run in self.row(row))


def printed_errors(rows: Sum) -> dict[str, float]:
    """`top-5`, `top-1` -> the sum by the paper's Table 3, in points."""
    return {top: printed(rows, what) for top, what in PRINTED.items()}


def printed(rows: Sum, what: str = "val_top5") -> float:
    """The same sum of the paper's Table 3; `what` is val_top5, val_top1 or train_top1. In points."""
    table = paper.table("table3_ablation").set_index("name")[f"{what}_err_pct"]
    return round(sum(weight * float(table[row]) for row, weight in rows.items()), 2)


def said(rows: Sum) -> str:
    """`+4.3 points of top-5 error, +4.3 of top-1`"""
    return f"{printed(rows):+.1f} points of top-5 error, {printed(rows, 'val_top1'):+.1f} of top-1"


def _gap(run: Run) -> float:
    """Missing where the centre view was not taken; `wrong` says so."""
    return (run.error("top1", 1) or 0.0) - run.errors["train_top1"]


@dataclass(frozen=True)
class _Measured:
    ranks: Mapping[int, np.ndarray]  # views -> (N,) of `label_ranks`
    classes: int


def _stored(run: str, path: Path) -> Mapping[str, np.ndarray]:
    """labels (N,), probabilities_1 and probabilities_10 (N, C). Raises UserError where one is not finite."""
    stored = artifacts.load_arrays(path)
    for name, values in stored.items():
        if name != "labels" and not np.isfinite(values).all():
            raise UserError(
                f"{path}: {name} of run {run} holds values that are not finite; delete the file and run again"
            )
    return stored


@functools.cache
def _kept(run: str, path: Path, *stamp: int) -> _Measured:
    """Read once, however many claims ask. The stamp lets a file be written again."""
    stored = _stored(run, path)
    said = {int(name.removeprefix("probabilities_")): value for name, value in stored.items() if name != "labels"}
    return _Measured(
        {views: label_ranks(value, stored["labels"]) for views, value in said.items()},
        next(iter(said.values())).shape[1],
    )
