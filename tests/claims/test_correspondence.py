"""Claims 30 and 31 on hand-made comparisons: each verdict in its direction."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from zfrepro.claims import correspondence
from zfrepro.core.correspondence import below_random
from zfrepro.measurements import intervals
from zfrepro.measurements.estimate import NotMeasured
from zfrepro.storage import artifacts

DECIDE = {claim.number: claim.decide for claim in correspondence.CLAIMS}
PARTS = ("right eye", "left eye", "nose")
COUNT = 12


def pairs(parts: float, random: float, seed: int, noise: float = 0.01) -> np.ndarray:
    """(3 + 2, COUNT, COUNT), symmetric; a image with itself 0."""
    values = np.array([parts] * 3 + [random] * 2)[:, None, None] + noise * np.random.default_rng(seed).normal(
        size=(5, COUNT, COUNT)
    )
    return (values + values.transpose(0, 2, 1)) / 2 * (1 - np.eye(COUNT))


def write(folder: Path, five: np.ndarray, seven: np.ndarray, below: dict[str, tuple]) -> dict[str, Path]:
    record = {part: dict(zip(("value", "low", "high"), below[part], strict=True)) for part in below}
    sample = {"pictures": len(five[0]), "layers": {"5": {"part_below_random": record}}}
    artifacts.save_json(folder / "correspondence.json", {"samples": {"all": sample}})
    artifacts.save_arrays(folder / "correspondence.npz", different_5=five, different_7=seven)
    return {"about": folder / "correspondence.json", "arrays": folder / "correspondence.npz"}


def parts_alike(folder: Path, *intervals: tuple) -> object:
    return DECIDE[30](write(folder, pairs(1, 1, 0), pairs(1, 1, 0), dict(zip(PARTS, intervals, strict=True))))


def test_parts_against_random_places(tmp_path: Path) -> None:
    good, fair, none, bad = (0.3, 0.2, 0.4), (0.2, 0.1, 0.3), (0.0, -0.1, 0.1), (-0.2, -0.3, -0.1)
    finding = parts_alike(tmp_path, good, fair, good)
    assert (finding.verdict, finding.estimate.value, finding.estimate.n) == ("reproduced", 20, COUNT)
    assert list(finding.parts) == list(PARTS)
    assert parts_alike(tmp_path, good, none, good).verdict == "inconclusive"
    assert parts_alike(tmp_path, good, none, bad).verdict == "not reproduced"
    with pytest.raises(NotMeasured, match="change nothing"):
        parts_alike(tmp_path, good, good, (None, None, None))


def test_layer_7_against_layer_5(tmp_path: Path) -> None:
    clear, faint = pairs(0.06, 0.1, 1), pairs(0.09, 0.1, 2)

    def decide(five: np.ndarray, seven: np.ndarray):
        return DECIDE[31](write(tmp_path, five, seven, {}))

    finding = decide(clear, faint)
    assert finding.verdict == "reproduced"
    assert finding.estimate.value == pytest.approx(30, abs=2)
    assert "Layer 5: 4" in finding.reason
    assert decide(faint, clear).verdict == "not reproduced"
    assert decide(pairs(0.08, 0.1, 3, 0.05), pairs(0.08, 0.1, 4, 0.05)).verdict == "inconclusive"
    with pytest.raises(NotMeasured, match="change nothing"):
        decide(0 * clear, faint)
    with pytest.raises(NotMeasured, match="2 images were compared"):
        decide(clear[:, :2, :2], faint[:, :2, :2])


def test_the_margin_is_the_stages(tmp_path: Path) -> None:
    comparison = pairs(0.06, 0.1, 1)
    counts = np.random.default_rng(0).multinomial(COUNT, np.full(COUNT, 1 / COUNT), size=50)
    stage = below_random(comparison[:3], comparison[3:].mean(axis=0), counts)
    margin = correspondence._margin(comparison, np.ones((1, COUNT), int))
    assert margin[0] == pytest.approx(stage["value"])
    claim = intervals.resampled(float(margin[0]), correspondence._margin(comparison, counts), COUNT, "images")
    assert (claim.low, claim.high) == pytest.approx((stage["low"], stage["high"]))


def test_needs_and_the_papers_numbers() -> None:
    with pytest.raises(LookupError, match="correspondence"):
        correspondence.needs(SimpleNamespace(correspondence=None))
    printed = {claim.number: claim.paper for claim in correspondence.CLAIMS}
    assert printed[30] == "right eye 37 %, left eye 36 %, nose 26 %"  # 1 - 0.067, 0.069, 0.079 / 0.107
    assert (
        printed[31] == "27 points: 33 % in layer 5, 6 % in layer 7"
    )  # 1 - (.067+.069+.079)/3/.107, 1 - (.069+.068+.069)/3/.073
