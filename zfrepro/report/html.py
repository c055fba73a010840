"""Templates to HTML: what comes from data or configuration is escaped, an unknown name is an error, nothing is loaded."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup, escape
from PIL import Image

DATA_FILES = (
    "report/templates/page.html",
    "report/templates/parts.html",
    "report/templates/style.css",
    "report/templates/report.js",
)
TEMPLATES = Path(__file__).resolve().parent / "templates"


def environment() -> jinja2.Environment:
    """Jinja2 over templates/, with the filters below; `inline` puts one of our own style sheets or scripts in whole."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    templates.filters |= {"typeset": typeset, "code": code, "duration": duration, "data_uri": data_uri}
    templates.filters |= {"extent": extent, "pretty": pretty, "around": around}
    templates.policies["json.dumps_kwargs"] = {"separators": (",", ":")}  # of tojson: a sixth fewer bytes
    templates.globals |= {"inline": inline, "integrity": integrity}
    return templates


def inline(name: str) -> Markup:
    """One of our own files, as it is: never a file of the user's."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def integrity(name: str) -> str:
    """The digest by which a content security policy lets one of our own scripts run, and no other."""
    digest = hashlib.sha256(inline(name).encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def typeset(number: str) -> str:
    """A number, or a text with numbers, for reading: true minus signs, a comma at thousands of what is nothing else."""
    if re.fullmatch(r"\d{4,}", number):
        return f"{int(number):,}"
    return re.sub(r"(?<!\w)-(?=[\d.])", "\u2212", number)


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
    minutes, seconds_left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds_left} s"


def pretty(value: Any) -> str:
    """Plain values as YAML, in their own order."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100).removesuffix("\n...\n")


def data_uri(picture: str, mime: str = "image/png") -> str:
    """A picture, given as base64, that stands in the page itself. Raises ValueError for what is no picture's type."""
    if not re.fullmatch(r"image/(png|webp|jpeg)", mime):
        raise ValueError(f"{mime}: not a type of picture that the page shows")
    return f"data:{mime};base64,{picture}"


def around(boxes: Sequence[Sequence[float]]) -> str:
    """A `clip-path` of a whole picture and its margin but for the boxes, each left, top, width and height in shares of the picture."""
    low, high = "calc(0% - 9px)", "calc(100% + 9px)"
    corners = [(low, low), (high, low), (high, high), (low, high), (low, low)]
    for left, top, width, height in boxes:
        x, right, y, bottom = (f"{100 * share:.5g}%" for share in (left, left + width, top, top + height))
        corners += [(x, y), (right, y), (right, bottom), (x, bottom), (x, y), (low, low)]
    return f"polygon(evenodd, {', '.join(map(' '.join, corners))}) content-box"


def extent(picture: str) -> tuple[int, int]:
    """Width and height in pixels of a picture, given as base64; with them a page keeps its room before it is drawn."""
    return Image.open(io.BytesIO(base64.b64decode(picture))).size
