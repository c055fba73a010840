"""Tables as wide as the page: one whose columns do not fit is set in smaller letters, with all its spaces, so that none is cut off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from zfrepro.report.boxes import inside

Sizes = Mapping[str, float]  # id of the box around a table -> share of the usual size of its letters

SMALLEST = 0.5  # share of the usual size; smaller letters nobody reads
SPARE = 0.985  # of the page's width: spaces between letters do not shrink quite as the letters do


def smaller(pages: Iterable[Any], sizes: Sizes) -> dict[str, float]:
    """Sizes for the tables that are too wide at `sizes`, by the ids of the boxes around them."""
    found: dict[str, float] = {}
    for page in pages:
        for name, table in _tables(page):
            share = SPARE * page.width / (table.position_x + table.width - page.content_box_x())
            if share < SPARE:
                size = max(SMALLEST, share * sizes.get(name, 1.0))
                found[name] = min(size, found.get(name, size))
    return {name: size for name, size in found.items() if size < sizes.get(name, 1.0)}


def style_sheet(sizes: Sizes) -> str:
    return "\n".join(f'[id="{name}"] {{ font-size: {100 * size:.1f}% !important }}' for name, size in sizes.items())


def _tables(page: Any) -> Iterator[tuple[str, Any]]:
    for box in inside(page):
        name = "" if box.element is None else box.element.get("id") or ""
        if name.startswith("table-"):
            yield from ((name, table) for table in inside(box) if type(table).__name__ == "TableBox")
