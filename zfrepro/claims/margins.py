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
    choices: int = 1  # among how many the estimate was chosen by its value

    @property
    def widening(self) -> float:
        if self.margin is not None:
            return self.margin
        return 0.0 if self.effect is None else _half_of_small(self.effect)


def _half_of_small(effect: Effect) -> float:
    return SMALL[effect.relative_to] * effect.yardstick / 2


def make_part(
    estimate: Estimate, yardstick: float, relative_to: Yardstick, margin: float | None = None, choices: int = 1
) -> Part:
    """A part whose estimate is its effect, in the same unit; no effect where the yardstick is not above 0."""
    if yardstick <= 0:
        return Part(estimate, margin=margin, choices=choices)
    effect = Effect(
        estimate.value, yardstick, relative_to, estimate.unit, estimate.digits, estimate.high, estimate.interval
    )
    return Part(estimate, effect, margin, choices)


def judge_above(parts: Mapping[str, Part], threshold: float = 0.0) -> Finding:
    """All parts must exceed the threshold by more than their margin; the smallest decides, and its effect counts."""
    estimates = {name: part.estimate for name, part in parts.items()}
    widening = {name: part.widening for name, part in parts.items()}
    finding = base.judge_above(estimates, threshold, widening, sum(part.choices for part in parts.values()))
    deciding = parts[finding.part] if finding.part else next(iter(parts.values()))
    return finding if deciding.effect is None else base.with_effect(finding, _add_margin(deciding.effect))


def _add_margin(effect: Effect) -> Effect:
    """The effect with the upper end that another training might reach."""
    high = effect.value if effect.high is None else effect.high
    return dataclasses.replace(effect, high=high + _half_of_small(effect))
