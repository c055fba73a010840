"""Which files of the stages a measurement reads: label -> path, relative to the experiment's results.

Raises LookupError where the experiment names no run for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from zfrepro.measurements import runs
from zfrepro.measurements.estimate import NotMeasured
from zfrepro.storage import not_measured

Value = TypeVar("Value")

STEMS = {  # stage -> its two files, without suffixes
    "deconvnet": "features",
    "evolution": "evolution",
    "occlusion": "occlusion",
    "invariance": "invariance",
    "correspondence": "correspondence",
}
BASES = ("baseline", "improved")  # rows of Table 3


class MeasuredFiles(dict[str, Path]):
    """Label -> file, without those of stages that could not measure; asking for one of these raises NotMeasured with the reason."""

    def __init__(self, files: Mapping[str, Path], reasons: Mapping[str, str] | None = None):
        """reasons: label that is left out -> why."""
        super().__init__(files)
        self.reasons = dict(reasons or {})

    def __missing__(self, label: str) -> Path:
        if label in self.reasons:
            raise NotMeasured(self.reasons[label])
        raise KeyError(label)


def leave_out_not_measured(files: Mapping[str, Path]) -> MeasuredFiles:
    """What a stage has recorded as not measurable leaves out all files of its job, by their folder."""
    reasons = {path.parent: reason for path in set(files.values()) if (reason := not_measured.read_reason(path))}
    measured = {label: path for label, path in files.items() if path.parent not in reasons}
    return MeasuredFiles(measured, {label: reasons[files[label].parent] for label in files.keys() - measured.keys()})


def select(files: Mapping[str, Path], group: str) -> MeasuredFiles:
    """`label` -> file, of the labels `group/label`."""
    reasons = getattr(files, "reasons", {})
    return MeasuredFiles(*(_below(labels, f"{group}/") for labels in (files, reasons)))


def _below(labels: Mapping[str, Value], prefix: str) -> dict[str, Value]:
    return {label.removeprefix(prefix): value for label, value in labels.items() if label.startswith(prefix)}


def files_of_run(config: Any, stage: str) -> dict[str, str]:
    """`arrays` and `about` of the stage, of the improved network if it is among its runs."""
    stem = f"{stage}/{runs.find_row(config, _runs_of(config, stage), 'improved')}/{STEMS[stage]}"
    return {"arrays": f"{stem}.npz", "about": f"{stem}.json"}


def occlusion_scores(config: Any) -> dict[str, str]:
    """`scores` and `about`."""
    run = runs.find_row(config, _runs_of(config, "occlusion"), "improved")
    return {"scores": f"occlusion/{run}/scores.npz", "about": f"occlusion/{run}/occlusion.json"}


def first_layers(config: Any) -> dict[str, str]:
    """`arrays/baseline`, `about/baseline`, `network/baseline`, the same of `improved` and, where it was trained, `unclipped`.

    Raises LookupError where deconvnet.runs lacks one of the two networks.
    """
    files: dict[str, str] = {}
    for label, base, clipped in (("unclipped", "improved", False), *((base, base, True) for base in BASES)):
        names = [name for name in _runs_of(config, "deconvnet") if _is_of(config.training(name), base, clipped)]
        if names:
            run = runs.find_row(config, names, base)
            stem = f"deconvnet/{run}/features"
            files |= {f"arrays/{label}": f"{stem}.npz", f"about/{label}": f"{stem}.json"}
            files[f"network/{label}"] = f"{config.runs()[run]}/{run}/network.json"
        elif clipped:
            raise LookupError(f"no {base} network with clipped filters in `deconvnet.runs`")
    return files


def _runs_of(config: Any, stage: str) -> tuple[str, ...]:
    """Raises LookupError naming the section, or its key, that is left out."""
    section = getattr(config, stage)
    if section is None:
        raise LookupError(f"the section `{stage}`")
    if not section.runs:
        raise LookupError(f"a run in `{stage}.runs`")
    names: tuple[str, ...] = section.runs
    return names


def _is_of(training: Any, base: str, clipped: bool) -> bool:
    return bool(training.network.base == base) and (training.filter_rms is not None) == clipped
