"""The pictures of exhibits made small: a report treats them as it treats large ones, which take ten times as long."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from zfrepro.storage import artifacts

WIDEST = 240  # pixels


def shrink(results: Path) -> None:
    """Make the pictures of results/exhibits small, those of the figures' files and those in exhibit.json."""
    for page in (results / "exhibits").glob("*/exhibit.json"):
        figure = page.with_name(f"{page.parent.name}.png")
        figure.write_bytes(_small(figure.read_bytes()))
        artifacts.save_json(page, _with_small(artifacts.load_json(page)))


def _with_small(value: Any) -> Any:
    """The same record with every `png` in it small."""
    if isinstance(value, list):
        return [_with_small(item) for item in value]
    if isinstance(value, dict):
        return {key: _small_text(item) if key == "png" else _with_small(item) for key, item in value.items()}
    return value


def _small_text(png: str) -> str:
    return base64.b64encode(_small(base64.b64decode(png))).decode("ascii")


def _small(png: bytes) -> bytes:
    """Equal pictures stay equal: a report asks which piece is the figure's file."""
    image = Image.open(io.BytesIO(png))
    image.thumbnail((WIDEST, 10 * WIDEST), Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
