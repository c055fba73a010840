"""Compare the verdicts of several runs: a table with one row a claim and one column a run, and how many differ.

RUN is an experiment's results folder (results/demo), a report folder (reports/demo), or a summary.json.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TextIO

from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zfrepro.claims.base import counts
from zfrepro.errors import UserError
from zfrepro.exhibits.kit.base import guarded
from zfrepro.graph import TRAINING
from zfrepro.report import training_setup
from zfrepro.site import comparison
from zfrepro.site.comparison import Row
from zfrepro.site.pages import measured
from zfrepro.site.summaries import Claim, Training, load
from zfrepro.storage import artifacts

EXHIBIT, SUMMARIES = "exhibits/claims/exhibit.json", ("report/summary.json", "summary.json")
AGAIN = "run that experiment again: zfrepro run"
SHORT = {  # verdict -> symbol, word, colour on a terminal
    "reproduced": ("\u2713", "yes", "green"),
    "reproduced, small": ("+", "small", "green"),
    "not reproduced": ("\u2717", "no", "red"),
    "inconclusive": ("?", "unclear", "yellow"),
    "not attempted": ("\u2013", "none", "dim"),
}
MISSING = "missing"
DIFFERS, FLIPS = "*", "!"
ANY_WIDTH = 100_000  # characters; a file or a pipe has no edge at which to cut a table off


@dataclass(frozen=True)
class Run:
    """One column. `experiment`: its name, or that of the folder; `training` is None where the run does not record it."""

    path: Path
    experiment: str
    claims: tuple[Claim, ...]
    training: Training | None

    def setup(self) -> Iterator[str]:
        """`seeds 0-2`, then `bfloat16, cpu`"""
        if self.training is None:
            yield "training not recorded"
            return
        seeds = self.training.seeds
        yield f"seed{'s' if len(seeds) > 1 else ''} {ranges(seeds)}"
        yield f"{'+'.join(self.training.precisions)}, {'+'.join(self.training.devices)}"


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    if len(options.runs) < 2:
        raise UserError(f"{options.runs[0]}: one run cannot be compared; name two or more")
    runs = [read(path) for path in options.runs]
    rows = comparison.compare([run.claims for run in runs])
    if options.csv:
        artifacts.save_text(options.csv, as_csv(runs, rows))
    shown = [row for row in rows if row.differ] if options.only_changes else rows
    show(runs, shown, sys.stdout)
    print("\n".join(summary(runs, rows)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "zfrepro compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="two or more")
    parser.add_argument("--only-changes", action="store_true", help="only the claims whose verdicts differ")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="save all claims, with their numbers, as CSV")
    return parser


def read(path: Path) -> Run:
    """Raises UserError, one message that names the file, for what is not a run or a damaged one."""
    if path.is_dir():
        if (path / EXHIBIT).is_file():
            return _of_results(path)
        found = next((path / name for name in SUMMARIES if (path / name).is_file()), None)
        if found is None:
            raise UserError(
                f"{path}: contains no verdicts (neither {EXHIBIT} nor {' nor '.join(SUMMARIES)}); finish that experiment "
                "with zfrepro run, or name the folder of another run"
            )
        return _of_summary(path, found)
    if not path.exists():
        raise UserError(f"{path}: does not exist; name a results folder, a report folder or a summary.json")
    return _of_summary(path, path)


def _of_summary(path: Path, file: Path) -> Run:
    content = load(file, AGAIN)
    return Run(path, content.experiment, _some(content.claims, file), content.training)


def _of_results(folder: Path) -> Run:
    """From the claims exhibit and the networks that it depends on: a report need not be there."""
    file = folder / EXHIBIT
    content = artifacts.load_json(file)
    try:
        claims = tuple(Claim.model_validate(one) for one in content["data"]["claims"])
        files = list(content.get("files", {}).values())
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise UserError(f"{file}: claims: {where}: {fault['msg']}; {AGAIN}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file}: is not the exhibit of the claims; {AGAIN}") from error
    return Run(folder, folder.resolve().name, _some(claims, file), _training(folder, files))


def _training(folder: Path, files: Sequence[str]) -> Training | None:
    """files: what the claims depend on, relative to the folder, `evaluate/improved/errors.json`."""
    names = {part for file in files for part in PurePosixPath(file).parts[1:2]}
    paths = [folder / stage / name / "network.json" for stage in TRAINING for name in sorted(names)]
    networks = {str(path): artifacts.load_json(path) for path in paths if path.is_file()}
    try:
        return Training(**training_setup.facts(networks)) if networks else None
    except (KeyError, TypeError, ValidationError) as error:
        raise UserError(f"{folder}: a network.json in train/ or ablate/ is incomplete ({error}); {AGAIN}") from error


def _some(claims: tuple[Claim, ...], file: Path) -> tuple[Claim, ...]:
    if not claims:
        raise UserError(
            f"{file}: contains no claims; add `claims` to report.exhibits of its experiment and run it again"
        )
    return claims


def show(runs: Sequence[Run], rows: Sequence[Row], stream: TextIO) -> None:
    """The table, as wide as the terminal; to a file or a pipe as plain lines, as wide as they are."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # where there is no Unicode, ? stands for a symbol
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(table(runs, rows))
        return
    wide = Console(file=io.StringIO(), width=ANY_WIDTH, highlight=False, markup=False, emoji=False, color_system=None)
    wide.print(table(runs, rows, plain=True))
    lines = wide.file.getvalue().splitlines()
    stream.write("".join(f"{line.rstrip()}\n" for line in lines))


