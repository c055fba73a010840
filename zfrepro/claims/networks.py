"""What the claims on trained networks compare: weighted sums of the errors of Table 3's rows, ours and the paper's.

A sum is a mapping from row to weight: `{"t3r02": 1, "t3r01": -1}` is what removing layers 3 and 4 adds to the error.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zfrepro import artifacts, paper
from zfrepro.claims import intervals
from zfrepro.claims.base import Estimate, Unattempted
from zfrepro.exhibits import runs
from zfrepro.exhibits.runs import Run

Sum = Mapping[str, float]
ROWS = {
    "t3r01": "the baseline",
    "t3r02": "the baseline without layers 3, 4",
    "t3r03": "the baseline without layer 7",
    "t3r04": "the baseline without layers 6, 7",
    "t3r05": "the baseline without layers 3, 4, 6, 7",
    "t3r06": "the baseline with 2048 units",
    "t3r07": "the baseline with 8192 units",
    "t3r08": "the improved network",
    "t3r09": "the improved network with 2048 units",
    "t3r10": "the improved network with 8192 units",
    "t3r11": "the improved network with 512, 1024, 512 maps",
    "t3r12": "the improved network with 512, 1024, 512 maps and 8192 units",
}
TOPS = {"top-5": 5, "top-1": 1}
ENOUGH_CLASSES = 20  # with fewer, five guesses are a quarter of the classes or more: top-5 error says little


def total(*scaled: tuple[float, Sum]) -> Sum:
    """A weighted sum of sums; rows that cancel are left out."""
    rows = sorted({row for _, one in scaled for row in one})
    summed = {row: sum(factor * one.get(row, 0) for factor, one in scaled) for row in rows}
    return {row: weight for row, weight in summed.items() if weight}


@dataclass(frozen=True)
class Networks:
    """The networks of an experiment by rows of Table 3, in the views that its Table 2 shows."""

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
        """Those of Table 3 that were trained."""
        return [row for row in ROWS if runs.of_row(self.found, row)]

    def row(self, row: str) -> list[Run]:
        """The runs of a row, seed by seed. Raises Unattempted for none."""
        found = runs.of_row(self.found, row)
        if not found:
            raise Unattempted(f"The experiment does not train {ROWS[row]}.")
        return found

    def alike(self, rows: Iterable[str]) -> None:
        """Raises Unattempted for rows that were not trained, or by recipes that differ."""
        rows = list(dict.fromkeys(rows))
        missing = [ROWS[row] for row in rows if not runs.of_row(self.found, row)]
        if missing:
            raise Unattempted(f"The experiment does not train {'; '.join(missing)}.")
        recipes = [json.loads(self.row(row)[0].recipe) for row in rows]
        differ = sorted(key for key in recipes[0] if any(one.get(key) != recipes[0][key] for one in recipes))
        if differ:
            raise Unattempted(f"The networks were not trained alike; they differ in {', '.join(differ)}.")

    def tops(self) -> dict[str, int]:
        """`top-5` only where there are classes enough to make it mean something."""
        enough = _measured(self.scores[self.found[0].name]).classes >= ENOUGH_CLASSES
        return {name: k for name, k in TOPS.items() if enough or k == 1}

    def wrong(self, row: str, k: int, views: int) -> np.ndarray:
        """Bool (seeds, N): whose label is not among the k most probable. Raises Unattempted where the views were not taken."""
        return np.stack([self._wrong(run, k, views) for run in self.row(row)])

    def errors(self, rows: Sum) -> dict[str, Estimate]:
        """`top-5`, `top-1` -> the weighted sum of validation errors."""
        self.alike(rows)
        return {name: self._sum(rows, k) for name, k in self.tops().items()}

    def below(self, rows: Sum, limit: Sum) -> dict[str, Estimate]:
        """By how much the sum of `rows` stays, whatever its sign, below that of `limit`: the less certain of both sides."""
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
        """`intervals.seed_spread` of a run's number, over all networks that were trained several times."""
        kinds: dict[str, list[float]] = {}
        for run in self.found:
            kinds.setdefault(f"{runs.normal(run.spec['network'])} {run.recipe}", []).append(measure(run))
        return intervals.seed_spread(list(kinds.values()))

    def _sum(self, rows: Sum, k: int) -> Estimate:
        terms = [(weight, self.wrong(row, k, self.views)) for row, weight in rows.items()]
        return intervals.of_sums(terms, self.spread(lambda run: run.error(f"top{k}", self.views)))

    def _wrong(self, run: Run, k: int, views: int) -> np.ndarray:
        if str(views) not in run.errors["views"]:
            raise Unattempted(f"Errors were not measured in {'ten views' if views == 10 else 'the centre view'}.")
        return _measured(self.scores[run.name]).ranks[views] >= k

    def _train_n(self, rows: Sum) -> int:
        return min(run.errors["train_n"] for row in rows for run in self.row(row))


def ranks(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,): how many classes of (N, C) are more probable than the label; of equal ones the lower class comes first."""
    of_label = probabilities[np.arange(len(labels)), labels][:, None]
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    return ((probabilities > of_label) | ((probabilities == of_label) & before)).sum(1)


def printed(rows: Sum, what: str = "val_top5") -> float:
    """The same sum of the paper's Table 3; `what` is val_top5, val_top1 or train_top1. In points."""
    table = paper.table("table3_ablation").set_index("row_id")[f"{what}_err_pct"]
    return round(sum(weight * float(table[row]) for row, weight in rows.items()), 2)


def said(rows: Sum) -> str:
    """`+4.3 points of top-5 error, +4.3 of top-1`"""
    return f"{printed(rows):+.1f} points of top-5 error, {printed(rows, 'val_top1'):+.1f} of top-1"


def _gap(run: Run) -> float:
    """Missing where the centre view was not taken; `wrong` says so."""
    return (run.error("top1", 1) or 0.0) - run.errors["train_top1"]


@dataclass(frozen=True)
class _Measured:
    ranks: Mapping[int, np.ndarray]  # views -> (N,) of `ranks`
    classes: int


def _measured(path: Path) -> _Measured:
    found = path.stat()
    return _kept(path, found.st_mtime_ns, found.st_size)


@functools.cache
def _kept(path: Path, *stamp: int) -> _Measured:
    """Read once, however many claims ask. The stamp lets a file be written anew."""
    stored = artifacts.load_arrays(path)
    said = {int(name.removeprefix("probabilities_")): value for name, value in stored.items() if name != "labels"}
    return _Measured(
        {views: ranks(value, stored["labels"]) for views, value in said.items()}, next(iter(said.values())).shape[1]
    )
