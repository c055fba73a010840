"""The summaries of published reports, read from summary.json; a broken file gives one message."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from zfrepro.claims.base import Verdict, counts
from zfrepro.errors import UserError

AGAIN = "rebuild and publish that report, or delete the folder"


class _Part(BaseModel):
    """Keys that a later version adds are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Claim(_Part):
    """The measured quantity is a number in its unit; None if nothing was measured."""

    number: int = Field(ge=1)
    says: str = Field(min_length=1)
    verdict: Verdict
    value: FiniteFloat | None = None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    unit: str | None = None
    n: int | None = None  # of `of`, over which the quantity was measured
    of: str | None = None
    paper: str = ""  # the same quantity by the paper's numbers
    part: str = ""  # the part of the quantity that decides, where it has several
    effect: str = ""  # next to the paper's, or to the largest possible
    estimate: str = ""  # value and interval as text; built from the numbers if empty


class Highlight(_Part):
    label: str = Field(min_length=1)
    ours: str
    paper: str | None = None
    exhibit: str | None = None


class Training(_Part):
    """Of all networks of the experiment, without repetition."""

    precisions: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    text: str = ""


class Exhibit(_Part):
    name: str = Field(pattern=r"^\w+$")
    title: str
    paper: str = ""
    plot: bool = False  # its figure is lines and text on white, without images


class Summary(_Part):
    """One experiment as the site shows it; `anchors` are the ids of its page, so that no link is dead."""

    experiment: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")
    title: str = Field(min_length=1)
    subtitle: str | None = None
    made: str = ""
    reductions: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    highlights: tuple[Highlight, ...] = ()
    training: Training | None = None
    hardware: str | dict[str, Any] | None = None
    seconds: FiniteFloat | None = Field(None, ge=0)
    exhibits: tuple[Exhibit, ...] = ()
    anchors: frozenset[str] = frozenset()

    def counts(self) -> dict[str, int]:
        """Verdict -> how many claims, in the order of VERDICTS."""
        return counts(claim.verdict for claim in self.claims)

    def attempted(self) -> int:
        """How many claims something was measured for."""
        return len(self.claims) - self.counts()["not attempted"]

    def plots(self) -> frozenset[str]:
        """Exhibits whose figure a dark page may invert."""
        return frozenset(exhibit.name for exhibit in self.exhibits if exhibit.plot)

    def machine(self) -> str:
        """`AMD EPYC, 2 cores`"""
        if not isinstance(self.hardware, dict):
            return self.hardware or ""
        cores, gpus = self.hardware.get("cores"), self.hardware.get("gpus") or []
        parts = [self.hardware.get("cpu"), f"{cores} cores" if cores else None, *gpus]
        return ", ".join(str(part) for part in parts if part)

    def link(self, *anchors: str) -> str:
        """Address, from the site's pages, of the first of these anchors that the report has; else of its top."""
        target = next((anchor for anchor in anchors if anchor in self.anchors), None)
        return f"{self.experiment}/index.html{f'#{target}' if target else ''}"


def read(folder: Path, name: str | None = None) -> Summary:
    """`folder`: a report; `name`: the expected experiment, by default the folder's. Raises UserError naming file and key."""
    path, page = folder / "summary.json", folder / "index.html"
    summary = load(path)
    try:
        summary = summary.model_copy(update={"anchors": _anchors(page.read_text(encoding="utf-8"))})
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{page}: cannot be read ({getattr(error, 'strerror', error)}); {AGAIN}") from error
    if summary.experiment != (name or folder.name):
        raise UserError(
            f"{path}: belongs to the experiment {summary.experiment}, not to {name or folder.name}; {AGAIN}"
        )
    return summary


def load(path: Path, advice: str = AGAIN) -> Summary:
    """A summary.json by itself, without anchors. Raises UserError naming file and key; `advice` says what to do."""
    try:
        return Summary.model_validate({**json.loads(path.read_text(encoding="utf-8")), "anchors": ()})
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {advice}") from error
    except ValidationError as error:
        raise UserError(f"{path}: {_first(error)}; {advice}") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: is not the summary of a report ({error}); {advice}") from error


def read_all(reports: Path) -> list[Summary]:
    """Every published report, by name."""
    return [read(folder) for folder in published(reports)]


def published(reports: Path) -> Iterator[Path]:
    """Folders with a report in them; those that begin with a point are unfinished and skipped."""
    if reports.is_dir():
        yield from sorted(path.parent for path in reports.glob("[!.]*/index.html"))


def _anchors(page: str) -> frozenset[str]:
    return frozenset(re.findall(r'<[a-z0-9]+\b[^<>]*?\sid="([\w-]+)"', page))


def _first(error: ValidationError) -> str:
    fault, *rest = error.errors()
    location = ".".join(str(part) for part in fault["loc"])
    return f"{location}: {fault['msg']}{f' (and {len(rest)} more)' if rest else ''}"
