"""A claim of the paper, the quantity that decides it at any scale, and the verdict that our measurements allow.

A group of claims is a module with `needs(config)` (label -> file, relative to the experiment's results; raises LookupError
naming the section that the experiment leaves out) and `CLAIMS`. A claim's `decide` takes the group's files, or raises
`Unattempted` with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Verdict = Literal["reproduced", "not reproduced", "inconclusive", "not attempted"]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "not reproduced", "inconclusive", "not attempted")


class Unattempted(Exception):
    """Why a claim cannot be decided from what this experiment measured; one sentence."""


@dataclass(frozen=True)
class Estimate:
    """A measured quantity with its 95 % interval; no interval where nothing was repeated."""

    value: float
    low: float | None
    high: float | None
    n: int  # how many the interval rests on
    of: str  # what n counts: `validation pictures`, `folds`
    digits: int = 1
    unit: str = ""  # `points`, `%`, nothing

    def said(self) -> str:
        """`-2.1 points [-3.0, -1.2]`"""
        value = f"{self.value:.{self.digits}f}{' ' if self.unit else ''}{self.unit}"
        return value if self.low is None else f"{value} [{self.low:.{self.digits}f}, {self.high:.{self.digits}f}]"


@dataclass(frozen=True)
class Finding:
    """`estimate` is what decides; where a claim has several parts, `part` is that one's name, and `parts` are all."""

    verdict: Verdict
    reason: str
    estimate: Estimate | None = None
    parts: Mapping[str, Estimate] | None = None
    part: str = ""


@dataclass(frozen=True)
class Claim:
    """`contradicted` says, where it is so, which of the paper's own numbers do not bear its sentence out."""

    number: int  # 1 to 42
    says: str  # in our words
    where: str  # `Table 2, section 4`
    quantity: (
        str  # what is measured, and what the claim asks of it: `Fall of top-5 error from baseline to improved, above 0`
    )
    paper: str  # the same quantity by the paper's numbers; "" where it gives none
    decide: Callable[[Mapping[str, Path]], Finding]
    contradicted: str = ""


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


class HasVerdict(Protocol):
    """Whatever has a verdict."""

    @property
    def verdict(self) -> Verdict: ...


def counts(judged: Sequence[HasVerdict]) -> dict[str, int]:
    """Verdict -> how many, in the order of VERDICTS."""
    return {verdict: sum(one.verdict == verdict for one in judged) for verdict in VERDICTS}
