"""A measured quantity with its 95 % interval."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field


class NotMeasured(Exception):
    """Why something cannot be computed from what this experiment measured; one sentence."""


@dataclass(frozen=True)
class Estimate:
    """A measured quantity with its 95 % interval; no interval where nothing was repeated, or nothing varies.

    Raises ValueError for a number that is not finite: comparisons with NaN would decide a claim.
    """

    value: float
    low: float | None
    high: float | None
    n: int  # how many the interval is based on
    counted: str  # what n counts: `validation images`, `folds`
    digits: int = 1
    unit: str = ""  # `points`, `%`, nothing
    without: str = ""  # why there is no interval, a clause: `there are only 2 folds`
    components: tuple[tuple[float, float], ...] = field(default=(), compare=False, repr=False)
    """Of its variance: (variance, degrees of freedom) each; empty where the interval is not made of such."""

    def __post_init__(self) -> None:
        if not all(math.isfinite(part) for part in (self.value, self.low, self.high) if part is not None):
            raise ValueError(f"an estimate must be finite: {self.value} [{self.low}, {self.high}] {self.unit}".rstrip())

    @property
    def has_interval(self) -> bool:
        return self.low is not None and self.high is not None

    @property
    def ends(self) -> tuple[float, float]:
        """Of the interval. Raises ValueError where there is none."""
        if self.low is None or self.high is None:
            raise ValueError(f"no interval: {self.text()}")
        return self.low, self.high

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its ends, None where there is none."""
        return self.ends if self.has_interval else None

    def without_interval(self, reason: str) -> Estimate:
        return dataclasses.replace(self, low=None, high=None, without=reason, components=())

    def negated(self) -> Estimate:
        """The same in the other direction: a fall as a rise."""
        low, high = (None if end is None else -end for end in (self.high, self.low))
        return dataclasses.replace(self, value=-self.value, low=low, high=high)

    def text(self) -> str:
        """`-2.1 points [-3.0, -1.2]`"""
        value = f"{self.value:.{self.digits}f}{' ' if self.unit else ''}{self.unit}"
        if self.low is None or self.high is None:
            return value
        return f"{value} [{self.low:.{self.digits}f}, {self.high:.{self.digits}f}]"
