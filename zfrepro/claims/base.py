"""A claim of the paper, the quantity that decides it at any scale, and the verdict that our measurements allow.

A group of claims is a module with `needs(config)` (label -> file, relative to the experiment's results; raises LookupError
naming the section that the experiment leaves out) and `CLAIMS`. A claim's `decide` takes the group's files, or raises
`NotMeasured` with the reason.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from zfrepro.measurements.estimate import Estimate

Verdict = Literal["reproduced", "reproduced, small", "not reproduced", "inconclusive", "not attempted"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Yardstick = Literal["the paper's", "the most possible"]
SMALL: Mapping[Yardstick, float] = {
    "the paper's": 0.25,
    "the most possible": 0.1,
}  # an effect below this share is small
IN_WORDS = {0.25: "a quarter", 0.1: "a tenth"}


@dataclass(frozen=True)
class Effect:
    """The size of what a claim states, in the claim's direction, beside the size it is compared with.

    The yardstick is the paper's own effect where the paper prints one in comparable units, else the largest effect possible:
    for a share, what lies between its threshold and 100 %; for a probability that falls, all of it. `high` is the upper end of
    its 95 % interval, None where it has none. Raises ValueError where a number is not finite.
    """

    value: float
    yardstick: float
    relative_to: Yardstick
    unit: str = ""  # as of an Estimate
    digits: int = 1
    high: float | None = None

    def __post_init__(self) -> None:
        if not all(math.isfinite(one) for one in (self.value, self.yardstick, self.high) if one is not None):
            raise ValueError(f"an effect must be finite: {self}")

    @property
    def small(self) -> bool:
        """With its whole interval below a quarter of the paper's, or below a tenth of the most possible.

        An effect that another sample might lift above the limit is not called small. Raises ValueError for none above 0.
        """
        if self.yardstick <= 0:
            raise ValueError(f"an effect is compared with one above 0: {self}")
        return (self.value if self.high is None else self.high) < SMALL[self.relative_to] * self.yardstick

    def text(self) -> str:
        """`effect 0.9 points; the paper's 2.1`"""
        unit = f" {self.unit}" if self.unit else ""
        return f"effect {self.value:.{self.digits}f}{unit}; {self.relative_to} {self.yardstick:.{self.digits}f}"


@dataclass(frozen=True)
class Finding:
    """`estimate` is what decides; where a claim has several parts, `part` is that one's name, and `parts` are all.

    `effect` is printed beside the verdict; `sized` judges by it.
    """

    verdict: Verdict
    reason: str
    estimate: Estimate | None = None
    parts: Mapping[str, Estimate] | None = None
    part: str = ""
    effect: Effect | None = None


@dataclass(frozen=True)
class Claim:
    """`contradicted`: which of the paper's own numbers speak against its sentence. `remark`: a note that does not count against it."""

    number: int  # 1 to 42
    says: str  # in our words
    where: str  # `Table 2, section 4`
    quantity: (
        str  # what is measured, and what the claim asks of it: `Fall of top-5 error from baseline to improved, above 0`
    )
    paper: str  # the same quantity by the paper's numbers; "" where it gives none
    decide: Callable[[Mapping[str, Path]], Finding]
    contradicted: str = ""
    remark: str = ""


def above(parts: Mapping[str, Estimate], than: float = 0.0) -> Finding:
    """All parts must exceed `than`; the one that does so least decides."""
    return _judged(parts, lambda one: _above(one, than), lambda one: one.value, f"above {than:g}")


def inside(parts: Mapping[str, Estimate], margin: float) -> Finding:
    """All parts must lie between -margin and margin, with their whole interval; the largest decides."""
    return _judged(
        parts, lambda one: _inside(one, margin), lambda one: -abs(one.value), f"between -{margin:g} and {margin:g}"
    )


def _above(one: Estimate, than: float) -> Verdict:
    if one.low is None:
        return "inconclusive"
    return "reproduced" if one.low > than else "not reproduced" if one.high <= than else "inconclusive"


def _inside(one: Estimate, margin: float) -> Verdict:
    if one.low is None:
        return "inconclusive"
    if -margin < one.low and one.high < margin:
        return "reproduced"
    return "not reproduced" if one.low >= margin or one.high <= -margin else "inconclusive"


def _judged(
    parts: Mapping[str, Estimate],
    judge: Callable[[Estimate], Verdict],
    strength: Callable[[Estimate], float],
    asked: str,
) -> Finding:
    """The worst verdict of the parts, and among those with it the weakest part. Raises ValueError for no parts."""
    verdicts = {name: judge(one) for name, one in parts.items()}
    worst = max(verdicts.values(), key=("reproduced", "inconclusive", "not reproduced").index)
    name = min((name for name in parts if verdicts[name] == worst), key=lambda name: strength(parts[name]))
    told = {name: parts[name] for name in parts} if len(parts) > 1 else None
    part = name if told else ""
    return Finding(worst, _reason(worst, part, parts[name], asked), parts[name], told, part)


def _reason(verdict: Verdict, name: str, one: Estimate, asked: str) -> str:
    of = f" ({name})" if name else ""
    if one.low is None:
        return f"One measurement{of}, no spread to judge it by."
    return {
        "reproduced": f"The interval{of} lies {asked}.",
        "not reproduced": f"The interval{of} does not reach what is {asked}.",
        "inconclusive": f"The interval{of} lies only partly {asked}.",
    }[verdict]


def sized(finding: Finding, effect: Effect | Mapping[str, Effect]) -> Finding:
    """The finding with its effect; one that is reproduced with a small effect becomes "reproduced, small".

    Not for a claim that something is small: there `dataclasses.replace(finding, effect=...)` shows it and judges nothing.
    Several effects are named by the finding's parts; the one of the part that decides counts. A part without one is no error:
    the finding stays as it is.
    """
    own = effect if isinstance(effect, Effect) else effect.get(finding.part)
    if own is None:
        return finding
    finding = dataclasses.replace(finding, effect=own)
    if finding.verdict != "reproduced" or not own.small:
        return finding
    reason = f"{finding.reason} The effect is small: less than {IN_WORDS[SMALL[own.relative_to]]} of {own.relative_to}."
    return dataclasses.replace(finding, verdict="reproduced, small", reason=reason)


def not_trained_out(finding: Finding, reason: str) -> Finding:
    """For a claim about what trained networks do: "not reproduced" becomes "inconclusive", with its numbers.

    `reason` says how the networks were not trained out, without a full stop at its end; "" where they were. No other verdict
    changes.
    """
    if not reason or finding.verdict != "not reproduced":
        return finding
    return dataclasses.replace(finding, verdict="inconclusive", reason=f"Not trained out: {reason}. {finding.reason}")


def counts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Verdict -> how many, in the order of VERDICTS."""
    given = list(verdicts)
    return {verdict: given.count(verdict) for verdict in VERDICTS}
