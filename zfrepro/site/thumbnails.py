"""Small pictures of a published report's figures, for the pages above all reports."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from zfrepro.errors import UserError
from zfrepro.report import html, images
from zfrepro.site.summaries import Summary

WIDTH, RATIO = 360, 0.75  # pixels, and height by width, at most; taller figures are cut at the bottom
QUALITY = 70  # of WebP
FIRST = ("fig2_features", "fig7_occlusion", "fig4_evolution")  # the one that stands for a whole report


def load(folder: Path, summary: Summary) -> dict[str, str]:
    """Exhibit -> data URI of its thumbnail, "" where its figure is missing; the one that stands for the report comes first.

    Raises UserError for a damaged figure.
    """
    names = [exhibit.name for exhibit in summary.exhibits if exhibit.name in summary.anchors]
    ordered = sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    return {name: _thumbnail(_file(folder / "figures", name)) for name in ordered}


def _file(figures: Path, name: str) -> Path:
    """The exhibit's figure; where that is only an overview of parts, too small for a thumbnail, the last part that is a picture."""
    figure = figures / f"{name}.png"
    parts = sorted(path for path in figures.glob(f"{name}-*") if path.suffix in (".jpg", ".png"))
    return parts[-1] if parts and figure.is_file() and _open(figure).width < WIDTH else figure


def _thumbnail(figure: Path) -> str:
    if not figure.is_file():
        return ""
    picture = images.upper_part(_open(figure), RATIO, WIDTH)
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=QUALITY, method=4)
    return html.data_uri(base64.b64encode(content.getvalue()).decode("ascii"), "image/webp")


def _open(figure: Path) -> Image.Image:
    """Raises UserError for a damaged file."""
    try:
        picture = Image.open(figure)
        picture.load()
    except OSError as error:
        raise UserError(
            f"{figure}: not a picture ({error}); publish that report again, or delete its folder"
        ) from error
    return picture
