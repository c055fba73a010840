"""The files of a group of claims, where several sections of an experiment provide them and some may be left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro.claims import base
from zfrepro.claims.base import AboutNetworks, Decide, Finding
from zfrepro.errors import UserError
from zfrepro.measurements import convergence, runs, transfers
from zfrepro.measurements import files as measured_files
from zfrepro.measurements.estimate import NotMeasured
from zfrepro.measurements.networks import Networks
from zfrepro.storage import artifacts

Needs = Callable[[Any], Mapping[str, str]]


def gather_files(config: Any, parts: Mapping[str, tuple[str, Needs]]) -> dict[str, str]:
    """`part/label` -> file, of parts given as name -> (section of the config, its needs), and what `for_trained_networks` reads.

    The labels of a part named "" stand alone.

    Leaves out parts whose section names no run or whose needs raise LookupError; raises LookupError where none remains.
    """
    files: dict[str, str] = {}
    for part, (section, needs) in parts.items():
        try:
            part_files = needs(config) if getattr(getattr(config, section), "runs", ()) else {}
        except LookupError:
            part_files = {}
        files |= {f"{part}/{label}" if part else label: path for label, path in part_files.items()}
    if not files:
        raise LookupError(
            f"the experiment leaves out {', '.join(dict.fromkeys(section for section, _ in parts.values()))}"
        )
    return files | convergence.needs(config)


def select_part(files: Mapping[str, Path], part: str, without: str) -> dict[str, Path]:
    """Label -> file of one part. Raises NotMeasured with the reason `without` where it was left out."""
    part_files = measured_files.select(files, part)
    if not part_files:
        raise NotMeasured(next(iter(part_files.reasons.values()), without))
    return part_files


def add_sentence(finding: Finding, sentence: str) -> Finding:
    """The finding with another sentence in its reason."""
    return dataclasses.replace(finding, reason=f"{finding.reason} {sentence}".strip())


def name_of_folder(path: Path) -> str:
    return path.parent.name


def about_networks(decide: Decide, *labels: str, run: Callable[[Path], str] = name_of_folder) -> AboutNetworks:
    """`decide` for a claim about what networks do, trained to the end or not; labels and run as of `for_trained_networks`."""
    return AboutNetworks(decide, lambda files: sorted({run(files[label]) for label in labels if label in files}))


def for_trained_networks(
    decide: Decide, *labels: str, run: Callable[[Path], str] = name_of_folder, compares: bool = False
) -> AboutNetworks:
    """`decide` for a claim about what trained networks do: "not reproduced" is inconclusive where they did not converge.

    The networks are those whose results have these labels; `run`: a result's file -> name of its run. `compares`: one training
    of each kind with each other; inconclusive where no network of the experiment was repeated.
    """

    def decide_if_trained(files: Mapping[str, Path]) -> Finding:
        finding = decide(files)
        if compares:
            trained = runs.load(measured_files.select(files, convergence.GROUP))
            finding = base.excuse_unrepeated(finding, Networks(tuple(trained), {}).unrepeated())
        return excuse_unconverged(finding, files, about.names(files))

    about = about_networks(decide_if_trained, *labels, run=run)
    return about


def excuse_unconverged(finding: Finding, files: Mapping[str, Path], names: Iterable[str]) -> Finding:
    """`base.excuse_unconverged` for the runs of these names; their histories are read only where they matter."""
    if finding.verdict != "not reproduced":
        return finding
    return base.excuse_unconverged(finding, convergence.reason(files, names))


def load_arrays(path: Path, *full: str) -> dict[str, np.ndarray]:
    """The arrays of a stage, in which NaN marks what is missing.

    Raises UserError where a number is infinite, or missing in an array whose name starts with one of `full`.
    """
    arrays = artifacts.load_arrays(path)
    for name, values in arrays.items():
        if values.dtype.kind != "f":
            continue
        invalid = ~np.isfinite(values) if name.startswith(full) else np.isinf(values)
        if invalid.any():
            raise UserError(f"{path}: {name} holds {invalid.sum()} values that are not finite; delete it and run again")
    return arrays


def with_missing_sets(finding: Finding, names: Sequence[str], available: Sequence[str]) -> Finding:
    """The finding; its reason names the sets that the claim is about and the experiment lacks."""
    missing = [transfers.NAMES[name] for name in names if name not in available]
    return add_sentence(finding, f"No set here stands in for {' or '.join(missing)}.") if missing else finding
