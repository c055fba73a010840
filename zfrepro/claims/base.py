"""A claim of the paper, the quantity that decides it at any scale, and the verdict that our measurements allow.

A group of claims is a module with `needs(config)` (label -> file, relative to the experiment's results; raises LookupError
naming the section that the experiment leaves out) and `CLAIMS`. A claim's `decide` takes the group's files, or raises
`NotMeasured` with the reason; where it is about networks it is an `AboutNetworks`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from zfrepro.measurements import intervals
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
    """The size of what a claim states, in the claim's direction, and the size it is compared with.

    The yardstick is the paper's own effect where the paper prints one in comparable units, else the largest effect possible:
    for a share, what lies between its threshold and 100 %; for a probability that falls, all of it. `high` is the upper end that
    decides whether the effect is small: of its 95 % interval, widened where another training counts; None where it has none.
    `interval` is the interval itself. Raises ValueError where a number is not finite.
    """

    value: float
    yardstick: float
    relative_to: Yardstick
    unit: str = ""  # as of an Estimate
    digits: int = 1
    high: float | None = None
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        numbers = (self.value, self.yardstick, self.high, *(self.interval or ()))
        if not all(math.isfinite(number) for number in numbers if number is not None):
            raise ValueError(f"an effect must be finite: {self}")

    @property
    def small(self) -> bool:
        """With its whole interval below a quarter of the paper's, or below a tenth of the most possible.

        An effect that may exceed the limit in another sample is not called small. Raises ValueError for none above 0.
        """
        if self.yardstick <= 0:
            raise ValueError(f"an effect is compared with one above 0: {self}")
        return (self.value if self.high is None else self.high) < SMALL[self.relative_to] * self.yardstick

    def in_yardsticks(self) -> tuple[float, tuple[float, float] | None]:
        """The effect and its interval as multiples of the yardstick: 1 is an effect as large as that."""
        ends = None if self.interval is None else (self.interval[0] / self.yardstick, self.interval[1] / self.yardstick)
        return self.value / self.yardstick, ends

    def text(self) -> str:
        """`effect 0.9 points; the paper's 2.1`"""
        unit = f" {self.unit}" if self.unit else ""
        return f"effect {self.value:.{self.digits}f}{unit}; {self.relative_to} {self.yardstick:.{self.digits}f}"


@dataclass(frozen=True)
class Finding:
    """`estimate` is what decides; where a claim has several parts, `part` is the name of the one that decides, and `parts` are all.

    `effect` is printed next to the verdict; `with_effect` judges by it. `remark`: what to know beside the verdict.
    """

    verdict: Verdict
    reason: str
    estimate: Estimate | None = None
    parts: Mapping[str, Estimate] | None = None
    part: str = ""
    effect: Effect | None = None
    remark: str = ""


Decide = Callable[[Mapping[str, Path]], Finding]


@dataclass(frozen=True)
class AboutNetworks:
    """A claim's `decide`, with the networks that it is about: they must be better than chance before it decides."""

    decide: Decide
    names: Callable[[Mapping[str, Path]], Iterable[str]]  # the group's files -> runs

    def __call__(self, files: Mapping[str, Path]) -> Finding:
        return self.decide(files)


@dataclass(frozen=True)
class Claim:
    """`contradicted`: which of the paper's own numbers contradict its sentence. `remark`: a note that does not count against it."""

    number: int  # 1 to 42
    statement: str  # in our words
    where: str  # `Table 2, section 4`
    quantity: (
        str  # what is measured, and what the claim asks of it: `Fall of top-5 error from baseline to improved, above 0`
    )
    paper: str  # the same quantity by the paper's numbers; "" where it gives none
    decide: Decide
    contradicted: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Parts:
    """The estimates that a claim requires, each with the margin by which its interval has to be clear (0 where it has none).

    All must hold, so "reproduced" asks for every 95 % interval and needs no correction: wrong in 2.5 % of cases at most. One
    that does not hold is "not reproduced", so a part's interval counts against the claim only if it does as one of
    `comparisons` simultaneous ones (Bonferroni): wrong in 2.5 % at most as well. `comparisons` are the parts, and more where a
    part was chosen among several by its numbers.
    """

    estimates: Mapping[str, Estimate]
    margins: Mapping[str, float] = field(default_factory=dict)
    comparisons: int = 0

    @property
    def count(self) -> int:
        return max(len(self.estimates), self.comparisons)

    def plain(self, name: str) -> Estimate:
        return widen(self.estimates[name], self.margins.get(name, 0.0))

    def corrected(self, name: str) -> Estimate:
        return widen(intervals.simultaneous(self.estimates[name], self.count), self.margins.get(name, 0.0))


def widen(estimate: Estimate, margin: float) -> Estimate:
    """On both sides."""
    if not estimate.has_interval:
        return estimate
    low, high = estimate.ends
    return dataclasses.replace(estimate, low=low - margin, high=high + margin)


def judge_above(
    estimates: Mapping[str, Estimate], threshold: float = 0.0, margins: Mapping[str, float] | None = None, comparisons: int = 0
) -> Finding:  # fmt: skip
    """All parts must exceed the threshold; the smallest decides. `margins`, `comparisons`: as of `Parts`."""
    position = {
        "reproduced": f"lies above {threshold:g}",
        "inconclusive": f"includes {threshold:g}",
        "not reproduced": f"lies at or below {threshold:g}",
    }
    parts = Parts(estimates, margins or {}, comparisons)
    return _judge_all(
        parts, lambda estimate: _verdict_above(estimate, threshold), lambda estimate: estimate.value, position
    )


