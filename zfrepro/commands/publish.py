"""Copy the finished report of an experiment from results/ to reports/ and rebuild the site there."""

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
from zfrepro.running.options import experiment_parser
from zfrepro.site import checksums, crate, pages, summaries
from zfrepro.storage import artifacts, workflow_files

REPORTS = Path("reports")
NEEDED = ("index.html", "report.pdf", "provenance.json", "summary.json")
SITE_PLACE = "<!-- site -->"  # in report/templates/page.html
SITE_LINKS = '<p class="back"><a href="../index.html">All reports</a> \u00b7 <a href="../compare.html">Experiments side by side</a></p>'
WARN_BYTES = 10e6  # a larger report makes a repository slow to clone


def main(arguments: list[str]) -> None:
    parser = experiment_parser("publish", __doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="only verify the checksums of the published reports")
    mode.add_argument("--site", action="store_true", help="only rebuild the site of the published reports")
    options = parser.parse_args(arguments)
    if options.check:
        check(REPORTS)
    elif options.site:
        published = summaries.read_all(REPORTS)
        folders = {summary.experiment: REPORTS / summary.experiment for summary in published}
        pages.save(REPORTS, pages.render(published, folders))
        print(f"site: {REPORTS / 'index.html'}")
    else:
        config = loading.load(options.config)
        target = publish(config.results() / "report", REPORTS / config.experiment)
        _print_summary(target)


def publish(report: Path, target: Path) -> Path:
    """Replace `target` by a copy of the finished report, with checksums and RO-Crate; rebuild the site in its parent folder.

    On any error nothing changes. Raises UserError if the report is not finished, or a published one is broken.
    """
    for name in NEEDED:
        if not (report / name).is_file():
            raise UserError(f"{report / name}: does not exist, the report is not finished; run zfrepro run first")
    summary, origin = summaries.read(report, target.name), crate.origin(report)
    _clean_up(target)
    folders = {folder.name: folder for folder in summaries.published(target.parent)} | {target.name: report}
    others = [summaries.read(folder) for name, folder in folders.items() if name != target.name]
    site = pages.render(sorted([*others, summary], key=lambda other: other.experiment), folders)
    _swap(_copy(report, target, summary.title, origin), target)
    pages.save(target.parent, site)
    return target


def check(reports: Path) -> None:
    """Print the reports whose files match their checksums. Raises UserError with one line per fault."""
    folders = list(summaries.published(reports))
    faults = [fault for folder in folders for fault in checksums.faults(folder)]
    if faults:
        raise UserError("\n".join(faults))
    for folder in folders:
        print(f"{folder}: {len(checksums.files(folder))} files match their checksums")
    if not folders:
        print(f"{reports}: no published reports")


def _clean_up(target: Path) -> None:
    """Remove what an interrupted publication left; restore the old report if it was moved away."""
    fresh, old = _beside(target)
    if old.exists() and not target.exists():
        os.replace(old, target)
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)


def _copy(report: Path, target: Path, title: str, origin: Mapping[str, Any]) -> Path:
    """Make a complete copy next to the target. Hidden files are unfinished ones and not copied."""
    fresh, _ = _beside(target)
    try:
        shutil.copytree(report, fresh, ignore=shutil.ignore_patterns(".*"))
        _link_to_site(fresh)
        shutil.copyfile(workflow_files.ROOT / "Snakefile", fresh / crate.WORKFLOW)
        settings = yaml.safe_dump(origin["config"], sort_keys=False, allow_unicode=True, width=100)
        artifacts.save_text(fresh / crate.SETTINGS, settings)
        crate.write(fresh, title, origin)
        checksums.write(fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return fresh


def _link_to_site(report: Path) -> None:
    """Put links to the pages above all reports into a report's page, which has them only once it is published."""
    page, summary = report / "index.html", report / "summary.json"
    text = page.read_text(encoding="utf-8").replace(SITE_PLACE, SITE_LINKS, 1)
    artifacts.save_text(page, text)
    record = artifacts.load_json(summary)
    if "index.html" in record.get("files", {}):
        record["files"]["index.html"] = len(text.encode("utf-8"))
        artifacts.save_json(summary, record)


def _swap(fresh: Path, target: Path) -> None:
    _, old = _beside(target)
    if target.exists():
        os.replace(target, old)
    os.replace(fresh, target)
    shutil.rmtree(old, ignore_errors=True)


def _beside(target: Path) -> tuple[Path, Path]:
    return target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")


def _print_summary(target: Path) -> None:
    size = sum((target / name).stat().st_size for name in [*checksums.files(target), checksums.NAME])
    print(f"published: {target / 'index.html'}  {target / 'report.pdf'}  ({size / 1e6:.1f} MB)")
    print(f"site: {target.parent / 'index.html'}")
    if size > WARN_BYTES:
        print(
            f"{target}: larger than {WARN_BYTES / 1e6:.0f} MB, which makes a repository slow to clone", file=sys.stderr
        )
