"""A number as an exhibit prints it, made of an estimate, of accuracies of folds, or of a number of the paper."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zfrepro.measurements.estimate import Estimate

FINEST = 6  # digits of a probability


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
        if not_finite := [
            f"{name} {part}" for name, part in parts.items() if part is not None and not math.isfinite(part)
        ]:
            raise FloatingPointError(f"a number is not finite ({', '.join(not_finite)})")
        fine = self.digits if self.spread_digits is None else self.spread_digits
        numbers = {"low": (self.low, self.digits), "high": (self.high, self.digits), "pm": (self.spread, fine)}
        plain = {name: f"{value:.{digits}f}" for name, (value, digits) in numbers.items() if value is not None}
        return {"text": _format_fixed(self.value, self.digits, self.signed), **plain}


def _format_fixed(value: float, digits: int, signed: bool) -> str:
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.lstrip("+-") if not float(text) else text  # no "-0.0"


def probability_digits(probability: float, digits: int) -> int:
    """As many digits, at least `digits` and at most FINEST, as a probability needs that is neither 0 nor 1 to read so."""
    enough = (n for n in range(digits, FINEST) if f"{probability:.{n}f}" not in (f"{0:.{n}f}", f"{1:.{n}f}"))
    return digits if probability in (0, 1) else next(enough, FINEST)


def probability_number(probability: float, digits: int = 3) -> Number | str:
    """A probability as a cell. One that would read as 0 or 1 and is not gets more digits, `< 0.000001` where they do not help."""
    if probability in (0, 1) or 10.0**-FINEST <= probability <= 1 - 10.0**-FINEST or not math.isfinite(probability):
        return Number(probability, probability_digits(probability, digits))
    return f"< {10.0**-FINEST:.{FINEST}f}" if probability < 0.5 else f"> {1 - 10.0**-FINEST:.{FINEST}f}"


def probability_text(probability: float, digits: int = 2) -> str:
    """The same as a text."""
    cell = probability_number(probability, digits)
    return cell if isinstance(cell, str) else cell.texts()["text"]


def measured_number(estimate: Estimate | None, signed: bool = False) -> Number | None:
    """An estimate as a cell, with its interval and its digits."""
    return None if estimate is None else Number(estimate.value, estimate.digits, signed, estimate.low, estimate.high)


def fold_number(folds: Sequence[float]) -> Number:
    """Mean over folds, with their standard deviation where there are several."""
    return Number(statistics.fmean(folds), spread=statistics.stdev(folds) if len(folds) > 1 else None)


def fold_curve(folds: Mapping[int, Sequence[float]]) -> dict[int, Number]:
    """`fold_number` of the folds of each key, say of each number of training images per class."""
    return {key: fold_number(values) for key, values in folds.items()}


def printed_value(printed: float | None) -> float | None:
    """A cell of the paper's tables; None where it prints nothing (NaN)."""
    return None if printed is None or printed != printed else float(printed)


def printed_number(printed: float | None, spread: float | None = None) -> Number | None:
    """A cell of the paper's tables, with the digits that the paper prints; None where it prints nothing."""
    value = printed_value(printed)
    fine = None if spread is None or round(spread, 1) == spread else 2
    return None if value is None else Number(value, spread=spread, spread_digits=fine)
