"""The networks that an experiment trained, found again as rows of the paper's tables."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zfrepro import paper
from zfrepro.errors import UserError
from zfrepro.storage import artifacts

PLAIN_NETWORK = {"remove": [], "maps": [384, 384, 256], "units": 4096}
NOT_RECIPE = ("network", "seed", "snapshots", "precision")  # what two networks of one recipe may differ in


@dataclass(frozen=True)
class Run:
    """One trained and evaluated network."""

    name: str
    spec: dict[str, Any]  # of its training
    errors: dict[str, Any]  # of its evaluation
    full_size: int  # parameters at full size

    @property
    def recipe(self) -> str:
        """How it was trained, whatever the network and the seed."""
        return json.dumps({k: v for k, v in self.spec.items() if k not in NOT_RECIPE}, sort_keys=True)

    @property
    def diverged(self) -> str:
        """`baseline-2048 diverged in epoch 3 (the training loss is NaN)`; "" for a network that did not."""
        record = self.errors.get("diverged")
        return f"{self.name} diverged in epoch {record['epoch']} ({record['what']})" if record else ""

    def error(self, name: str, views: int) -> float | None:
        """Percent; `name` is top1 or top5. None where that many views were not taken."""
        errors = self.errors["views"].get(str(views))
        return float(errors[name]) if errors else None


def needs(config: Any, scores: bool = False) -> dict[str, str]:
    """Label -> file of every run: how it was trained, its errors and, if asked for, its scores."""
    files = {}
    for name, stage in config.runs().items():
        files[f"network/{name}"] = f"{stage}/{name}/network.json"
        files[f"errors/{name}"] = f"evaluate/{name}/errors.json"
        if scores:
            files[f"scores/{name}"] = f"evaluate/{name}/scores.npz"
    return files


def find_row(config: Any, names: Iterable[str], row: str) -> str:
    """Of the named runs the one with the network of a row of Table 3, else any; of several the lowest seed, whatever their order.

    Raises LookupError for no names.
    """
    network = full_description(paper.VARIANTS[row])
    trainings = {name: config.training(name) for name in names}
    if not trainings:
        raise LookupError("no run is selected for it")
    return min(
        trainings,
        key=lambda name: (
            full_description(trainings[name].network.model_dump()) != network,
            trainings[name].seed,
            name,
        ),
    )


def load(files: Mapping[str, Path]) -> list[Run]:
    """Raises UserError naming the file where an error is not a finite number, unless the run diverged."""
    runs = []
    for label in sorted(files):
        kind, _, name = label.partition("/")
        if kind == "network":
            network, errors = artifacts.load_json(files[label]), artifacts.load_json(files[f"errors/{name}"])
            run = Run(name, network["spec"], errors, network["full_size"]["parameters"])
            _require_finite(run, files[f"errors/{name}"])
            runs.append(run)
    return runs


def _require_finite(run: Run, path: Path) -> None:
    errors = [run.errors["train_top1"], *(error for view in run.errors["views"].values() for error in view.values())]
    if not run.diverged and not all(isinstance(error, int | float) and math.isfinite(error) for error in errors):
        raise UserError(
            f"{path}: run {run.name} has an error that is not a finite number; delete the file and run again"
        )


def full_description(network: Mapping[str, Any]) -> dict[str, Any]:
    """A network's description with all its fields, so that two can be compared."""
    description: dict[str, Any] = json.loads(json.dumps({**PLAIN_NETWORK, **network}))
    return description


def select_row(runs: Iterable[Run], row: str) -> list[Run]:
    """The runs of one row of Table 3: its network, trained by one recipe, seed by seed; those that diverged are left out.

    Where a network was trained in several ways (say, once without clipping its filters), the way of most runs counts. Of runs
    with the same seed, which repeat nothing, the first by name counts.
    """
    return one_per_seed(run for run in _in_row(runs, row) if not run.diverged)


def one_per_seed(runs: Iterable[Run]) -> list[Run]:
    """The first run of each seed, in the order given; the runs are of one network and one recipe."""
    seeds: dict[int, Run] = {}
    for run in runs:
        seeds.setdefault(run.spec["seed"], run)
    return list(seeds.values())


def diverged_in_row(runs: Iterable[Run], row: str) -> list[Run]:
    """The runs of the row that `of_row` leaves out."""
    return [run for run in _in_row(runs, row) if run.diverged]


def _in_row(runs: Iterable[Run], row: str) -> list[Run]:
    runs = list(runs)
    common, wanted = Counter(run.recipe for run in runs), full_description(paper.VARIANTS[row])
    matching = [run for run in runs if full_description(run.spec["network"]) == wanted]
    if not matching:
        return []
    usual = max(sorted({run.recipe for run in matching}), key=lambda recipe: common[recipe])
    return sorted((run for run in matching if run.recipe == usual), key=lambda run: (run.spec["seed"], run.name))


def views_taken(runs: Iterable[Run]) -> int:
    """10 where every run that did not diverge was seen in ten views, else 1."""
    measured = [run for run in runs if not run.diverged]
    return 10 if measured and all("10" in run.errors["views"] for run in measured) else 1
