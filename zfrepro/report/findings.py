"""The first lines of a report: what was reproduced and what was not, and how far the networks were trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zfrepro.report.counts import TRAIN

Claim = Mapping[str, Any]  # as the table of claims records it

LEADS = (  # a finding: numbers of the claims that may state it, the first that was decided does
    (2, 3),  # the improved network
    (12, 11, 8),  # ablation
    (22, 21, 20),  # projections
    (27, 29),  # occlusion
    (30, 31),  # correspondence
    (32, 33, 37),  # transfer
    (40, 41),  # layers
    (23, 24, 25),  # invariance
)
MOST = 6  # findings
DECIDED = ("reproduced", "reproduced, small", "not reproduced")
ORDER = (*DECIDED, "inconclusive")
PAPER_EPOCHS = 70  # of ImageNet 2012, section 3
CONVERGED = "Not converged"  # begins the reason of a verdict that convergence decides, see claims/base.py


def select(claims: Sequence[Claim]) -> list[Claim]:
    """At most MOST claims, each of another part of the paper; decided ones before inconclusive ones, none that was not attempted."""
    numbered = {claim["number"]: claim for claim in claims}
    leads = [_lead([numbered[number] for number in numbers if number in numbered]) for numbers in LEADS]
    found = [lead for lead in leads if lead is not None]
    decided = [lead for lead in found if lead["verdict"] in DECIDED]
    chosen = (decided + [lead for lead in found if lead not in decided])[:MOST]
    return sorted(chosen, key=lambda claim: (ORDER.index(claim["verdict"]), claim["number"]))


def _lead(candidates: Sequence[Claim]) -> Claim | None:
    measured = [claim for claim in candidates if claim["verdict"] in ORDER]
    decided = [claim for claim in measured if claim["verdict"] in DECIDED]
    return next(iter(decided or measured), None)


def training_extent(networks: Mapping[str, Mapping[str, Any]], claims: Sequence[Claim]) -> str:
    """How many images the networks saw in training, beside the paper's, and how many verdicts wait for more; "" without networks.

    `The networks saw 36,000 images (10 epochs of 3,600) in training, 0.04 % of the paper's 90 million (70 epochs). ...`
    """
    if not networks:
        return ""
    seen = sorted(
        {(network["spec"]["epochs"] * network["images"], network["spec"]["epochs"]) for network in networks.values()}
    )
    share = 100 * seen[-1][0] / (PAPER_EPOCHS * TRAIN)
    waiting = sum(claim["reason"].startswith(CONVERGED) for claim in claims)
    sentences = [
        f"The networks saw {_images_seen(seen, networks)} in training, {_percent(share)} of the paper's 90 million ({PAPER_EPOCHS} epochs)."
    ]
    if waiting:
        verdicts = "one verdict is" if waiting == 1 else f"{waiting} verdicts are"
        sentences.append(f"They had not converged, for which reason {verdicts} inconclusive.")
    return " ".join(sentences)


def _percent(share: float) -> str:
    return f"{share:.2g} %" if share < 10 else f"{share:.0f} %"


def _images_seen(seen: Sequence[tuple[int, int]], networks: Mapping[str, Mapping[str, Any]]) -> str:
    """`36,000 images (10 epochs of 3,600)` where all networks saw as many; else from the fewest to the most."""
    (fewest, _), (most, epochs) = seen[0], seen[-1]
    if len(seen) > 1:
        return f"{fewest:,} to {most:,} images"
    images = next(iter(networks.values()))["images"]
    return f"{most:,} images ({epochs} epoch{'' if epochs == 1 else 's'} of {images:,})"
