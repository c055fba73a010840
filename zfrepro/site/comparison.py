"""The verdicts of several runs, claim by claim: where they differ, and where they flip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zfrepro.site.summaries import Claim

NOT_ATTEMPTED = "not attempted"
REPRODUCED = ("reproduced", "reproduced, small")
NOT_REPRODUCED = "not reproduced"


@dataclass(frozen=True)
class Row:
    """One claim in every run, None if a run does not have it; paper: by the paper's numbers, "" where it gives none.

    A claim that is missing or was not attempted is neither a difference nor a flip.
    """

    number: int
    sentence: str
    paper: str
    claims: tuple[Claim | None, ...]

    @property
    def verdicts(self) -> set[str]:
        """Of the runs that attempted it."""
        return {claim.verdict for claim in self.claims if claim and claim.verdict != NOT_ATTEMPTED}

    @property
    def differ(self) -> bool:
        """Whether any two runs that attempted it have different verdicts."""
        return len(self.verdicts) > 1

    @property
    def flips(self) -> bool:
        """Whether it is reproduced, large or small, in one run and not reproduced in another."""
        return NOT_REPRODUCED in self.verdicts and not self.verdicts.isdisjoint(REPRODUCED)


def compare(runs: Sequence[Sequence[Claim]]) -> list[Row]:
    """One row per claim, sorted by number; its claims in the order of the runs."""
    numbered = [{claim.number: claim for claim in claims} for claims in runs]
    rows = []
    for number in sorted(set().union(*numbered)):
        claims = tuple(by_number.get(number) for by_number in numbered)
        present = [claim for claim in claims if claim]
        paper = next((claim.paper for claim in present if claim.paper), "")
        rows.append(Row(number, present[0].says, paper, claims))
    return rows
