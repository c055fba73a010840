"""Compile the report: an HTML page, a PDF, tables as CSV and LaTeX, figures as PNG, PDF and JPEG, provenance, a summary for the site."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from zfrepro.core.finite import require_finite_record
from zfrepro.errors import UserError
from zfrepro.paper.guesses import GUESSES
from zfrepro.report import (
    counts,
    cover,
    encoding,
    findings,
    html,
    provenance,
    summary,
    system_libraries,
    training_setup,
)
from zfrepro.report.pdf import isolated_pdf
from zfrepro.spec import Base
from zfrepro.storage import artifacts, machine
from zfrepro.storage.diverged import explain_not_finite

DATA_FILES = ("report/templates/print.html", "report/templates/print.css")
FORMATS = {"pdf": "PDF", "jpg": "JPEG", "png": "PNG"}  # of the files that exhibits save
KINDS = (("tables", "csv"), ("tables", "tex"), ("figures", "png"))
LONG = 24  # rows; a longer table of a figure is left out of the PDF
MAX_ROWS = 600  # rows of one table on the page; its CSV has all of them


class Spec(Base):
    experiment: str = Field(description="name of the experiment")
    title: str = Field(min_length=1, description="title of the page")
    subtitle: str = Field("", description="line below the title")
    authors: tuple[str, ...] = Field((), description="who made the report, on its cover and in the PDF's metadata")
    exhibits: tuple[str, ...] = Field(min_length=1, description="names of the exhibits, in the order of the page")
    config: dict[str, Any] = Field({}, description="the whole experiment, for the page and the provenance")
    reductions: tuple[str, ...] = Field(
        (), description="sentences on what is smaller than in the paper, besides the counts of images"
    )


def run(spec: Spec, results: Path, out: Path) -> None:
    """results: the experiment's folder; out: folder to fill; index.html is written last."""
    folders = {name: results / "exhibits" / name for name in spec.exhibits}
    exhibits = [_load_exhibit(folder, name) for name, folder in folders.items()]
    with ThreadPoolExecutor(machine.cores()) as encoder, ThreadPoolExecutor(1) as printer:
        encoded = [
            encoding.encode(exhibit, folders[exhibit["name"]] / f"{exhibit['name']}.png", encoder)
            for exhibit in exhibits
        ]
        origin = provenance.gather(results, spec.config, spec.exhibits)
        spec = spec.model_copy(update={"reductions": (*spec.reductions, *counts.list_count_reductions(origin["data"]))})
        text = escape_characters(render("print.html", spec, [exhibit.for_print() for exhibit in encoded], origin))
        pictures = dict(itertools.chain.from_iterable(exhibit.pictures() for exhibit in encoded))
        printed = printer.submit(isolated_pdf, text, pictures)  # lays out the pages while the pictures are encoded
        page = render("page.html", spec, [exhibit.for_page() for exhibit in encoded], origin, cover.pictures(exhibits))
        _save_files(out, folders, [exhibit.file() for exhibit in encoded], exhibits)
        artifacts.save_json(out / "provenance.json", origin)
        try:
            _save(out / "report.pdf", printed.result())
            files = summary.sizes(out, {"index.html": page})
            artifacts.save_json(out / "summary.json", summary.build_summary(spec, exhibits, origin, files))
        finally:
            artifacts.save_text(out / "index.html", page)


def escape_characters(page: str) -> str:
    """The page for print; letters that no font on this machine has are written as `U+4E2D`, and one line says so."""
    missing = system_libraries.characters_without_font(page)
    if missing:
        note = f"report.pdf: no font on this machine has {', '.join(missing[:8])}{', ...' if len(missing) > 8 else ''}"
        print(
            json.dumps({"note": f"{note}; written as U+...; install a font that has them"}, ensure_ascii=False),
            flush=True,
        )
    return page.translate({ord(character): f"U+{ord(character):04X} " for character in missing})


def render(
    template: str,
    spec: Spec,
    exhibits: Sequence[dict[str, Any]],
    origin: dict[str, Any],
    pictures: Sequence[dict[str, str]] = (),
) -> str:
    """page.html or print.html; whatever comes from data or config is escaped. pictures: of the cover."""
    loaded = html.environment().get_template(template)
    claims: list[dict[str, Any]] = next(
        (exhibit["data"]["claims"] for exhibit in exhibits if exhibit["name"] == "claims"), []
    )
    return loaded.render(
        spec=spec,
        exhibits=exhibits,
        highlights=[highlight for exhibit in exhibits for highlight in exhibit["highlights"]],
        findings=findings.select(claims),
        extent=findings.training_extent(origin["networks"], claims),
        cover=pictures,
        guesses=GUESSES,
        origin=origin,
        training=training_setup.summarise(origin["networks"], origin),
        config=yaml.safe_dump(spec.config, sort_keys=False, allow_unicode=True, width=100),
        date=summary.format_date(origin["made"]),
        long=LONG,
        most=MAX_ROWS,
    )


