"""Tables that are wider than the page are set in smaller letters and spaces, down to half their size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from zfrepro.report.boxes import inside

Sizes = Mapping[str, float]  # id of the box around a table -> share of the usual size of its letters

SMALLEST = 0.5  # share of the usual size; smaller letters are illegible
SPARE = 0.985  # of the page's width: spaces between letters do not shrink quite as the letters do
ROUNDING = 0.5  # CSS pixels


def find_sizes(pages: Iterable[Any], sizes: Sizes) -> dict[str, float]:
    """Smaller sizes for the tables that are too wide at `sizes`, by the ids of the boxes around them."""
    found: dict[str, float] = {}
    for name, share in _too_wide(pages):
        size = max(SMALLEST, SPARE * share * sizes.get(name, 1.0))
        found[name] = min(size, found.get(name, size))
    return {name: size for name, size in found.items() if size < sizes.get(name, 1.0)}


def list_too_wide(pages: Iterable[Any]) -> list[str]:
    """The ids of the boxes around tables that the page cuts off."""
    return sorted({name for name, _ in _too_wide(pages)})


def style_sheet(sizes: Sizes) -> str:
    return "\n".join(f'[id="{name}"] {{ font-size: {100 * size:.1f}% !important }}' for name, size in sizes.items())


def _too_wide(pages: Iterable[Any]) -> Iterator[tuple[str, float]]:
    """Id, and the share of its width that the page has room for."""
    for page in pages:
        for name, table in _tables(page):
            width = table.position_x + table.width - page.content_box_x()
            if width > page.width + ROUNDING:
                yield name, page.width / width


def _tables(page: Any) -> Iterator[tuple[str, Any]]:
    for box in inside(page):
        name = "" if box.element is None else box.element.get("id") or ""
        if name.startswith("table-"):
            yield from ((name, table) for table in inside(box) if type(table).__name__ == "TableBox")