def judge_inside(estimates: Mapping[str, Estimate], margin: float) -> Finding:
    """All parts must lie between -margin and margin, with their whole interval; the largest decides."""
    position = {
        "reproduced": f"lies between -{margin:g} and {margin:g}",
        "inconclusive": f"reaches beyond ±{margin:g}",
        "not reproduced": f"lies outside ±{margin:g}",
    }
    return _judge_all(
        Parts(estimates),
        lambda estimate: _verdict_inside(estimate, margin),
        lambda estimate: -abs(estimate.value),
        position,
    )


def _verdict_above(estimate: Estimate, threshold: float) -> Verdict:
    if not estimate.has_interval:
        return "inconclusive"
    low, high = estimate.ends
    return "reproduced" if low > threshold else "not reproduced" if high <= threshold else "inconclusive"


def _verdict_inside(estimate: Estimate, margin: float) -> Verdict:
    if not estimate.has_interval:
        return "inconclusive"
    low, high = estimate.ends
    if -margin < low and high < margin:
        return "reproduced"
    return "not reproduced" if low >= margin or high <= -margin else "inconclusive"


def _judge_all(
    parts: Parts,
    judge: Callable[[Estimate], Verdict],
    strength: Callable[[Estimate], float],
    position: Mapping[str, str],
) -> Finding:
    """The worst verdict of the parts, and among those with it the weakest part. Raises ValueError for no parts."""
    verdicts = {name: _verdict(parts, name, judge) for name in parts.estimates}
    worst = max(verdicts.values(), key=("reproduced", "inconclusive", "not reproduced").index)
    name = min((name for name in verdicts if verdicts[name] == worst), key=lambda name: strength(parts.estimates[name]))
    several = len(parts.estimates) > 1
    reason = _reason(parts, name, worst, judge, position)
    shown = dict(parts.estimates) if several else None
    return Finding(worst, reason, parts.estimates[name], shown, name if several else "")


def _verdict(parts: Parts, name: str, judge: Callable[[Estimate], Verdict]) -> Verdict:
    if judge(parts.plain(name)) == "reproduced":
        return "reproduced"
    return "not reproduced" if judge(parts.corrected(name)) == "not reproduced" else "inconclusive"


def _reason(
    parts: Parts, name: str, verdict: Verdict, judge: Callable[[Estimate], Verdict], position: Mapping[str, str]
) -> str:
    estimate = parts.estimates[name]
    label = f" ({name})" if len(parts.estimates) > 1 else ""
    if not estimate.has_interval:
        return explain_no_interval(estimate, label)
    uncorrected, clear = judge(estimate), judge(parts.plain(name))
    if uncorrected == verdict:
        return f"The interval{label} {position[uncorrected]}."
    if clear != uncorrected:
        unit = f" {estimate.unit}" if estimate.unit else ""
        margin = f"{parts.margins[name]:.{estimate.digits}f}{unit}"
        return f"The interval{label} {position[uncorrected]}, but not by more than the {margin} that another training may change."
    return f"The interval{label} {position[uncorrected]}, but not when corrected for the {parts.count} comparisons of this claim."


def explain_no_interval(estimate: Estimate, label: str = "") -> str:
    """A sentence; label: ` (top-1)`."""
    if not estimate.without:
        return f"Measured once{label}, so there is no interval."
    return f"There is no interval{label}: {estimate.without}."


def with_effect(finding: Finding, effect: Effect | Mapping[str, Effect]) -> Finding:
    """The finding with its effect; one that is reproduced with a small effect becomes "reproduced, small".

    Not for a claim that something is small: there `dataclasses.replace(finding, effect=...)` shows it and does not judge by it.
    Several effects are named by the finding's parts; the one of the part that decides counts. A part without one is no error:
    the finding does not change.
    """
    deciding = effect if isinstance(effect, Effect) else effect.get(finding.part)
    if deciding is None:
        return finding
    finding = dataclasses.replace(finding, effect=deciding)
    if finding.verdict != "reproduced" or not deciding.small:
        return finding
    share = IN_WORDS[SMALL[deciding.relative_to]]
    reason = f"{finding.reason} The effect is small: less than {share} of {deciding.relative_to}."
    return dataclasses.replace(finding, verdict="reproduced, small", reason=reason)


def excuse_unconverged(finding: Finding, reason: str) -> Finding:
    """For a claim about what trained networks do: "not reproduced" becomes "inconclusive", with its numbers.

    `reason` says why the networks count as not converged, without a full stop at its end; "" where they converged. No
    other verdict changes.
    """
    if not reason or finding.verdict != "not reproduced":
        return finding
    return dataclasses.replace(finding, verdict="inconclusive", reason=f"Not converged: {reason}. {finding.reason}")


def excuse_unrepeated(finding: Finding, reason: str) -> Finding:
    """For a claim that compares networks whose intervals do not cover another training: inconclusive, whatever its numbers.

    `reason`: a clause that says why nothing shows what another training would change; "" where something does.
    """
    if not reason:
        return finding
    return dataclasses.replace(
        finding, verdict="inconclusive", reason=f"{reason[0].upper()}{reason[1:]}. {finding.reason}"
    )


def counts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Verdict -> how many, in the order of VERDICTS."""
    listed = list(verdicts)
    return {verdict: listed.count(verdict) for verdict in VERDICTS}