def _load_exhibit(folder: Path, name: str) -> dict[str, Any]:
    """The output of the exhibits stage, images as base64. Raises UserError for a missing exhibit or that of another name."""
    for path in (folder / "exhibit.json", *(folder / f"{name}.{suffix}" for _, suffix in KINDS)):
        if not path.is_file() or not path.stat().st_size:
            raise UserError(
                f"{path}: missing or empty; build it with `zfrepro exhibits` or leave {name} out of report.exhibits"
            )
    stored = artifacts.load_json(folder / "exhibit.json")
    if stored.get("name") != name:
        raise UserError(
            f"{folder / 'exhibit.json'}: belongs to another exhibit than {name}; delete the file and run again"
        )
    with explain_not_finite(folder / "exhibit.json", "delete the file and run again"):
        require_finite_record(stored)
    if not stored["pieces"]:
        figure = base64.b64encode((folder / f"{name}.png").read_bytes()).decode("ascii")
        stored["pieces"] = [
            {"name": name, "png": figure, "alt": stored["alt"], "title": "", "share": "full", "least": 560}
            | {"label": "", "faces": [], "grids": [], "plot": "pdf" in stored["saved"], "narrow": None}
            | {"interaction": None, "saved": stored["saved"]}
        ]
        stored["saved"] = {}
    for piece in stored["pieces"]:
        piece["links"] = _links(_stem(name, piece["name"]), piece["saved"])
    links = (
        [] if encoding.is_in_files([piece["saved"] for piece in stored["pieces"]]) else [("PNG", f"figures/{name}.png")]
    )
    links += [link for link in _links(name, stored["saved"]) if link not in links]
    return {**stored, "links": links, "groups": list(_groups(stored["columns"]))}


def _stem(exhibit: str, piece: str) -> str:
    """Of the files of a piece; an exhibit of one picture has no pieces, or one of its own name."""
    return exhibit if piece == exhibit else f"{exhibit}-{piece}"


def _links(stem: str, saved: Iterable[str]) -> list[tuple[str, str]]:
    """Format and address of every saved file: `("PDF", "figures/table3_ablations.pdf")`."""
    return [(FORMATS[ending], f"figures/{stem}.{ending}") for ending in saved]


def _groups(columns: list[dict[str, str]]) -> Iterator[tuple[str, int, str]]:
    """(heading, columns below it, role) from left to right; neighbours of one group share a heading."""
    i = 0
    while i < len(columns):
        group, width = columns[i]["group"], 1
        while group and i + width < len(columns) and columns[i + width]["group"] == group:
            width += 1
        yield group, width, columns[i]["role"]
        i += width


def _save_files(out: Path, folders: dict[str, Path], figures: list[bytes], exhibits: Sequence[dict[str, Any]]) -> None:
    """tables/ and figures/: those of each exhibit; files that the report no longer has are deleted."""
    files = dict(itertools.chain.from_iterable(map(_saved_files, exhibits)))
    for (name, folder), figure in zip(folders.items(), figures, strict=True):
        files.setdefault(f"figures/{name}.png", figure)
        for suffix in ("csv", "tex"):
            files[f"tables/{name}.{suffix}"] = (folder / f"{name}.{suffix}").read_bytes()
    for old in (path for kind in ("tables", "figures") for path in (out / kind).glob("*.*")):
        if old.relative_to(out).as_posix() not in files:
            old.unlink()
    for name, content in files.items():
        _save(out / name, content)


def _saved_files(exhibit: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Path in the report's folder -> content, of an exhibit and its pieces."""
    name = exhibit["name"]
    saved = [(name, exhibit["saved"]), *((_stem(name, piece["name"]), piece["saved"]) for piece in exhibit["pieces"])]
    for stem, contents in saved:
        for ending, content in contents.items():
            yield f"figures/{stem}.{ending}", base64.b64decode(content)


def _save(path: Path, content: bytes) -> None:
    with artifacts.atomic(path) as temporary:
        temporary.write_bytes(content)
