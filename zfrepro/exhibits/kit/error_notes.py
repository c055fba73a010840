"""What the tables of network errors (Tables 2 and 3) say of their intervals, their views and the runs that diverged."""

from __future__ import annotations

from collections.abc import Iterable

from zfrepro.measurements.runs import Run


def name_views(views: int) -> str:
    return "ten views averaged" if views == 10 else "single view (centre)"


def interval_note(spread: bool) -> str:
    """spread: whether a network was trained several times."""
    seeds = (
        "the spread of seeds, pooled over all networks that were trained several times"
        if spread
        else "no spread of seeds, as no network was trained twice"
    )
    return f"Errors: [ ]: 95 % interval of the mean over images, computed in the same way in every row, with {seeds}."


def divergence_notes(runs: Iterable[Run]) -> list[str]:
    """One for each run that diverged: its row counts the other seeds, or says `diverged`."""
    return [f"{run.diverged}: its row counts the other seeds, or has no errors." for run in runs if run.diverged]
