"""Copy an experiment's finished report from results/ to reports/, whole or not at all, and rebuild the site there."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zfrepro.errors import UserError
from zfrepro.experiment import loading
from zfrepro.running import manager
from zfrepro.site import checksums, crate, pages, summaries
from zfrepro.storage import artifacts

REPORTS = Path("reports")
NEEDED = ("index.html", "report.pdf", "provenance.json", "summary.json")
MOST = 10e6  # bytes; a larger report is a burden for a repository


def main(arguments: list[str]) -> None:
    parser = manager.experiment_parser("publish", __doc__)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--check", action="store_true", help="only compare what is published with its checksums")
    only.add_argument("--site", action="store_true", help="only rebuild the site over what is published")
    options = parser.parse_args(arguments)
    if options.check:
        check(REPORTS)
    elif options.site:
        pages.save(REPORTS, pages.render(summaries.read_all(REPORTS)))
        print(f"site: {REPORTS / 'index.html'}")
    else:
        config = loading.load(options.config)
        target = publish(config.results() / "report", REPORTS / config.experiment)
        _say(target)


def publish(report: Path, target: Path) -> Path:
    """Replace `target` by a copy of the finished report, with checksums and RO-Crate; rebuild the site in its parent.

    Nothing changes if anything is wrong. Raises UserError where no finished report is, or a published one is broken.
    """
    for name in NEEDED:
        if not (report / name).is_file():
            raise UserError(f"{report / name}: missing, no finished report is there; make it first with: zfrepro run")
    summary, origin = summaries.read(report, target.name), crate.origin(report)
    _tidy(target)
    others = [summaries.read(folder) for folder in summaries.published(target.parent) if folder != target]
    site = pages.render(sorted([*others, summary], key=lambda one: one.experiment))
    _swap(_copy(report, target, summary.title, origin), target)
    pages.save(target.parent, site)
    return target


def check(reports: Path) -> None:
    """Say what is whole. Raises UserError with a line for every fault."""
    folders = list(summaries.published(reports))
    faults = [fault for folder in folders for fault in checksums.faults(folder)]
    if faults:
        raise UserError("\n".join(faults))
    for folder in folders:
        print(f"{folder}: {len(checksums.files(folder))} files as published")
    if not folders:
        print(f"{reports}: nothing is published")


def _tidy(target: Path) -> None:
    """Clear away what a stopped publication left; a report that was set aside comes back."""
    fresh, old = _beside(target)
    if old.exists() and not target.exists():
        os.replace(old, target)
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)


def _copy(report: Path, target: Path, title: str, origin: Mapping[str, Any]) -> Path:
    """The copy beside the target, complete. Hidden files are half written ones and stay behind."""
    fresh, _ = _beside(target)
    try:
        shutil.copytree(report, fresh, ignore=shutil.ignore_patterns(".*"))
        shutil.copyfile(manager.ROOT / "Snakefile", fresh / crate.WORKFLOW)
        settings = yaml.safe_dump(origin["config"], sort_keys=False, allow_unicode=True, width=100)
        artifacts.save_text(fresh / crate.SETTINGS, settings)
        crate.write(fresh, title, origin)
        checksums.write(fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return fresh


def _swap(fresh: Path, target: Path) -> None:
    _, old = _beside(target)
    if target.exists():
        os.replace(target, old)
    os.replace(fresh, target)
    shutil.rmtree(old, ignore_errors=True)


def _beside(target: Path) -> tuple[Path, Path]:
    return target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")


def _say(target: Path) -> None:
    size = sum((target / name).stat().st_size for name in [*checksums.files(target), checksums.NAME])
    print(f"published: {target / 'index.html'}  {target / 'report.pdf'}  ({size / 1e6:.1f} MB)")
    print(f"site: {target.parent / 'index.html'}")
    if size > MOST:
        print(f"{target}: more than {MOST / 1e6:.0f} MB is a burden for a repository", file=sys.stderr)
