"""Rows of a comparison: which verdicts differ, and which flip."""

from __future__ import annotations

import pytest
from helpers.toy_verdicts import NO, NONE, OPEN, SMALL, YES

from zfrepro.site import comparison
from zfrepro.site.summaries import Claim


@pytest.mark.parametrize(
    ("verdicts", "differ", "flips"),
    [
        ([YES, YES], False, False),
        ([YES, SMALL], True, False),
        ([YES, NO], True, True),
        ([SMALL, NO], True, True),
        ([YES, OPEN], True, False),
        ([NO, OPEN, NONE], True, False),
        ([NO, NONE, NONE], False, False),
        ([OPEN, NO, None, SMALL], True, True),
        ([None, NO], False, False),
    ],
)
def test_a_flip_is_between_reproduced_and_not_reproduced(verdicts: list[str | None], differ: bool, flips: bool) -> None:
    (compared,) = comparison.compare(
        [[Claim(number=1, says="So.", verdict=verdict)] if verdict else [] for verdict in verdicts]
    )
    assert (compared.differ, compared.flips) == (differ, flips)
    assert [claim.verdict if claim else None for claim in compared.claims] == verdicts


def test_the_papers_numbers_stand_in_the_row() -> None:
    claims = [Claim(number=1, says="So.", verdict=NO), Claim(number=1, says="So.", verdict=NO, paper="2.1 points")]
    (compared,) = comparison.compare([[claim] for claim in claims])
    assert compared.paper == "2.1 points"
