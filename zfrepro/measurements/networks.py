"""The trained networks of an experiment by rows of Table 3, and weighted sums of their errors (`paper.printed.Sum`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from zfrepro.measurements import files as measured_files
from zfrepro.measurements import network_errors, runs
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.network_errors import Spread
from zfrepro.measurements.ranks import Ranks, load_ranks, rank_ensemble
from zfrepro.measurements.runs import Run
from zfrepro.paper.printed import Sum, total

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
MAX_NAMED = 3  # networks that are named one by one
ENOUGH_CLASSES = 100  # with fewer, five guesses are more than a twentieth of the classes: top-5 error says little


BASELINE, SHALLOW = "baseline", "baseline-without-3-4-6-7"
FOUR_LAYERS = {SHALLOW: 1, BASELINE: -1}  # what removing layers 3, 4, 6, 7 adds


@dataclass(frozen=True)
class Networks:
    """The networks of an experiment by rows of Table 3, in the views that its Table 2 shows.

    Runs that diverged have no errors: a row counts its other seeds, and a row without any is not attempted.
    """

    runs: tuple[Run, ...]
    scores: Mapping[str, Path]  # run -> scores.npz

    @classmethod
    def load(cls, files: Mapping[str, Path]) -> Networks:
        scores = measured_files.select(files, "scores")
        return cls(tuple(runs.load(files)), scores)

    @property
    def views(self) -> int:
        return runs.views_taken(self.runs)

    @property
    def rows(self) -> list[str]:
        """Those of Table 3 that were trained and did not diverge."""
        return [row for row in ROWS if runs.select_row(self.runs, row)]

    def row(self, row: str) -> list[Run]:
        """The runs of a row, seed by seed. Raises NotMeasured for none, naming run and epoch where they diverged."""
        self._require_trained([row])
        return runs.select_row(self.runs, row)

    def _require_trained(self, rows: Iterable[str]) -> None:
        missing = [row for row in rows if not runs.select_row(self.runs, row)]
        diverged = [
            f"The run {run.diverged}, so {ROWS[row]} has no errors."
            for row in missing
            for run in runs.diverged_in_row(self.runs, row)
        ]
        if diverged:
            raise NotMeasured(" ".join(diverged))
        if missing:
            raise NotMeasured(f"The experiment does not train {'; '.join(ROWS[row] for row in missing)}.")

    def names(self, rows: Iterable[str]) -> list[str]:
        """The runs of these rows that did not diverge."""
        return [run.name for row in rows for run in runs.select_row(self.runs, row)]

    def left_out(self, rows: Iterable[str]) -> str:
        """` Left out: baseline-2048 diverged in epoch 3 (the training loss is NaN).`; "" where none of these rows' runs diverged."""
        diverged = [run.diverged for row in rows for run in runs.diverged_in_row(self.runs, row)]
        return f" Left out: {'; '.join(diverged)}." if diverged else ""

    def require_same_recipe(self, rows: Iterable[str]) -> None:
        """Raises NotMeasured for rows that were not trained, or by recipes that differ."""
        rows = list(dict.fromkeys(rows))
        self._require_trained(rows)
        recipes = [json.loads(self.row(row)[0].recipe) for row in rows]
        differ = sorted(key for key in recipes[0] if any(recipe.get(key) != recipes[0][key] for recipe in recipes))
        if differ:
            raise NotMeasured(f"The networks were trained by different recipes; they differ in {', '.join(differ)}.")

    def tops(self) -> dict[str, int]:
        """`top-5` only where there are classes enough to make it mean something."""
        measured = [run for run in self.runs if not run.diverged]
        enough = bool(measured) and self.ranks(measured[0].name).classes >= ENOUGH_CLASSES
        return {name: k for name, k in TOPS.items() if enough or k == 1}

    def misclassified(self, row: str, k: int, views: int) -> np.ndarray:
        """Bool (seeds, N): whose label is not among the k most probable. Raises NotMeasured where the views were not taken."""
        return np.stack([self._wrong(run, k, views) for run in self.row(row)])

    def error(self, row: str, k: int, views: int) -> Estimate | None:
        """Mean error of a row's seeds, in percent; None where the views were not taken. Raises NotMeasured for no runs."""
        if not all(str(views) in run.errors["views"] for run in self.row(row)):
            return None
        return network_errors.mean_error(self.misclassified(row, k, views), self.spread_of_error(k, views))

    def training_error(self, row: str) -> Estimate:
        """Mean training error of a row's seeds, in percent, top-1, centre view. Raises NotMeasured for no runs."""
        percents = [run.errors["train_top1"] for run in self.row(row)]
        spread = self.spread(lambda run: run.errors["train_top1"])
        return network_errors.mean_training_error(percents, self._train_n({row: 1}), spread)

    def ensemble(self, members: Sequence[Run], k: int, views: int) -> np.ndarray:
        """Bool (1, N): which images the mean of the members' probabilities gets wrong."""
        wrong: np.ndarray = rank_ensemble(self.scores, [run.name for run in members], views) >= k
        return wrong[None]

    def ensemble_error(self, members: Sequence[Run], k: int, views: int) -> Estimate | None:
        """In percent; None where a member was not measured in these views."""
        if not all(str(views) in run.errors["views"] for run in members):
            return None
        return network_errors.mean_error(self.ensemble(members, k, views), self.spread_of_error(k, views), len(members))

    def errors(self, rows: Sum) -> dict[str, Estimate]:
        """`top-5`, `top-1` -> the weighted sum of validation errors."""
        return {name: self.sum_of_errors(rows, k) for name, k in self.tops().items()}

    def below(self, rows: Sum, limit: Sum) -> dict[str, Estimate]:
        """By how much the size of the sum of `rows` stays below that of `limit`: the less certain of both signs."""
        sides = [self.errors(total((1, limit), (sign, rows))) for sign in (-1, 1)]
        return {name: min((side[name] for side in sides), key=lower_end) for name in sides[0]}

    def training(self, rows: Sum) -> Estimate:
        """The weighted sum of training errors, top-1, centre view."""
        self.require_same_recipe(rows)
        terms = [(weight, [run.errors["train_top1"] for run in self.row(row)]) for row, weight in rows.items()]
        spread = self.spread(lambda run: run.errors["train_top1"])
        return self.with_trainings(network_errors.sum_of_training_errors(terms, self._train_n(rows), spread), spread)

    def validation_error(self, k: int) -> Callable[[Run], float | None]:
        """Of a run, top-k, in the views that Table 2 shows; in percent."""
        return lambda run: run.error(f"top{k}", self.views)

    def seed_changes(self, row: str, base: str, measure: Callable[[Run], float | None]) -> list[float]:
        """A number of each seed of a row, minus its mean over the seeds of the base; empty where it was not measured."""
        ours, theirs = ([measure(run) for run in runs.select_row(self.runs, name)] for name in (row, base))
        measured = [number for number in theirs if number is not None]
        if not measured or len(measured) < len(theirs):
            return []
        return [number - fmean(measured) for number in ours if number is not None]

    def gap(self, rows: Sum) -> Estimate:
        """The weighted sum of what top-1 error is higher on validation than on training images, both in the centre view."""
        self.require_same_recipe(rows)
        terms = [
            (weight, self.misclassified(row, 1, 1), [run.errors["train_top1"] for run in self.row(row)])
            for row, weight in rows.items()
        ]
        spread = self.spread(_gap)
        return self.with_trainings(network_errors.sum_of_gaps(terms, self._train_n(rows), spread), spread)

    def spread(self, measure: Callable[[Run], float]) -> Spread | None:
        """`network_errors.seed_spread` of a run's number, over all networks that were trained several times and did not diverge."""
        return network_errors.seed_spread([[measure(run) for run in kind] for kind in self._kinds()])

    def _kinds(self) -> list[list[Run]]:
        """Runs of one network and one recipe, one a seed; those that diverged are left out."""
        kinds: dict[str, list[Run]] = {}
        for run in (run for run in self.runs if not run.diverged):
            kinds.setdefault(f"{runs.full_description(run.spec['network'])} {run.recipe}", []).append(run)
        return [runs.one_per_seed(kind) for kind in kinds.values()]

    def unrepeated(self) -> str:
        """Why nothing shows how much networks differ from training to training, a clause; "" where something does."""
        return describe_unrepeated(sum(len(kind) - 1 for kind in self._kinds()))

    def single_trainings(self, rows: Iterable[str]) -> str:
        """`Trained once: the baseline without layer 7. ...`; "" where each of these rows has several seeds."""
        trained = [row for row in dict.fromkeys(rows) if runs.select_row(self.runs, row)]
        single = [ROWS[row] for row in trained if len(runs.select_row(self.runs, row)) == 1]
        freedom = sum(len(kind) - 1 for kind in self._kinds())
        if not single or freedom < network_errors.MIN_FREEDOM:
            return ""
        count = f"all {len(trained)}" if len(single) == len(trained) else f"{len(single)} of {len(trained)}"
        names = ", ".join(single) if len(single) <= MAX_NAMED else f"{count} networks"
        return (
            f"Trained once: {names}. How much another training would change {'it' if len(single) == 1 else 'them'} is taken from "
            f"the networks that were trained from several seeds, pooled ({freedom} degrees of freedom)."
        )

    def spread_of_error(self, k: int, views: int) -> Spread | None:
        """`spread` of the validation error; None where a network was not measured in these views."""
        if not all(str(views) in run.errors["views"] for run in self.runs if not run.diverged):
            return None
        return self.spread(lambda run: run.errors["views"][str(views)][f"top{k}"])

    def sum_of_errors(self, rows: Sum, k: int) -> Estimate:
        """The weighted sum of validation errors, top-k, also where `tops` leaves k out."""
        self.require_same_recipe(rows)
        terms = [(weight, self.misclassified(row, k, self.views)) for row, weight in rows.items()]
        spread = self.spread_of_error(k, self.views)
        return self.with_trainings(network_errors.sum_of_errors(terms, spread), spread)

    def with_trainings(self, difference: Estimate, spread: Spread | None) -> Estimate:
        """Without an interval where the spread between trainings is not known: images alone do not compare networks."""
        if spread is not None:
            return difference
        return difference.without_interval(self.explain_no_spread())

    def explain_no_spread(self) -> str:
        """Why the spread between trainings is not known, a clause."""
        return self.unrepeated() or "the seeds of every network have the same error"

    def _wrong(self, run: Run, k: int, views: int) -> np.ndarray:
        if str(views) not in run.errors["views"]:
            raise NotMeasured(f"Errors were not measured in {'ten views' if views == 10 else 'the centre view'}.")
        wrong: np.ndarray = self.ranks(run.name).by_views[views] >= k
        return wrong

    def ranks(self, name: str) -> Ranks:
        """Of a run that did not diverge."""
        return load_ranks(name, self.scores[name])

    def _train_n(self, rows: Sum) -> int:
        return min(int(run.errors["train_n"]) for row in rows for run in self.row(row))


def lower_end(estimate: Estimate) -> float:
    """Its lower end; its value where it has no interval."""
    return estimate.value if estimate.low is None else estimate.low


def describe_unrepeated(freedom: int) -> str:
    """Degrees of freedom of the spread between seeds -> why they are too few, a clause, or ""."""
    if freedom >= network_errors.MIN_FREEDOM:
        return ""
    if not freedom:
        return "no network was trained with a second seed, so nothing shows how much another training would change"
    return "only one network was trained with a second seed, and two seeds alone do not show how much another training would change"


def _gap(run: Run) -> float:
    """Missing where the centre view was not taken; `wrong` says so."""
    return (run.error("top1", 1) or 0.0) - float(run.errors["train_top1"])
