"""Verdicts with a margin for another training, and claims that wait for trained networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zfrepro.claims import margins, parts
from zfrepro.claims.base import Effect, Finding
from zfrepro.claims.margins import Part, make_part
from zfrepro.errors import UserError
from zfrepro.measurements import convergence
from zfrepro.measurements.estimate import Estimate
from zfrepro.storage import artifacts


def estimate(value: float, low: float | None, high: float | None) -> Estimate:
    return Estimate(value, low, high, 100, "images", unit="points")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.3, 9, "reproduced"), (1.2, 9, "inconclusive"), (-1, 9, "inconclusive"), (-9, -1.2, "inconclusive"), (-9, -1.3, "not reproduced")],
)  # fmt: skip
def test_the_margin_is_half_of_a_small_effect(low: float, high: float, verdict: str) -> None:
    """Of the paper's 10 points 2.5 would be small, so that 1.25 are the margin."""
    part = make_part(estimate((low + high) / 2, low, high), 10, "the paper's")
    assert part.widening == 1.25
    finding = margins.judge_above({"": part})
    assert finding.verdict == verdict
    assert (finding.estimate.low, finding.estimate.high) == (low, high)  # the interval itself is not widened


def test_margins_by_yardstick() -> None:
    assert make_part(estimate(5, 4, 6), 50, "the most possible").widening == pytest.approx(2.5)  # a tenth, halved
    assert make_part(estimate(5, 4, 6), 50, "the most possible", 1.0).widening == 1
    assert make_part(estimate(5, 4, 6), -0.7, "the paper's").effect is None  # nothing to compare with
    assert Part(estimate(5, 4, 6)).widening == 0


def test_the_reason_names_the_margin() -> None:
    small, clear = make_part(estimate(1, 0.5, 1.5), 10, "the paper's"), make_part(estimate(8, 7, 9), 10, "the paper's")
    finding = margins.judge_above({"one": clear, "other": small})
    assert (finding.part, finding.estimate, set(finding.parts)) == ("other", small.estimate, {"one", "other"})
    assert (
        finding.reason
        == "The interval (other) lies above 0, but not by more than the 1.2 points that another training may change."
    )
    below = margins.judge_above({"": make_part(estimate(-1, -1.5, -0.5), 10, "the paper's")})
    assert "lies at or below 0, but not by more than" in below.reason


def test_a_small_effect_beyond_the_margin_is_small() -> None:
    """Half of what is small is left to another training: of the paper's 10 points 1.25, so that 1.2 are small and 1.3 are not."""
    finding = margins.judge_above({"": make_part(estimate(1, 0.8, 1.2), 10, "the paper's", 0.5)})
    assert (finding.verdict, finding.effect.text()) == ("reproduced, small", "effect 1.0 points; the paper's 10.0")
    assert margins.judge_above({"": make_part(estimate(1, 0.8, 1.3), 10, "the paper's", 0.5)}).verdict == "reproduced"
    other_scale = Part(estimate(80, 70, 90), Effect(1.8, 100, "the most possible", "%"), margins.SHARE)
    assert margins.judge_above({"": other_scale}, 50).verdict == "reproduced, small"


def test_without_an_interval_nothing_is_decided() -> None:
    assert margins.judge_above({"": make_part(estimate(5, None, None), 10, "the paper's")}).verdict == "inconclusive"


def test_a_claim_waits_for_its_own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def reason(files: dict[str, Path], names: list[str]) -> str:
        asked.append(names)
        return "it still improves"

    monkeypatch.setattr(convergence, "reason", reason)
    lost, won = (Finding(verdict, "So it is.") for verdict in ("not reproduced", "reproduced"))
    files = {
        "arrays": tmp_path / "invariance/improved-seed1/invariance.npz",
        "probes": tmp_path / "probes/caltech101/wide.json",
    }
    waiting = parts.for_trained_networks(lambda _: lost, "arrays")(files)
    assert (waiting.verdict, waiting.reason) == ("inconclusive", "Not converged: it still improves. So it is.")
    parts.for_trained_networks(lambda _: lost, "probes", run=lambda path: path.stem)(files)
    assert parts.for_trained_networks(lambda _: won, "arrays")(files) == won
    assert asked == [["improved-seed1"], ["wide"]]


def test_numbers_of_a_stage_that_are_not_finite_are_named(tmp_path: Path) -> None:
    path = tmp_path / "invariance.npz"
    artifacts.save_arrays(path, distance1=np.array([1.0, np.nan]), probability=np.array([0.5]), labels=np.array([3]))
    assert np.isnan(parts.load_arrays(path)["distance1"][1])  # missing
    with pytest.raises(UserError, match=r"invariance\.npz: distance1 holds 1 values that are not finite"):
        parts.load_arrays(path, "distance", "probability")
    artifacts.save_arrays(path, probability=np.array([np.inf, 0.5]))
    with pytest.raises(UserError, match="probability holds 1 values"):
        parts.load_arrays(path)
