"""Which files of the stages a measurement reads: label -> path, relative to the experiment's results.

Raises LookupError where the experiment names no run for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zfrepro import paper
from zfrepro.measurements import runs

STEMS = {  # stage -> its two files, without suffixes
    "deconvnet": "features",
    "evolution": "evolution",
    "occlusion": "occlusion",
    "invariance": "invariance",
    "correspondence": "correspondence",
}


BASES = ("baseline", "improved")  # rows of Table 3


def of_one_run(config: Any, stage: str) -> dict[str, str]:
    """`arrays` and `about` of the stage, of the improved network if it is among its runs."""
    stem = f"{stage}/{runs.find_improved(config, getattr(config, stage).runs)}/{STEMS[stage]}"
    return {"arrays": f"{stem}.npz", "about": f"{stem}.json"}


def occlusion_scores(config: Any) -> dict[str, str]:
    """`scores` and `about`."""
    run = runs.find_improved(config, config.occlusion.runs)
    return {"scores": f"occlusion/{run}/scores.npz", "about": f"occlusion/{run}/occlusion.json"}


def first_layers(config: Any) -> dict[str, str]:
    """`arrays/baseline`, `about/baseline`, `network/baseline`, the same of `improved` and, where it was trained, `unclipped`.

    Raises LookupError where deconvnet.runs lacks one of the two networks.
    """
    unclipped = [name for name in config.deconvnet.runs if config.training(name).filter_rms is None]
    files: dict[str, str] = {}
    for label, base in (("unclipped", "improved"), *((base, base) for base in BASES)):
        among = unclipped if label == "unclipped" else [name for name in config.deconvnet.runs if name not in unclipped]
        run = _plain(config, among, base)
        if run is not None:
            stem = f"deconvnet/{run}/features"
            files |= {f"arrays/{label}": f"{stem}.npz", f"about/{label}": f"{stem}.json"}
            files[f"network/{label}"] = f"{config.runs()[run]}/{run}/network.json"
        elif label in BASES:
            raise LookupError(f"deconvnet.runs names no {base} network with its filters clipped")
    return files


def _plain(config: Any, names: Sequence[str], base: str) -> str | None:
    """Of the named runs the one with the network of Table 3's row, else any of that base; of several the lowest seed."""
    row = runs.full_description(paper.VARIANTS[base])
    of_base = [name for name in names if config.training(name).network.base == base]
    ranked = [
        (runs.full_description(config.training(name).network.model_dump()) != row, config.training(name).seed, name)
        for name in of_base
    ]
    return min(ranked)[2] if ranked else None