def table(runs: Sequence[Run], rows: Sequence[Row], plain: bool = False) -> Table:
    """plain: one line a claim, for files and pipes; else verdict and number stand one below the other."""
    made = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_lines=False)
    made.add_column("", no_wrap=True)
    made.add_column("claim", justify="right", no_wrap=True)
    for name, run in zip(names(runs), runs, strict=True):
        made.add_column("\n".join(_heading(name, run)), no_wrap=plain, overflow="fold")
    made.add_column("what the paper says", no_wrap=plain, overflow="fold")
    for row in rows:
        mark = FLIPS if row.flips else DIFFERS if row.differ else ""
        parts = {one.part for one in row.ones if one and one.part}
        cells = [_cell(one, plain, part=len(parts) > 1) for one in row.ones]
        made.add_row(mark, str(row.number), *cells, Text(row.says), style="bold" if row.differ else None)
    return made


def _heading(name: str, run: Run) -> tuple[str, ...]:
    """Always three lines, so that names stand beside each other."""
    return (name, *run.setup(), "")[:3]


def _cell(claim: Claim | None, plain: bool, part: bool) -> Text:
    """`✓ yes  1.9 points [0.1, 3.7]`; part: with the name of the part that decides."""
    if claim is None:
        return Text(MISSING, style="dim")
    symbol, word, colour = SHORT[claim.verdict]
    number = " ".join([*_number(claim), *([f"({claim.part})"] if part and claim.part else [])])
    between = "" if not number else " " * (10 - len(word)) if plain else "\n"
    return Text.assemble((f"{symbol} {word}", colour), between, number)


def _number(claim: Claim) -> list[str]:
    """Value, then its interval where it has one."""
    value, *rest = [*measured(claim)] or [""]
    shown = [value, *(one for one in rest[:1] if one.startswith("["))] if value else []
    return [one.replace("\u2212", "-") for one in shown]


def names(runs: Sequence[Run]) -> list[str]:
    """The experiments' names; paths as they were given where two runs have the same name."""
    several = [run.experiment for run in runs]
    return [str(run.path) if several.count(run.experiment) > 1 else run.experiment for run in runs]


def summary(runs: Sequence[Run], rows: Sequence[Row]) -> Iterator[str]:
    """What the symbols mean, how often each verdict stands in each run, how many claims differ and which flip."""
    yield ""
    yield "   ".join(f"{symbol} {word}: {verdict}" for verdict, (symbol, word, _) in SHORT.items())
    for name, run in zip(names(runs), runs, strict=True):
        number = counts(run.claims) | {MISSING: len(rows) - len(run.claims)}
        yield f"{name}: {'; '.join(f'{count} {verdict}' for verdict, count in number.items() if count)}"
    differ, flips = (
        [row.number for row in rows if test(row)] for test in (lambda row: row.differ, lambda row: row.flips)
    )
    yield f"{DIFFERS} {len(differ)} of {len(rows)} claims differ{_listed(differ)}"
    yield f"{FLIPS} {len(flips)} of them flip{'s' if len(flips) == 1 else ''} between reproduced and not reproduced{_listed(flips)}"


def _listed(numbers: Sequence[int]) -> str:
    return f": {', '.join(map(str, numbers))}" if numbers else ""


def as_csv(runs: Sequence[Run], rows: Sequence[Row]) -> str:
    """One line a claim: number, sentence, differs and flips (yes or no), then five columns a run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    fields = ("verdict", "value", "low", "high", "unit")
    columns = [
        f"{' '.join([name, *run.setup()])}: {field}"
        for name, run in zip(names(runs), runs, strict=True)
        for field in fields
    ]
    writer.writerow([guarded(column) for column in ("claim", "says", "differs", "flips", *columns)])
    for row in rows:
        values = [value for one in row.ones for value in _values(one)]
        marks = ["yes" if mark else "no" for mark in (row.differ, row.flips)]
        writer.writerow([row.number, guarded(row.says), *marks, *values])
    return text.getvalue()


def _values(claim: Claim | None) -> list[str | float | None]:
    """Verdict, value, low, high, unit"""
    if claim is None:
        return [MISSING, None, None, None, None]
    return [claim.verdict, claim.value, claim.low, claim.high, guarded(claim.unit or "")]


def ranges(numbers: Sequence[int]) -> str:
    """`0-2, 7` of 0, 1, 2, 7"""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found)
