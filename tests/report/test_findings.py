"""Which claims open a report, and how far its networks were trained."""

from __future__ import annotations

from typing import Any

import pytest

from zfrepro.claims.base import VERDICTS
from zfrepro.claims.registry import COUNT
from zfrepro.report import findings


def claim(number: int, verdict: str, reason: str = "") -> dict[str, Any]:
    return {"number": number, "verdict": verdict, "reason": reason}


def numbers(claims: list[dict[str, Any]]) -> list[int]:
    return [claim["number"] for claim in findings.select(claims)]


def test_every_part_of_the_paper_has_one_finding_and_six_are_shown() -> None:
    assert numbers([claim(n, "reproduced") for n in range(1, COUNT + 1)]) == [2, 12, 22, 27, 30, 32]


def test_a_decided_claim_goes_before_an_inconclusive_one_and_reproduced_ones_come_first() -> None:
    verdicts = {2: "inconclusive", 3: "not reproduced", 12: "inconclusive", 22: "reproduced, small", 27: "reproduced"}
    assert numbers([claim(n, verdict) for n, verdict in verdicts.items()]) == [27, 22, 3, 12]


def test_what_is_decided_is_not_pushed_out_by_what_is_open() -> None:
    open_ones = [claim(n, "inconclusive") for n in (2, 12, 22, 27, 30, 32)]
    assert numbers([*open_ones, claim(40, "reproduced"), claim(23, "not reproduced")]) == [40, 23, 2, 12, 22, 27]


def test_claims_not_attempted_are_no_findings() -> None:
    assert numbers([claim(n, "not attempted") for n in range(1, COUNT + 1)]) == []
    assert set(findings.ORDER) == set(VERDICTS) - {"not attempted"}


def network(epochs: int, images: int) -> dict[str, Any]:
    return {"spec": {"epochs": epochs}, "images": images}


def test_the_extent_of_training_stands_beside_the_papers() -> None:
    networks = {"baseline": network(10, 128_117), "improved": network(10, 128_117)}
    claims = [claim(8, "inconclusive", "Not converged: it falls."), claim(9, "inconclusive", "Measured once.")]
    assert findings.training_extent(networks, claims) == (
        "The networks saw 1,281,170 images (10 epochs of 128,117) in training, 1.4 % of the paper's 90 million (70 epochs). "
        "They had not converged, for which reason one verdict is inconclusive."
    )


@pytest.mark.parametrize(
    ("networks", "text"),
    [
        ({}, ""),
        ({"a": network(1, 200), "b": network(2, 200)}, "The networks saw 200 to 400 images in training"),
        ({"a": network(70, 1_281_167)}, "(70 epochs of 1,281,167) in training, 100 % of the paper's 90 million"),
    ],
)
def test_extents_of_other_trainings(networks: dict[str, Any], text: str) -> None:
    assert text in findings.training_extent(networks, [])
    assert "converged" not in findings.training_extent(networks, [])
