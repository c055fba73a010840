"""The rules of verdicts."""

from __future__ import annotations

import pytest

from zfrepro.claims import base
from zfrepro.claims.base import Effect, Finding
from zfrepro.measurements.estimate import Estimate


def estimate(value: float, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(value, low, high, 100, "images", unit="points")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 3, "reproduced"), (-1, 3, "inconclusive"), (0, 3, "inconclusive"), (-3, 0, "not reproduced"), (-3, -1, "not reproduced")],
)  # fmt: skip
def test_above(low: float, high: float, verdict: str) -> None:
    assert base.judge_above({"": estimate((low + high) / 2, low, high)}).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.9, 0.9, "reproduced"), (-1, 0.5, "inconclusive"), (0.5, 4, "inconclusive"), (-3, 3, "inconclusive"),
     (1, 2, "not reproduced"), (-2, -1, "not reproduced")],
)  # fmt: skip
def test_inside(low: float, high: float, verdict: str) -> None:
    assert base.judge_inside({"": estimate((low + high) / 2, low, high)}, 1).verdict == verdict


def test_without_an_interval_nothing_is_decided() -> None:
    for finding in (base.judge_above({"": estimate(50)}), base.judge_inside({"": estimate(0)}, 1)):
        assert finding.verdict == "inconclusive"
        assert finding.reason == "Measured once, so there is no interval."


def test_the_worst_part_decides() -> None:
    parts = {"first": estimate(5, 4, 6), "second": estimate(1, -1, 3), "third": estimate(0.5, -1, 2)}
    finding = base.judge_above(parts)
    assert (finding.verdict, finding.estimate, finding.parts) == ("inconclusive", parts["third"], parts)
    assert finding.part == "third"
    assert finding.reason == "The interval (third) includes 0."
    lost = base.judge_above(parts | {"fourth": estimate(-0.1, -0.2, -0.05)})
    assert (lost.verdict, lost.estimate.value) == ("not reproduced", -0.1)


def test_of_parts_inside_the_largest_decides() -> None:
    finding = base.judge_inside({"small": estimate(0.1, 0, 0.2), "large": estimate(-0.5, -0.8, -0.2)}, 1)
    assert (finding.verdict, finding.estimate.value) == ("reproduced", -0.5)


def test_a_single_part_is_no_part() -> None:
    assert base.judge_above({"only": estimate(1, 0.5, 2)}).parts is None
    assert base.judge_above({"only": estimate(1, 0.5, 2)}).part == ""


def test_an_estimate_says_its_interval() -> None:
    assert estimate(-2.14, -3, -1.23).text() == "-2.1 points [-3.0, -1.2]"
    assert Estimate(0.5, None, None, 1, "fold", digits=2).text() == "0.50"


def test_counts_keep_their_order() -> None:
    findings = [base.judge_above({"": estimate(1, low, 2)}) for low in (0.5, -1, 0.7)]
    small = base.with_effect(findings[0], Effect(1, 100, "the most possible"))
    assert base.counts(finding.verdict for finding in [*findings, small]) == {
        "reproduced": 2, "reproduced, small": 1, "not reproduced": 0, "inconclusive": 1, "not attempted": 0,
    }  # fmt: skip


@pytest.mark.parametrize("end", [float("nan"), float("inf"), float("-inf")])
def test_no_estimate_and_no_effect_takes_what_is_not_finite(end: float) -> None:
    for numbers in ((end, 0, 1), (0, end, 1), (0, -1, end)):
        with pytest.raises(ValueError, match="must be finite"):
            estimate(*numbers)
    with pytest.raises(ValueError, match="must be finite"):
        Effect(end, 1, "the paper's")
    with pytest.raises(ValueError, match="must be finite"):
        Effect(1, end, "the paper's")


@pytest.mark.parametrize(
    ("value", "yardstick", "relative_to", "verdict"),
    [
        (0.52, 2.1, "the paper's", "reproduced, small"),  # a quarter is 0.525
        (0.53, 2.1, "the paper's", "reproduced"),
        (9.9, 100, "the most possible", "reproduced, small"),  # a tenth is 10
        (10, 100, "the most possible", "reproduced"),
        (-3, 2.1, "the paper's", "reproduced, small"),
    ],
)
def test_an_effect_far_below_the_papers_is_small(
    value: float, yardstick: float, relative_to: base.Yardstick, verdict: str
) -> None:
    finding = base.with_effect(base.judge_above({"": estimate(2, 1, 3)}), Effect(value, yardstick, relative_to))
    assert (finding.verdict, finding.effect.value, finding.estimate.value) == (verdict, value, 2)


def test_an_effect_whose_interval_reaches_the_limit_is_not_small() -> None:
    """A quarter of 2.1 is 0.525."""
    finding = base.judge_above({"": estimate(2, 1, 3)})
    for high, verdict in ((0.52, "reproduced, small"), (0.53, "reproduced")):
        assert base.with_effect(finding, Effect(0.4, 2.1, "the paper's", high=high)).verdict == verdict


