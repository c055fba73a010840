"""Compare the verdicts of several runs: a table with one row per claim and one column per run, and how many differ.

RUN is an experiment's results folder (results/demo), a report folder (reports/demo), or a summary.json.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from zfrepro.errors import UserError
from zfrepro.site import comparison, comparison_text, verdicts
from zfrepro.storage import artifacts


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    if len(options.runs) < 2:
        raise UserError(f"{options.runs[0]}: one run cannot be compared; name two or more")
    runs = [verdicts.read(path) for path in options.runs]
    rows = comparison.compare([run.claims for run in runs])
    if options.csv:
        artifacts.save_text(options.csv, comparison_text.to_csv(runs, rows))
    selected = [row for row in rows if row.differ] if options.only_changes else rows
    comparison_text.show(runs, selected, sys.stdout)
    print("\n".join(comparison_text.summary(runs, rows)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "zfrepro compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="folder or summary.json, see above; two or more"
    )
    parser.add_argument("--only-changes", action="store_true", help="show only the claims whose verdicts differ")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also save all claims, with their numbers, as CSV")
    return parser
