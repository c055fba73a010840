"""A measured number with its 95 % interval, and a number as it is printed."""

from __future__ import annotations

import math
from dataclasses import dataclass


class NotMeasured(Exception):
    """Why something cannot be computed from what this experiment measured; one sentence."""


@dataclass(frozen=True)
class Estimate:
    """A measured quantity with its 95 % interval; no interval where nothing was repeated.

    Raises ValueError for a number that is not finite: comparisons with NaN would decide a claim.
    """

    value: float
    low: float | None
    high: float | None
    n: int  # how many the interval rests on
    of: str  # what n counts: `validation pictures`, `folds`
    digits: int = 1
    unit: str = ""  # `points`, `%`, nothing

    def __post_init__(self) -> None:
        if not all(math.isfinite(one) for one in (self.value, self.low, self.high) if one is not None):
            raise ValueError(f"an estimate must be finite: {self.value} [{self.low}, {self.high}] {self.unit}".rstrip())

    def said(self) -> str:
        """`-2.1 points [-3.0, -1.2]`"""
        value = f"{self.value:.{self.digits}f}{' ' if self.unit else ''}{self.unit}"
        return value if self.low is None else f"{value} [{self.low:.{self.digits}f}, {self.high:.{self.digits}f}]"


@dataclass(frozen=True)
class Number:
    """A number as it is shown: digits after the point, with a 95 % interval or a standard deviation where there is one."""

    value: float
    digits: int = 1
    signed: bool = False
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    spread_digits: int | None = None  # where the paper prints more of them than of the number itself

    def texts(self) -> dict[str, str]:
        """The strings that the page and the CSV both print: text, low, high, pm.

        Raises FloatingPointError for NaN and infinity: a number that is missing is no cell (None), not a Number.
        """
        parts = {"value": self.value, "low": self.low, "high": self.high, "spread": self.spread}
        if wrong := [f"{name} {one}" for name, one in parts.items() if one is not None and not math.isfinite(one)]:
            raise FloatingPointError(f"a number is not finite ({', '.join(wrong)})")
        fine = self.digits if self.spread_digits is None else self.spread_digits
        given = {"low": (self.low, self.digits), "high": (self.high, self.digits), "pm": (self.spread, fine)}
        plain = {name: f"{value:.{digits}f}" for name, (value, digits) in given.items() if value is not None}
        return {"text": _fixed(self.value, self.digits, self.signed), **plain}


def _fixed(value: float, digits: int, signed: bool) -> str:
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.lstrip("+-") if not float(text) else text  # no "-0.0"
