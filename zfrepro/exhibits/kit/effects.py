"""Effects as cells of a table: what a change adds to its own base, the paper's beside ours with its 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zfrepro.exhibits.kit.base import Cell, difference
from zfrepro.exhibits.kit.numbers import Number, measured_number
from zfrepro.measurements import runs
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.networks import Networks

NONE = Number(0.0, signed=True)  # of a base against itself
Pair = tuple[str, str]  # rows of Table 3: a network, and the base that it is compared with


def effect_cells(key: str, printed: float | None, ours: Cell, digits: int = 1) -> dict[str, Cell]:
    """`<key>_paper`, `<key>_ours` and `<key>_diff`, of an effect in the paper (None: not printed) and here."""
    theirs = None if printed is None else Number(printed, digits, signed=True)
    measured = ours if isinstance(ours, Number) else None
    return {f"{key}_paper": theirs, f"{key}_ours": ours, f"{key}_diff": difference(measured, theirs, digits)}


def measure_effect(measure: Callable[[], Estimate | None], missing: str) -> Cell:
    """An effect with its sign; `missing` where it cannot be measured."""
    try:
        return measured_number(measure(), signed=True) or missing
    except NotMeasured:
        return missing


def explain_missing(networks: Networks, pair: Pair) -> str:
    """The text in place of the effect of a network on the error of its base."""
    row, base = pair
    if not runs.select_row(networks.runs, row):
        return "diverged" if runs.diverged_in_row(networks.runs, row) else "not run"
    return "other recipe" if runs.select_row(networks.runs, base) else "base not run"


def effect_note(networks: Networks) -> str:
    """What the interval of an effect on errors is."""
    start = "Effects: error minus that of the base, in points; below 0 is better."
    if networks.spread_of_error(1, networks.views) is None:
        return f"{start} Ours have no interval: {networks.explain_no_spread()}."
    return (
        f"{start} [ ]: 95 % interval of the difference, image by image, with the spread of seeds, pooled over all networks that were "
        "trained several times; the claims judge these estimates. Small dots in the plot: single seeds minus the mean of the base's."
    )


def recipe_notes(networks: Networks, pairs: Iterable[Pair]) -> list[str]:
    """Why networks that were trained have no effect, each reason once."""
    trained = [pair for pair in pairs if all(runs.select_row(networks.runs, row) for row in pair)]
    return list(dict.fromkeys(filter(None, (_explain_recipe(networks, pair) for pair in trained))))


def _explain_recipe(networks: Networks, pair: Pair) -> str:
    try:
        networks.require_same_recipe(pair)
    except NotMeasured as error:
        return f"Other recipe: {error}"
    return ""
