"""The comparison as a table on a terminal; its symbols."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from helpers.toy_verdicts import six
from rich.console import Console

from zfrepro.claims.base import VERDICTS
from zfrepro.exhibits.claims import STYLES
from zfrepro.site import comparison, comparison_text, verdicts


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_on_a_terminal_lines_fit_and_nothing_is_cut(tmp_path: Path, columns: int) -> None:
    runs = [verdicts.read(Path(path)) for path in six(tmp_path)[:2]]
    rows = comparison.compare([run.claims for run in runs])
    console = Console(file=io.StringIO(), width=columns, force_terminal=True, color_system=None)
    console.print(comparison_text.table(runs, rows))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    assert "\u2026" not in "".join(lines)
    assert sum("yes" in line for line in lines) == 4  # claims 1, 2, 3 and, in the second run only, 6


def test_symbols_are_those_of_the_report_and_every_verdict_has_one() -> None:
    assert {verdict: symbol for verdict, (symbol, *_) in comparison_text.SYMBOLS.items()} == {
        verdict: look[1] for verdict, look in STYLES.items()
    }
    assert tuple(comparison_text.SYMBOLS) == VERDICTS
