"""The verdicts of several runs, claim by claim: where they differ, and where they flip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zfrepro.site.summaries import Claim

REPRODUCED = ("reproduced", "reproduced, small")
AGAINST = "not reproduced"


@dataclass(frozen=True)
class Row:
    """One claim in every run, None where a run does not have it. A missing claim is neither a difference nor a flip."""

    number: int
    says: str
    ones: tuple[Claim | None, ...]

    @property
    def verdicts(self) -> set[str]:
        return {one.verdict for one in self.ones if one}

    @property
    def differ(self) -> bool:
        """Whether any two runs have different verdicts."""
        return len(self.verdicts) > 1

    @property
    def flips(self) -> bool:
        """Whether one run says reproduced, large or small, and another not reproduced."""
        return AGAINST in self.verdicts and not self.verdicts.isdisjoint(REPRODUCED)


def compare(runs: Sequence[Sequence[Claim]]) -> list[Row]:
    """One row a claim, by number; `ones` in the order of the runs."""
    numbered = [{claim.number: claim for claim in claims} for claims in runs]
    rows = []
    for number in sorted({number for one in numbered for number in one}):
        ones = tuple(by_number.get(number) for by_number in numbered)
        rows.append(Row(number, next(one.says for one in ones if one), ones))
    return rows
