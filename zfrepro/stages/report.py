"""Compile the report: an HTML page, a PDF, tables as CSV and LaTeX, figures as PNG, provenance, a summary for the site."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from zfrepro import paper
from zfrepro.core.finite import require_finite_record
from zfrepro.errors import UserError
from zfrepro.report import html, images, provenance, summary, training_setup
from zfrepro.report.pdf import pdf
from zfrepro.spec import Base
from zfrepro.storage import artifacts
from zfrepro.storage.diverged import named

DATA_FILES = ("report/templates/print.html", "report/templates/print.css")
KINDS = (("tables", "csv"), ("tables", "tex"), ("figures", "png"))
LONG = 24  # rows; a longer table behind a picture is left out of the PDF
MOST = 600  # rows of one table on the page; its CSV has all


class Spec(Base):
    experiment: str = Field(description="name of the experiment")
    title: str = Field(min_length=1, description="of the page")
    subtitle: str = Field("", description="below the title")
    exhibits: tuple[str, ...] = Field(min_length=1, description="names, in the order of the page")
    config: dict[str, Any] = Field({}, description="the whole experiment, printed and kept in the provenance")
    reductions: tuple[str, ...] = Field((), description="sentences: what is smaller here than in the paper")


def run(spec: Spec, results: Path, out: Path) -> None:
    """results: the experiment's folder; out: folder to fill, index.html last."""
    folders = {name: results / "exhibits" / name for name in spec.exhibits}
    exhibits = [_exhibit(folder, name) for name, folder in folders.items()]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        lighter = pool.map(_lighter, exhibits)  # compression, which other threads can run beside
        origin = provenance.gather(results, spec.config, spec.exhibits)
        for_page, for_print, whole = zip(*lighter, strict=True)
        printed = pool.submit(lambda: pdf(render("print.html", spec, for_print, origin)))
        drawn = list(pool.map(_drawn, folders.values(), whole))  # while the PDF, the longest of all, is laid out
        page = render("page.html", spec, for_page, origin)
    _save_beside(out, folders, drawn)
    artifacts.save_json(out / "provenance.json", origin)
    try:
        _save(out / "report.pdf", printed.result())
        files = summary.sizes(out, {"index.html": page})
        artifacts.save_json(out / "summary.json", summary.of(spec, exhibits, origin, files))
    finally:
        artifacts.save_text(out / "index.html", page)


def render(template: str, spec: Spec, exhibits: tuple[dict[str, Any], ...], origin: dict[str, Any]) -> str:
    """page.html or print.html; whatever comes from data or config is escaped."""
    made = html.environment().get_template(template)
    return made.render(
        spec=spec,
        exhibits=exhibits,
        highlights=[one for exhibit in exhibits for one in exhibit["highlights"]],
        guesses=paper.GUESSES,
        origin=origin,
        training=training_setup.summarise(origin["networks"], origin),
        config=yaml.safe_dump(spec.config, sort_keys=False, allow_unicode=True, width=100),
        day=summary.day(origin["made"]),
        long=LONG,
        most=MOST,
    )


def _exhibit(folder: Path, name: str) -> dict[str, Any]:
    """What the exhibits stage left, its pictures as base64. Raises UserError for one that is missing or another's."""
    for path in (folder / "exhibit.json", *(folder / f"{name}.{suffix}" for _, suffix in KINDS)):
        if not path.is_file() or not path.stat().st_size:
            raise UserError(
                f"{path}: missing or empty; build it with `zfrepro exhibits` or leave {name} out of report.exhibits"
            )
    stored = artifacts.load_json(folder / "exhibit.json")
    if stored.get("name") != name:
        raise UserError(f"{folder / 'exhibit.json'}: is not {name}'s; delete it and run again")
    with named(folder / "exhibit.json", "delete it and run again"):
        require_finite_record(stored)
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


def _lighter(exhibit: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], images.Opened | None]:
    """The exhibit with lighter pictures, for the page and for print; each picture with its `mime`, print without faces.

    Last, one of its pictures with a palette as it was opened: where it is all of the exhibit, the figure's file needs it too.
    """
    on_page, on_paper, whole = [], [], None
    for piece in exhibit["pieces"]:
        first = _opened(exhibit["name"], piece)
        faces = [{**face, **_coded(images.for_page(_opened(exhibit["name"], face)))} for face in piece["faces"]]
        on_page.append({**piece, **_coded(images.for_page(first)), "faces": faces})
        on_paper.append({**piece, **_coded(images.for_print(first)), "faces": []})
        whole = first if first.few else whole
    return {**exhibit, "pieces": on_page}, {**exhibit, "pieces": on_paper}, whole


def _coded(picture: images.Coded) -> dict[str, str]:
    return {"png": picture.text(), "mime": picture.mime}


def _opened(name: str, piece: dict[str, Any]) -> images.Opened:
    try:
        return images.opened(base64.b64decode(piece["png"]))
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"exhibits/{name}/exhibit.json: a picture in it is damaged; delete it and run again") from error


def _drawn(folder: Path, known: images.Opened | None = None) -> bytes:
    """The exhibit's picture as a file of the report. `known`: what has been opened of this exhibit and may be the same PNG."""
    path = folder / f"{folder.name}.png"
    try:
        png = path.read_bytes()
        same = known is not None and known.png == png
        return images.for_file(known if same else images.opened(png, images.ALL))
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path}: not a whole picture; delete it and run again") from error


def _save_beside(out: Path, folders: dict[str, Path], drawn: list[bytes]) -> None:
    """tables/ and figures/: those of each exhibit; files of exhibits that the report no longer has go."""
    for kind, suffix in KINDS:
        for old in (out / kind).glob(f"*.{suffix}"):
            if old.stem not in folders:
                old.unlink()
    for (name, folder), picture in zip(folders.items(), drawn, strict=True):
        _save(out / f"figures/{name}.png", picture)
        for suffix in ("csv", "tex"):
            _save(out / f"tables/{name}.{suffix}", (folder / f"{name}.{suffix}").read_bytes())


def _save(path: Path, content: bytes) -> None:
    with artifacts.atomic(path) as temporary:
        temporary.write_bytes(content)
