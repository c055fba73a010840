"""Compile the report: one HTML page, the same page as PDF, every table as CSV, every figure as PNG, the provenance."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup, escape
from pydantic import Field

from zfrepro import artifacts, paper, provenance
from zfrepro.errors import UserError
from zfrepro.spec import Base

DATA_FILES = ("templates/page.html", "templates/parts.html", "templates/style.css")
TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
LONG = 24  # rows; a longer table behind a picture is left out of the PDF
MOST = 600  # rows of one table on the page; its CSV has all
PANGO = "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"


class Spec(Base):
    experiment: str = Field(description="name of the experiment")
    title: str = Field(min_length=1, description="of the page")
    subtitle: str = Field("", description="below the title")
    exhibits: tuple[str, ...] = Field(min_length=1, description="names, in the order of the page")
    config: dict[str, Any] = Field({}, description="the whole experiment, printed and kept in the provenance")
    reductions: tuple[str, ...] = Field((), description="sentences: what is smaller here than in the paper")


def run(spec: Spec, results: Path, out: Path) -> None:
    """results: the experiment's folder; out: folder to fill, index.html last."""
    exhibits = [_exhibit(results / "exhibits" / name, name) for name in spec.exhibits]
    origin = provenance.gather(results, spec.config, spec.exhibits)
    page = render(spec, exhibits, origin)
    for kind, suffix in (("tables", "csv"), ("figures", "png")):
        _copy(results, out / kind, spec.exhibits, suffix)
    artifacts.save_json(out / "provenance.json", origin)
    try:
        _save(out / "report.pdf", pdf(page))
    finally:
        artifacts.save_text(out / "index.html", page)


def render(spec: Spec, exhibits: list[dict[str, Any]], origin: dict[str, Any]) -> str:
    """The page as HTML; whatever comes from data or config is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    environment.filters |= {"typeset": typeset, "code": code, "duration": duration, "data_uri": data_uri}
    return environment.get_template("page.html").render(
        spec=spec,
        exhibits=exhibits,
        highlights=[one for exhibit in exhibits for one in exhibit["highlights"]],
        guesses=paper.GUESSES,
        origin=origin,
        config=yaml.safe_dump(spec.config, sort_keys=False, allow_unicode=True, width=100),
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        long=LONG,
        most=MOST,
    )


def pdf(page: str) -> bytes:
    """The page as PDF. Nothing is fetched; raises UserError where WeasyPrint cannot load its libraries."""
    try:
        import weasyprint
        from weasyprint.urls import URLFetcher
    except (OSError, ImportError) as error:
        raise UserError(f"report.pdf cannot be made, a library of WeasyPrint is missing ({error}): {PANGO}") from error
    fetcher = URLFetcher(allowed_protocols=["data"], fail_on_errors=True)
    document = weasyprint.HTML(string=page, url_fetcher=fetcher, media_type="print")
    return document.write_pdf(pdf_variant="pdf/ua-1", pdf_identifier=b"zfrepro")


def _exhibit(folder: Path, name: str) -> dict[str, Any]:
    """What the exhibits stage left, its pictures as base64. Raises UserError for one that is missing or another's."""
    for path in (folder / "exhibit.json", folder / f"{name}.csv", folder / f"{name}.png"):
        if not path.is_file() or not path.stat().st_size:
            raise UserError(
                f"{path}: missing or empty; build it with `zfrepro exhibits` or leave {name} out of report.exhibits"
            )
    stored = artifacts.load_json(folder / "exhibit.json")
    if stored.get("name") != name:
        raise UserError(f"{folder / 'exhibit.json'}: is not {name}'s; delete it and run again")
    if not stored["pieces"]:
        whole = base64.b64encode((folder / f"{name}.png").read_bytes()).decode("ascii")
        stored["pieces"] = [
            {"name": name, "png": whole, "alt": stored["alt"], "title": "", "share": "full", "least": 560}
            | {"label": "", "faces": [], "grids": []}
        ]
    return {**stored, "groups": list(_groups(stored["columns"]))}


def _groups(columns: list[dict[str, str]]) -> Iterator[tuple[str, int, str]]:
    """(heading, columns below it, role) from left to right; neighbours of one group share a heading."""
    i = 0
    while i < len(columns):
        group, width = columns[i]["group"], 1
        while group and i + width < len(columns) and columns[i + width]["group"] == group:
            width += 1
        yield group, width, columns[i]["role"]
        i += width


def _copy(results: Path, folder: Path, names: tuple[str, ...], suffix: str) -> None:
    """One file an exhibit; files of exhibits that the report no longer has go."""
    for old in folder.glob(f"*.{suffix}"):
        if old.stem not in names:
            old.unlink()
    for name in names:
        _save(folder / f"{name}.{suffix}", (results / "exhibits" / name / f"{name}.{suffix}").read_bytes())


def _save(path: Path, content: bytes) -> None:
    with artifacts.atomic(path) as temporary:
        temporary.write_bytes(content)


def typeset(number: str) -> str:
    """A number for reading: a true minus sign, a comma at thousands."""
    if re.fullmatch(r"\d{4,}", number):
        return f"{int(number):,}"
    return number.replace("-", "\u2212")


def code(text: str) -> Markup:
    """Text whose `words` between backticks are set as code; all of it escaped."""
    parts = re.split(r"`([^`]*)`", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part) for i, part in enumerate(parts)
    )


def duration(seconds: float) -> str:
    """3 h 25 min, 4 min 10 s, 8.1 s"""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def data_uri(png: str) -> str:
    return f"data:image/png;base64,{png}"
