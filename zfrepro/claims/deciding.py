"""Findings about the networks of Table 3, for claims that errors decide."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from zfrepro.claims import base, parts
from zfrepro.claims.base import AboutNetworks, Effect, Finding
from zfrepro.measurements.estimate import Estimate
from zfrepro.measurements.networks import Networks


def for_networks(rows: Iterable[str], decide: Callable[[Networks], Finding], compares: bool = True) -> AboutNetworks:
    """A claim's `decide`, about what the trained networks of these rows do.

    The reason names seeds left out because they diverged. Where the networks did not converge, "not reproduced" becomes
    "inconclusive". `compares`: networks with each other; then the remark names those that were trained once.
    """
    rows = tuple(dict.fromkeys(rows))

    def decide_files(files: Mapping[str, Path]) -> Finding:
        networks = Networks.load(files)
        finding = parts.excuse_unconverged(decide(networks), files, networks.names(rows))
        remark = networks.single_trainings(rows) if compares else ""
        return dataclasses.replace(finding, reason=finding.reason + networks.left_out(rows), remark=remark)

    return AboutNetworks(decide_files, lambda files: Networks.load(files).names(rows))


def judge_above_zero(estimates: Mapping[str, Estimate], printed: Mapping[str, float], comparisons: int = 0) -> Finding:
    """`base.judge_above` with an effect; `printed`: the paper's own numbers of the same parts, in points."""
    finding = base.judge_above(estimates, comparisons=comparisons)
    name = finding.part or next(iter(estimates))
    return base.with_effect(finding, make_effect(estimates[name], printed[name]))


def make_effect(ours: Estimate, printed: float) -> Effect:
    return Effect(ours.value, printed, "the paper's", ours.unit, ours.digits, ours.high, ours.interval)
