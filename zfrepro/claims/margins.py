"""Verdicts on one network: decided only where another training of it would hardly change them.

Claims 17 to 41 look at one network (17 to 19 at one of each kind). Their intervals cover what other images, maps, filters or
folds would change, but not what another training would. So a part is judged with its interval widened on both sides by a
margin: half of the effect that would count as small (`base.SMALL`), unless the claim states another. An effect is called small
where it would be small even with that half added.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from zfrepro.claims import base
from zfrepro.claims.base import SMALL, Effect, Finding, Yardstick
from zfrepro.measurements.estimate import Estimate

SHARE = 5.0  # points; for a share of images judged against 50 %, the tenth of what lies between 50 and 100 %


@dataclass(frozen=True)
class Part:
    """A part of a claim: what decides it, its effect and, where that is on another scale, the margin in the estimate's unit."""

    estimate: Estimate
    effect: Effect | None = None
    margin: float | None = None

    @property
    def widening(self) -> float:
        if self.margin is not None:
            return self.margin
        return 0.0 if self.effect is None else _half_of_small(self.effect)


def _half_of_small(effect: Effect) -> float:
    return SMALL[effect.relative_to] * effect.yardstick / 2


def make_part(estimate: Estimate, yardstick: float, relative_to: Yardstick, margin: float | None = None) -> Part:
    """A part whose estimate is its effect, in the same unit; no effect where the yardstick is not above 0."""
    if yardstick <= 0:
        return Part(estimate, margin=margin)
    return Part(
        estimate, Effect(estimate.value, yardstick, relative_to, estimate.unit, estimate.digits, estimate.high), margin
    )


def judge_above(parts: Mapping[str, Part], threshold: float = 0.0) -> Finding:
    """All parts must exceed the threshold by more than their margin; the smallest decides, and its effect counts."""
    finding = base.judge_above({name: _widen(part) for name, part in parts.items()}, threshold)
    deciding = parts[finding.part] if finding.part else next(iter(parts.values()))
    estimates = {name: part.estimate for name, part in parts.items()} if len(parts) > 1 else None
    reason = _reason(finding, deciding, threshold)
    finding = dataclasses.replace(finding, estimate=deciding.estimate, parts=estimates, reason=reason)
    return finding if deciding.effect is None else base.with_effect(finding, _largest(deciding.effect))


def _largest(effect: Effect) -> Effect:
    """The effect with the upper end that another training might reach."""
    high = effect.value if effect.high is None else effect.high
    return dataclasses.replace(effect, high=high + _half_of_small(effect))


def _widen(part: Part) -> Estimate:
    estimate = part.estimate
    if not estimate.has_interval:
        return estimate
    low, high = estimate.ends
    return dataclasses.replace(estimate, low=low - part.widening, high=high + part.widening)


def _reason(finding: Finding, deciding: Part, threshold: float) -> str:
    without_margin = base.judge_above({"": deciding.estimate}, threshold).verdict
    if without_margin == finding.verdict:
        return finding.reason
    side = "above" if without_margin == "reproduced" else "at or below"
    part, unit = (
        f" {text}" if text else "" for text in (f"({finding.part})" if finding.part else "", deciding.estimate.unit)
    )
    margin = f"{deciding.widening:.{deciding.estimate.digits}f}{unit}"
    return f"The interval{part} lies {side} {threshold:g}, but not by more than the {margin} that another training may change."
