"""Findings about the networks of Table 3, for claims that errors decide."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from zfrepro.claims import base
from zfrepro.claims.base import Effect, Finding
from zfrepro.measurements import convergence
from zfrepro.measurements.estimate import Estimate
from zfrepro.measurements.networks import Networks


def for_networks(rows: Iterable[str], decide: Callable[[Networks], Finding]) -> Callable[[Mapping[str, Path]], Finding]:
    """A claim's `decide`, about what the trained networks of these rows do.

    The reason names seeds left out because they diverged. Where the networks did not converge, "not reproduced" becomes
    "inconclusive".
    """
    rows = tuple(dict.fromkeys(rows))

    def decide_files(files: Mapping[str, Path]) -> Finding:
        networks = Networks.load(files)
        finding = decide(networks)
        if finding.verdict == "not reproduced":
            finding = base.excuse_unconverged(finding, convergence.reason(files, networks.names(rows)))
        return dataclasses.replace(finding, reason=finding.reason + networks.left_out(rows))

    return decide_files


def judge_above_zero(parts: Mapping[str, Estimate], printed: Mapping[str, float]) -> Finding:
    """`base.judge_above` with an effect; `printed`: the paper's own numbers of the same parts, in points."""
    finding = base.judge_above(parts)
    name = finding.part or next(iter(parts))
    return base.with_effect(finding, make_effect(parts[name], printed[name]))


def make_effect(ours: Estimate, printed: float) -> Effect:
    return Effect(ours.value, printed, "the paper's", ours.unit, ours.digits, ours.high)
