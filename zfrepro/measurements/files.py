"""Which files of the stages a measurement reads: label -> path, relative to the experiment's results.

Raises LookupError where the experiment names no run for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zfrepro.measurements import runs

STEMS = {  # stage -> its two files, without suffixes
    "deconvnet": "features",
    "evolution": "evolution",
    "occlusion": "occlusion",
    "invariance": "invariance",
    "correspondence": "correspondence",
}
BASES = ("baseline", "improved")  # rows of Table 3


def select(files: Mapping[str, Path], group: str) -> dict[str, Path]:
    """`label` -> file, of the labels `group/label`."""
    return {label.removeprefix(f"{group}/"): path for label, path in files.items() if label.startswith(f"{group}/")}


def files_of_run(config: Any, stage: str) -> dict[str, str]:
    """`arrays` and `about` of the stage, of the improved network if it is among its runs."""
    stem = f"{stage}/{runs.find_row(config, getattr(config, stage).runs, 'improved')}/{STEMS[stage]}"
    return {"arrays": f"{stem}.npz", "about": f"{stem}.json"}


def occlusion_scores(config: Any) -> dict[str, str]:
    """`scores` and `about`."""
    run = runs.find_row(config, config.occlusion.runs, "improved")
    return {"scores": f"occlusion/{run}/scores.npz", "about": f"occlusion/{run}/occlusion.json"}


def first_layers(config: Any) -> dict[str, str]:
    """`arrays/baseline`, `about/baseline`, `network/baseline`, the same of `improved` and, where it was trained, `unclipped`.

    Raises LookupError where deconvnet.runs lacks one of the two networks.
    """
    files: dict[str, str] = {}
    for label, base, clipped in (("unclipped", "improved", False), *((base, base, True) for base in BASES)):
        names = [name for name in config.deconvnet.runs if _is_of(config.training(name), base, clipped)]
        if names:
            run = runs.find_row(config, names, base)
            stem = f"deconvnet/{run}/features"
            files |= {f"arrays/{label}": f"{stem}.npz", f"about/{label}": f"{stem}.json"}
            files[f"network/{label}"] = f"{config.runs()[run]}/{run}/network.json"
        elif clipped:
            raise LookupError(f"deconvnet.runs names no {base} network with its filters clipped")
    return files


def _is_of(training: Any, base: str, clipped: bool) -> bool:
    return bool(training.network.base == base) and (training.filter_rms is not None) == clipped
