"""Verdicts on one network: firm only where another training of it would hardly turn them.

Claims 17 to 41 look at one network (17 to 19 at one of each kind). Their intervals hold what other images, maps, filters or
folds would change, and not what another training would. So a part is judged with its interval widened on both sides by a
margin: half of the effect that would count as small (`base.SMALL`), unless the claim states another. An effect is called small
where it would be so with that half added.
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


def sized(estimate: Estimate, yardstick: float, of: Yardstick, margin: float | None = None) -> Part:
    """A part whose estimate is its effect, in the same unit; no effect where the yardstick is not above 0."""
    if yardstick <= 0:
        return Part(estimate, margin=margin)
    return Part(estimate, Effect(estimate.value, yardstick, of, estimate.unit, estimate.digits, estimate.high), margin)


def above(parts: Mapping[str, Part], than: float = 0.0) -> Finding:
    """All parts must exceed `than` by more than their margin; the one that does so least decides, and its effect counts."""
    finding = base.above({name: _widened(part) for name, part in parts.items()}, than)
    own = parts[finding.part] if finding.part else next(iter(parts.values()))
    shown = {name: part.estimate for name, part in parts.items()} if len(parts) > 1 else None
    reason = _reason(finding, own, than)
    finding = dataclasses.replace(finding, estimate=own.estimate, parts=shown, reason=reason)
    return finding if own.effect is None else base.sized(finding, _largest(own.effect))


def _largest(effect: Effect) -> Effect:
    """With the upper end that another training might reach."""
    high = effect.value if effect.high is None else effect.high
    return dataclasses.replace(effect, high=high + _half_of_small(effect))


def _widened(part: Part) -> Estimate:
    one = part.estimate
    if one.low is None or one.high is None:
        return one
    return dataclasses.replace(one, low=one.low - part.widening, high=one.high + part.widening)


def _reason(finding: Finding, own: Part, than: float) -> str:
    alone = base.above({"": own.estimate}, than).verdict
    if alone == finding.verdict:
        return finding.reason
    side = "above" if alone == "reproduced" else "not above"
    part, unit = (
        f" {text}" if text else "" for text in (f"({finding.part})" if finding.part else "", own.estimate.unit)
    )
    margin = f"{own.widening:.{own.estimate.digits}f}{unit}"
    return f"The interval{part} lies {side} {than:g}, but not by the {margin} that another training may change."
