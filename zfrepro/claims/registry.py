"""All 42 claims, group by group: the files they read, and their findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zfrepro.claims import ablation, correspondence, imagenet, invariance, layers, occlusion, transfer, visualisation
from zfrepro.claims.base import AboutNetworks, Claim, Finding
from zfrepro.measurements import chance
from zfrepro.measurements import files as measured_files
from zfrepro.measurements.estimate import NotMeasured
from zfrepro.measurements.networks import Networks

COUNT = 42
TRAINED = "imagenet"  # the group that reads all trained networks with their scores


@dataclass(frozen=True)
class Group:
    module: Any  # has needs and CLAIMS
    topic: str
    sections: str  # of the experiment's file that the group needs


GROUPS = {
    "imagenet": Group(imagenet, "ImageNet", "`train`"),
    "ablation": Group(ablation, "Ablation", "`train`, `ablate`"),
    "visualisation": Group(visualisation, "Visualisation", "`deconvnet`, `evolution`, `occlusion`"),
    "invariance": Group(invariance, "Invariance", "`invariance`"),
    "occlusion": Group(occlusion, "Occlusion", "`occlusion`"),
    "correspondence": Group(correspondence, "Correspondence", "`correspondence`"),
    "transfer": Group(transfer, "Transfer", "`folds`, `features`, `scratch`"),
    "layers": Group(layers, "Layers", "`folds`, `features`"),
}


@dataclass(frozen=True)
class JudgedClaim:
    group: str
    claim: Claim
    finding: Finding


def needs(config: Any) -> dict[str, str]:
    """`group/label` -> file, of every group that the experiment measures."""
    files: dict[str, str] = {}
    for name, group in GROUPS.items():
        try:
            files |= {f"{name}/{label}": path for label, path in group.module.needs(config).items()}
        except LookupError:
            continue
    return files


def judge(files: Mapping[str, Path]) -> list[JudgedClaim]:
    """Every claim in the paper's order; those of a group left out, or about a network at chance, are not attempted.

    What a stage could not measure is left out, with its reason.
    """
    judged, files = [], measured_files.leave_out_not_measured(files)
    trained = Networks.load(measured_files.select(files, TRAINED))
    for name, group in GROUPS.items():
        group_files = measured_files.select(files, name)
        judged += [
            JudgedClaim(name, claim, _decide(group, claim, group_files, trained)) for claim in group.module.CLAIMS
        ]
    return judged


def _decide(group: Group, claim: Claim, files: Mapping[str, Path], trained: Networks) -> Finding:
    if not files and not getattr(files, "reasons", {}):
        return Finding("not attempted", f"The experiment leaves out {group.sections}.")
    try:
        if isinstance(claim.decide, AboutNetworks):
            _require_better_than_chance(trained, claim.decide.names(files))
        return claim.decide(files)
    except NotMeasured as reason:
        return Finding("not attempted", str(reason))


def _require_better_than_chance(trained: Networks, names: Iterable[str]) -> None:
    """Raises NotMeasured naming the network that is not."""
    reason = chance.describe(trained, names)
    if reason:
        raise NotMeasured(f"A network decides nothing before it is better than chance: {reason}.")
