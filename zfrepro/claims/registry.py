"""All 42 claims, group by group: the files they read, and their findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zfrepro.claims import ablation, correspondence, imagenet, invariance, layers, occlusion, transfer, visualisation
from zfrepro.claims.base import Claim, Finding
from zfrepro.measurements import files as measured_files
from zfrepro.measurements.estimate import NotMeasured

COUNT = 42


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
    """Every claim in the paper's order; those of a group left out are not attempted."""
    judged = []
    for name, group in GROUPS.items():
        group_files = measured_files.select(files, name)
        judged += [JudgedClaim(name, claim, _decide(group, claim, group_files)) for claim in group.module.CLAIMS]
    return judged


def _decide(group: Group, claim: Claim, files: Mapping[str, Path]) -> Finding:
    if not files:
        return Finding("not attempted", f"The experiment leaves out {group.sections}.")
    try:
        return claim.decide(files)
    except NotMeasured as reason:
        return Finding("not attempted", str(reason))
