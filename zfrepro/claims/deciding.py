"""Findings about the networks of Table 3: what a claim's `decide` is made of, where errors decide it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from zfrepro.claims import base
from zfrepro.claims.base import Effect, Finding
from zfrepro.measurements import convergence
from zfrepro.measurements.estimate import Estimate
from zfrepro.measurements.networks import Networks


def deciding(rows: Iterable[str], decide: Callable[[Networks], Finding]) -> Callable[[Mapping[str, Path]], Finding]:
    """A claim's `decide`, about what the trained networks of these rows do.

    Seeds left out because they diverged are named in the reason; what networks that were not trained out do not reproduce is
    inconclusive.
    """
    rows = tuple(dict.fromkeys(rows))

    def found(files: Mapping[str, Path]) -> Finding:
        networks = Networks.load(files)
        finding = decide(networks)
        if finding.verdict == "not reproduced":
            finding = base.not_trained_out(finding, convergence.reason(files, networks.names(rows)))
        return dataclasses.replace(finding, reason=finding.reason + networks.left_out(rows))

    return found


def above_zero(parts: Mapping[str, Estimate], papers: Mapping[str, float]) -> Finding:
    """`base.above`, sized by the paper's own numbers of the same parts, in points."""
    finding = base.above(parts)
    name = finding.part or next(iter(parts))
    return base.sized(finding, effect(parts[name], papers[name]))


def effect(ours: Estimate, paper: float) -> Effect:
    return Effect(ours.value, paper, "the paper's", ours.unit, ours.digits, ours.high)
