"""What a published report says of itself, read from its summary.json; a broken file is one message."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from zfrepro.claims.base import Verdict, counts
from zfrepro.errors import UserError

AGAIN = "make and publish that report again, or delete the folder"


class _Part(BaseModel):
    """Keys that a later version adds are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Claim(_Part):
    """The measured quantity comes as a number in its unit; None where nothing was measured."""

    number: int = Field(ge=1)
    says: str = Field(min_length=1)
    verdict: Verdict
    value: FiniteFloat | None = None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    unit: str | None = None
    part: str = ""  # of the quantity, where that has several: the one that decides
    effect: str = ""  # beside the paper's, or beside the largest possible
    estimate: str = ""  # value and interval in words; made from the numbers where it is missing


class Highlight(_Part):
    label: str = Field(min_length=1)
    ours: str
    paper: str | None = None
    exhibit: str | None = None


class Exhibit(_Part):
    name: str = Field(pattern=r"^\w+$")
    title: str
    paper: str = ""


class Summary(_Part):
    """One experiment as the site shows it; `anchors` are the ids of its page, so that no link leads nowhere."""

    experiment: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")
    title: str = Field(min_length=1)
    subtitle: str | None = None
    made: str = ""
    reductions: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    highlights: tuple[Highlight, ...] = ()
    hardware: str | dict[str, Any] | None = None
    seconds: FiniteFloat | None = Field(None, ge=0)
    exhibits: tuple[Exhibit, ...] = ()
    anchors: frozenset[str] = frozenset()

    def counts(self) -> dict[str, int]:
        """Verdict -> how many claims, in the order of VERDICTS."""
        return counts(self.claims)

    def machine(self) -> str:
        """`AMD EPYC, 2 cores`"""
        if not isinstance(self.hardware, dict):
            return self.hardware or ""
        cores, gpus = self.hardware.get("cores"), self.hardware.get("gpus") or []
        told = [self.hardware.get("cpu"), f"{cores} cores" if cores else None, *gpus]
        return ", ".join(str(one) for one in told if one)

    def link(self, *anchors: str) -> str:
        """Address, from the site's pages, of the first of these places that the report has; else of its top."""
        there = next((anchor for anchor in anchors if anchor in self.anchors), None)
        return f"{self.experiment}/index.html{f'#{there}' if there else ''}"


def read(folder: Path, name: str | None = None) -> Summary:
    """`folder`: a report; `name`: the experiment it must be of, else the folder's. Raises UserError naming file and key."""
    path = folder / "summary.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        anchors = _anchors((folder / "index.html").read_text(encoding="utf-8"))
        summary = Summary.model_validate({**content, "anchors": anchors})
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}); {AGAIN}") from error
    except ValidationError as error:
        raise UserError(f"{path}: {_first(error)}; {AGAIN}") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: is not the summary of a report ({error}); {AGAIN}") from error
    if summary.experiment != (name or folder.name):
        raise UserError(f"{path}: is of the experiment {summary.experiment}, not of {name or folder.name}; {AGAIN}")
    return summary


def read_all(reports: Path) -> list[Summary]:
    """Every published report, by name."""
    return [read(folder) for folder in published(reports)]


def published(reports: Path) -> Iterator[Path]:
    """Folders with a report in them; those that begin with a point are half done and passed over."""
    if reports.is_dir():
        yield from sorted(path.parent for path in reports.glob("[!.]*/index.html"))


def _anchors(page: str) -> frozenset[str]:
    return frozenset(re.findall(r'<[a-z0-9]+\b[^<>]*?\sid="([\w-]+)"', page))


def _first(error: ValidationError) -> str:
    fault, *rest = error.errors()
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}{f' (and {len(rest)} more)' if rest else ''}"
