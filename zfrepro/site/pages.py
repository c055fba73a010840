"""The pages above all published reports: an index with the counts of verdicts, and the experiments side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zfrepro.report import html
from zfrepro.site import comparison, thumbnails
from zfrepro.site.summaries import Claim, Summary
from zfrepro.storage import artifacts

LARGE = 1e5  # a value this large or larger is printed with an exponent


def render(summaries: Sequence[Summary], folders: Mapping[str, Path]) -> dict[str, str]:
    """File name -> page; whatever comes from the reports is escaped. folders: experiment -> folder of its report."""
    environment = html.environment()
    environment.filters |= {"measured": format_measurement, "date": format_date}
    rows = {
        "summaries": summaries,
        "claims": comparison.compare([summary.claims for summary in summaries]),
        "highlights": highlights(summaries),
        "thumbnails": {
            summary.experiment: thumbnails.load(folders[summary.experiment], summary) for summary in summaries
        },
    }
    rows["exhibits"] = exhibits(summaries)
    return {name: environment.get_template(f"site_{name}").render(**rows) for name in ("index.html", "compare.html")}


def save(reports: Path, pages: dict[str, str]) -> None:
    for name, page in pages.items():
        artifacts.save_text(reports / name, page)


def highlights(summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """Rows label, paper (from the first report that has it), `cells` (ours for each experiment, or None)."""
    labelled = [{highlight.label: highlight for highlight in summary.highlights} for summary in summaries]
    rows = []
    for label in _all_keys(labelled):
        cells = [by_label.get(label) for by_label in labelled]
        rows.append(
            {"label": label, "paper": next((cell.paper for cell in cells if cell and cell.paper), ""), "cells": cells}
        )
    return rows


def exhibits(summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """Rows name, title, paper, `cells` (whether each experiment has it)."""
    by_name = [{item.name: item for item in summary.exhibits if item.name in summary.anchors} for summary in summaries]
    rows = []
    for name in _all_keys(by_name):
        exhibit = next(items[name] for items in by_name if name in items)
        cells = [name in items for items in by_name]
        rows.append({"name": name, "title": exhibit.title, "paper": exhibit.paper, "cells": cells})
    return rows


def format_measurement(claim: Claim) -> Iterator[str]:
    """`-2.1 points`, `[-3.0, -1.2]` (with a true minus sign), which part it is, of how many, what its effect is compared with.

    Nothing if nothing was measured.
    """
    if claim.value is None:
        return
    text = claim.estimate or f"{_number(claim.value)} {claim.unit or ''}".rstrip()
    if not claim.estimate and claim.low is not None and claim.high is not None:
        text += f" [{_number(claim.low)}, {_number(claim.high)}]"
    value, bracket, interval = text.replace("-", "\u2212").partition(" [")
    yield value
    if bracket:
        yield f"[{interval}"
    if claim.part:
        yield claim.part
    if claim.n is not None and claim.of:
        yield f"n = {claim.n:,} {claim.of}"
    if claim.effect:
        yield claim.effect.removeprefix(f"effect {claim.estimate.partition(' [')[0]}; ").replace("-", "\u2212")


def format_date(iso_time: str) -> str:
    """`2026-11-24` of `2026-11-24T04:08:18Z`"""
    return iso_time[:10]


def _number(value: float) -> str:
    """With two decimals at most."""
    return f"{value:.3g}" if abs(value) >= LARGE else f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def _all_keys(several: Sequence[dict[str, Any]]) -> list[str]:
    """All keys, in the order in which they first appear."""
    return list(dict.fromkeys(itertools.chain.from_iterable(several)))