def test_the_rule_is_part_of_the_reason() -> None:
    finding = base.judge_above({"": estimate(2, 1, 3)})
    small = base.with_effect(finding, Effect(0.5, 2.1, "the paper's", "points"))
    assert small.reason == "The interval lies above 0. The effect is small: less than a quarter of the paper's."
    assert small.effect.text() == "effect 0.5 points; the paper's 2.1"
    least = base.with_effect(finding, Effect(0.02, 0.8, "the most possible", digits=2))
    assert least.reason == "The interval lies above 0. The effect is small: less than a tenth of the most possible."
    assert least.effect.text() == "effect 0.02; the most possible 0.80"


def test_an_effect_changes_no_other_verdict() -> None:
    for low, high in ((-1, 3), (-3, -1)):
        finding = base.judge_above({"": estimate((low + high) / 2, low, high)})
        sized = base.with_effect(finding, Effect(0.1, 2.1, "the paper's"))
        assert (sized.verdict, sized.reason, sized.effect.value) == (finding.verdict, finding.reason, 0.1)
    with pytest.raises(ValueError, match="above 0"):
        base.with_effect(base.judge_above({"": estimate(2, 1, 3)}), Effect(1, 0, "the paper's"))


def test_the_effect_is_that_of_the_part_that_decides() -> None:
    finding = base.judge_above({"top-5": estimate(2, 1, 3), "top-1": estimate(1, 0.5, 2)})
    effects = {"top-5": Effect(2, 2, "the paper's"), "top-1": Effect(1, 5, "the paper's")}
    assert base.with_effect(finding, effects).verdict == "reproduced, small"  # 1 of 5
    assert base.with_effect(finding, {"top-5": effects["top-5"]}) == finding


def test_networks_that_did_not_converge_refute_nothing() -> None:
    against = base.judge_above({"": estimate(-2, -3, -1)})
    finding = base.excuse_unconverged(against, "the error still falls")
    assert (finding.verdict, finding.estimate) == ("inconclusive", against.estimate)
    assert finding.reason == "Not converged: the error still falls. The interval lies at or below 0."
    assert base.excuse_unconverged(against, "") == against
    for other in (
        base.judge_above({"": estimate(2, 1, 3)}),
        base.judge_above({"": estimate(1, -1, 3)}),
        Finding("not attempted", "No."),
    ):
        assert base.excuse_unconverged(other, "the error still falls") == other


def of_two(value: float, error: float) -> Estimate:
    """With Student's t of two degrees of freedom: 4.30 standard errors, 6.21 as one of two intervals, 8.86 as one of four."""
    half = 4.302653 * error
    return Estimate(value, value - half, value + half, 3, "folds", unit="points", components=((error**2, 2.0),))


def test_one_part_alone_needs_no_correction() -> None:
    assert base.judge_above({"": of_two(-5, 1)}).verdict == "not reproduced"
    assert base.judge_above({"": of_two(-5, 1)}, comparisons=4).verdict == "inconclusive"


def test_not_reproduced_is_corrected_for_the_parts_and_reproduced_is_not() -> None:
    against = base.judge_above({"first": of_two(-5, 1), "second": of_two(5, 1)})
    assert (against.verdict, against.part) == ("inconclusive", "first")
    assert against.reason == (
        "The interval (first) lies at or below 0, but not when corrected for the 2 comparisons of this claim."
    )
    assert base.judge_above({"first": of_two(-6.3, 1), "second": of_two(5, 1)}).verdict == "not reproduced"
    assert base.judge_above({"first": of_two(-6.3, 1), "second": of_two(5, 1)}, comparisons=4).verdict == "inconclusive"
    assert base.judge_above({"first": of_two(4.4, 1), "second": of_two(5, 1)}).verdict == "reproduced"


def test_the_margin_is_not_stretched_by_the_correction() -> None:
    """6.21 and a margin of 1 reach 7.21."""
    for value, verdict in ((-7.1, "inconclusive"), (-7.3, "not reproduced")):
        parts = {"first": of_two(value, 1), "second": of_two(9, 1)}
        assert base.judge_above(parts, margins={"first": 1.0}).verdict == verdict


def test_inside_is_corrected_too() -> None:
    parts = {"first": of_two(6, 1), "second": of_two(0, 0.1)}
    assert base.judge_inside({"": of_two(6, 1)}, 1).verdict == "not reproduced"
    assert base.judge_inside(parts, 1).verdict == "inconclusive"


def test_why_there_is_no_interval_is_the_reason() -> None:
    two = Estimate(5, None, None, 2, "folds", without="2 folds are too few, 3 are needed")
    finding = base.judge_above({"first": two, "second": of_two(9, 1)})
    assert (finding.verdict, finding.reason) == (
        "inconclusive",
        "There is no interval (first): 2 folds are too few, 3 are needed.",
    )


def test_what_compares_networks_needs_a_second_seed() -> None:
    finding = base.judge_above({"": of_two(9, 1)})
    assert base.excuse_unrepeated(finding, "") is finding
    excused = base.excuse_unrepeated(finding, "no network was trained twice")
    assert (excused.verdict, excused.estimate) == ("inconclusive", finding.estimate)
    assert excused.reason == "No network was trained twice. The interval lies above 0."
