"""The comparison of several runs as a table for terminals and files, as CSV, and as summary lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zfrepro.claims.base import counts
from zfrepro.exhibits.kit.base import escape_formula
from zfrepro.site.comparison import Row
from zfrepro.site.pages import format_measurement
from zfrepro.site.summaries import Claim
from zfrepro.site.verdicts import RunVerdicts

SYMBOLS = {  # verdict -> symbol, word, colour on a terminal
    "reproduced": ("\u2713", "yes", "green"),
    "reproduced, small": ("+", "small", "green"),
    "not reproduced": ("\u2717", "no", "red"),
    "inconclusive": ("?", "unclear", "yellow"),
    "not attempted": ("\u2013", "none", "dim"),
}
MISSING = "missing"
DIFFERS, FLIPS = "*", "!"
ANY_WIDTH = 100_000  # characters; the table is never cut in a file or a pipe
FIELDS = ("verdict", "value", "low", "high", "unit")  # columns per run in the CSV


def show(runs: Sequence[RunVerdicts], rows: Sequence[Row], stream: TextIO) -> None:
    """Print the table: as wide as the terminal; in a file or a pipe, one line per claim of any length."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # without Unicode, ? replaces a symbol
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(table(runs, rows))
        return
    text = io.StringIO()
    wide = Console(file=text, width=ANY_WIDTH, highlight=False, markup=False, emoji=False, color_system=None)
    wide.print(table(runs, rows, plain=True))
    stream.write("".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines()))


def table(runs: Sequence[RunVerdicts], rows: Sequence[Row], plain: bool = False) -> Table:
    """plain: one line per claim, for files and pipes; otherwise the number is below the verdict."""
    result = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_lines=False)
    result.add_column("", no_wrap=True)
    result.add_column("claim", justify="right", no_wrap=True)
    for name, run in zip(names(runs), runs, strict=True):
        result.add_column("\n".join(_heading(name, run)), no_wrap=plain, overflow="fold")
    result.add_column("what the paper says", no_wrap=plain, overflow="fold")
    for row in rows:
        mark = FLIPS if row.flips else DIFFERS if row.differ else ""
        parts = {claim.part for claim in row.claims if claim and claim.part}
        cells = [_cell(claim, plain, part=len(parts) > 1) for claim in row.claims]
        result.add_row(mark, str(row.number), *cells, Text(row.sentence), style="bold" if row.differ else None)
    return result


def _heading(name: str, run: RunVerdicts) -> tuple[str, ...]:
    """Always three lines, so that the names are in one line."""
    return (name, *run.setup(), "")[:3]


def _cell(claim: Claim | None, plain: bool, part: bool) -> Text:
    """`✓ yes  1.9 points [0.1, 3.7]`; part: also name the part that decides."""
    if claim is None:
        return Text(MISSING, style="dim")
    symbol, word, colour = SYMBOLS[claim.verdict]
    number = " ".join([*_number(claim), *([f"({claim.part})"] if part and claim.part else [])])
    separator = "" if not number else " " * (10 - len(word)) if plain else "\n"
    return Text.assemble((f"{symbol} {word}", colour), separator, number)


def _number(claim: Claim) -> list[str]:
    """The value, and its interval if it has one."""
    value, *details = [*format_measurement(claim)] or [""]
    texts = [value, *(text for text in details[:1] if text.startswith("["))] if value else []
    return [text.replace("\u2212", "-") for text in texts]


def names(runs: Sequence[RunVerdicts]) -> list[str]:
    """The names of the experiments; the given paths for runs of the same name."""
    experiments = [run.experiment for run in runs]
    return [str(run.path) if experiments.count(run.experiment) > 1 else run.experiment for run in runs]


def summary(runs: Sequence[RunVerdicts], rows: Sequence[Row]) -> Iterator[str]:
    """What the symbols mean, how many claims of each run have each verdict, how many differ, how many flip."""
    yield ""
    yield "   ".join(f"{symbol} {word}: {verdict}" for verdict, (symbol, word, _) in SYMBOLS.items())
    for name, run in zip(names(runs), runs, strict=True):
        totals = counts(claim.verdict for claim in run.claims) | {MISSING: len(rows) - len(run.claims)}
        yield f"{name}: {'; '.join(f'{total} {verdict}' for verdict, total in totals.items() if total)}"
    differ, flips = [row.number for row in rows if row.differ], [row.number for row in rows if row.flips]
    yield f"{DIFFERS} {len(differ)} of {len(rows)} claims differ{_list_numbers(differ)}"
    yield f"{FLIPS} {len(flips)} of them flip{'s' if len(flips) == 1 else ''} between reproduced and not reproduced{_list_numbers(flips)}"


def _list_numbers(numbers: Sequence[int]) -> str:
    return f": {', '.join(map(str, numbers))}" if numbers else ""


def to_csv(runs: Sequence[RunVerdicts], rows: Sequence[Row]) -> str:
    """One line per claim: number, sentence, differs and flips (yes or no), then FIELDS of each run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    headings = [" ".join([name, *run.setup()]) for name, run in zip(names(runs), runs, strict=True)]
    columns = [f"{heading}: {field}" for heading in headings for field in FIELDS]
    writer.writerow([escape_formula(column) for column in ("claim", "sentence", "differs", "flips", *columns)])
    for row in rows:
        values = [value for claim in row.claims for value in _values(claim)]
        marks = ["yes" if mark else "no" for mark in (row.differ, row.flips)]
        writer.writerow([row.number, escape_formula(row.sentence), *marks, *values])
    return text.getvalue()


def _values(claim: Claim | None) -> list[str | float | None]:
    """The FIELDS of one run."""
    if claim is None:
        return [MISSING, None, None, None, None]
    return [claim.verdict, claim.value, claim.low, claim.high, escape_formula(claim.unit or "")]
