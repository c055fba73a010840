"""Copy an experiment's finished report from results/ to reports/, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from zfrepro import experiments, manager
from zfrepro.errors import UserError

REPORTS = Path("reports")


def main(arguments: list[str]) -> None:
    parser = manager.experiment_parser("publish", __doc__)
    config = experiments.load(parser.parse_args(arguments).config)
    target = publish(config.results() / "report", REPORTS / config.experiment)
    print(f"published: {target / 'index.html'}  {target / 'report.pdf'}")


def publish(report: Path, target: Path) -> Path:
    """Replace `target` by a copy of the finished report. Raises UserError if there is none."""
    if not (report / "index.html").is_file() or not (report / "report.pdf").is_file():
        raise UserError(f"{report}: no finished report; make it first with: zfrepro run")
    fresh, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(report, fresh)
    if target.exists():
        os.replace(target, old)
    os.replace(fresh, target)
    shutil.rmtree(old, ignore_errors=True)
    return target
