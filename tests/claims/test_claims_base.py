"""The rules of verdicts."""

from __future__ import annotations

import pytest

from zfrepro.claims import base
from zfrepro.claims.base import Estimate


def estimate(value: float, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(value, low, high, 100, "pictures", unit="points")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 3, "reproduced"), (-1, 3, "inconclusive"), (0, 3, "inconclusive"), (-3, 0, "not reproduced"), (-3, -1, "not reproduced")],
)  # fmt: skip
def test_above(low: float, high: float, verdict: str) -> None:
    assert base.above({"": estimate((low + high) / 2, low, high)}).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.9, 0.9, "reproduced"), (-1, 0.5, "inconclusive"), (0.5, 4, "inconclusive"), (-3, 3, "inconclusive"),
     (1, 2, "not reproduced"), (-2, -1, "not reproduced")],
)  # fmt: skip
def test_inside(low: float, high: float, verdict: str) -> None:
    assert base.inside({"": estimate((low + high) / 2, low, high)}, 1).verdict == verdict


def test_without_an_interval_nothing_is_decided() -> None:
    for finding in (base.above({"": estimate(50)}), base.inside({"": estimate(0)}, 1)):
        assert finding.verdict == "inconclusive"
        assert finding.reason == "One measurement, no spread to judge it by."


def test_the_worst_part_decides() -> None:
    parts = {"first": estimate(5, 4, 6), "second": estimate(1, -1, 3), "third": estimate(0.5, -1, 2)}
    finding = base.above(parts)
    assert (finding.verdict, finding.estimate, finding.parts) == ("inconclusive", parts["third"], parts)
    assert finding.part == "third"
    assert finding.reason == "The interval (third) lies only partly above 0."
    lost = base.above(parts | {"fourth": estimate(-0.1, -0.2, -0.05)})
    assert (lost.verdict, lost.estimate.value) == ("not reproduced", -0.1)


def test_of_parts_inside_the_largest_decides() -> None:
    finding = base.inside({"small": estimate(0.1, 0, 0.2), "large": estimate(-0.5, -0.8, -0.2)}, 1)
    assert (finding.verdict, finding.estimate.value) == ("reproduced", -0.5)


def test_a_single_part_is_no_part() -> None:
    assert base.above({"only": estimate(1, 0.5, 2)}).parts is None
    assert base.above({"only": estimate(1, 0.5, 2)}).part == ""


def test_an_estimate_says_its_interval() -> None:
    assert estimate(-2.14, -3, -1.23).said() == "-2.1 points [-3.0, -1.2]"
    assert Estimate(0.5, None, None, 1, "fold", digits=2).said() == "0.50"


def test_counts_keep_their_order() -> None:
    found = [base.above({"": estimate(1, low, 2)}) for low in (0.5, -1, 0.7)]
    assert base.counts(found) == {"reproduced": 2, "not reproduced": 0, "inconclusive": 1, "not attempted": 0}
