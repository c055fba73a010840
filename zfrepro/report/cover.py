"""The few pictures beside a report's findings, each a detail of an exhibit that it links to."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from zfrepro.report import html, images


@dataclass(frozen=True)
class Detail:
    """Which picture of an exhibit: its number among the pieces, counted from the end if negative; only its upper part is shown
    where it is taller than `ratio` of its width."""

    exhibit: str
    piece: int
    ratio: float
    text: str


DETAILS = (
    Detail(
        "fig2_features", -1, 0.52, "What activates maps of the highest layer, and the projections of the activations"
    ),
    Detail("fig7_occlusion", 0, 0.5, "What the network sees when parts of an image are covered"),
    Detail("table3_ablations", 0, 0.75, "What removing layers costs, in the paper and here"),
)
WIDTH = 800  # pixels, on a page: twice what the column takes, for sharp screens


def pictures(exhibits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each: exhibit, text, alt, `plot` and `images` as of a piece, and the picture's `png` (base64) with its `mime`.

    None of exhibits that are left out or without pictures.
    """
    by_name = {exhibit["name"]: exhibit for exhibit in exhibits}
    details = [detail for detail in DETAILS if by_name.get(detail.exhibit, {}).get("pieces")]
    return [_picture(detail, by_name[detail.exhibit]) for detail in details]


def _picture(detail: Detail, exhibit: Mapping[str, Any]) -> dict[str, Any]:
    piece = exhibit["pieces"][detail.piece]
    coded = images.for_page(images.open_png(_cut(base64.b64decode(piece["png"]), detail.ratio)))
    return {
        "exhibit": detail.exhibit,
        "paper": exhibit["paper"],
        "text": detail.text,
        "alt": piece["alt"],
        "plot": piece["plot"],
        "images": _cut_boxes(piece, detail.ratio),
        "png": coded.text(),
        "mime": coded.mime,
    }


def _cut_boxes(piece: Mapping[str, Any], ratio: float) -> list[list[float]]:
    """Where the images of a piece lie in its upper part."""
    width, height = html.extent(piece["png"])
    share = min(1.0, ratio * width / height)
    boxes = ([left, top / share, wide, high / share] for left, top, wide, high in piece.get("images", ()))
    return [[left, top, wide, min(high, 1 - top)] for left, top, wide, high in boxes if top < 1]


def _cut(png: bytes, ratio: float) -> bytes:
    """The upper part of a picture, as PNG."""
    buffer = io.BytesIO()
    images.upper_part(Image.open(io.BytesIO(png)), ratio, WIDTH).save(buffer, "PNG")
    return buffer.getvalue()
