"""The verdicts of several runs, claim by claim: where they differ, and where they flip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zfrepro.site.summaries import Claim

REPRODUCED = ("reproduced", "reproduced, small")
NOT_REPRODUCED = "not reproduced"


@dataclass(frozen=True)
class Row:
    """One claim in every run, None if a run does not have it. A missing claim is neither a difference nor a flip."""

    number: int
    sentence: str
    claims: tuple[Claim | None, ...]

    @property
    def verdicts(self) -> set[str]:
        return {claim.verdict for claim in self.claims if claim}

    @property
    def differ(self) -> bool:
        """Whether any two runs have different verdicts."""
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
        rows.append(Row(number, next(claim.says for claim in claims if claim), claims))
    return rows
