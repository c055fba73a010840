"""Pages without large gaps or tables that are cut off: pictures are made a little smaller where one just misses a page, tables where
they are too wide.

A layout shows which pages end early and which pictures begin the next. Smaller pictures move all that follows, so the pages are
laid out again, until none can be improved, but at most ROUNDS times, and once more at the end.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from zfrepro.report import table_fit
from zfrepro.report.boxes import inside

Heights = Mapping[str, float]  # id of a picture -> CSS pixels
Layout = Callable[[str], Any]  # style sheet -> WeasyPrint's Document

ROUNDS = 2  # layouts before the last; more close few gaps
# In the layouts before the last, page numbers stand still: for the right ones WeasyPrint lays all pages out once more, 2 to 3 s.
STILL_NUMBERS = """.contents a::after { content: leader(". ") " 00" !important }
p.made a::after { content: " on page 00" !important }
"""
GAP = 0.15  # of a page's height, empty at its end: less is left as it is
SMALLEST = 0.65  # of its height that a picture keeps
RESERVE = 40.0  # CSS pixels: margins and paddings between what ends a page and what begins the next


def fill(lay_out: Layout) -> Any:
    """The document with smaller pictures where they close gaps, and smaller tables where they are too wide."""
    heights: dict[str, float] = {}
    sizes: dict[str, float] = {}
    least: Heights = {}
    for _ in range(ROUNDS):
        document = lay_out(STILL_NUMBERS + _style_sheets(heights, sizes))
        pages = [page._page_box for page in document.pages]
        least = least or {name: SMALLEST * height for name, height in _heights(pages)}
        smaller, smaller_tables = dict(_smaller_pictures(pages, least)), table_fit.find_sizes(pages, sizes)
        if not (smaller or smaller_tables):
            break
        heights |= smaller
        sizes |= smaller_tables
    document = lay_out(_style_sheets(heights, sizes))
    if too_wide := table_fit.list_too_wide(page._page_box for page in document.pages):
        warnings.warn(f"report.pdf: {', '.join(too_wide)}: wider than the page; its CSV has all columns", stacklevel=2)
    return document


def _style_sheets(heights: Heights, sizes: table_fit.Sizes) -> str:
    return "\n".join(filter(None, (style_sheet(heights), table_fit.style_sheet(sizes))))


def style_sheet(heights: Heights) -> str:
    return "\n".join(f'[id="{name}"] {{ max-height: {height:.1f}px !important }}' for name, height in heights.items())


def _heights(pages: Sequence[Any]) -> Iterator[tuple[str, float]]:
    boxes = itertools.chain.from_iterable(map(inside, pages))
    yield from ((box.element.get("id"), box.height) for box in boxes if _is_picture(box))


def _smaller_pictures(pages: Sequence[Any], least: Heights) -> Iterator[tuple[str, float]]:
    """For each page that ends early: heights at which its pictures and those that begin the next fit it together."""
    for page, following in itertools.pairwise(pages):
        gap = page.content_box_y() + page.height - content_end(page)
        unit = first_unit(following)
        if gap > GAP * page.height and any(map(_is_picture, inside(unit))):
            yield from _share(page, unit, unit.margin_height() + RESERVE - gap, least)


def _share(page: Any, unit: Any, excess: float, least: Heights) -> Iterator[tuple[str, float]]:
    """Take `excess` pixels from the pictures of a page and of the box that follows, in proportion to what each can lose.

    Nothing if they cannot lose as much.
    """
    parts = [[box for box in inside(part) if _is_picture(box)] for part in (page, unit)]
    total = sum(_loss_of_rows(pictures, least) for pictures in parts)
    if 0 < excess <= total:
        for picture in itertools.chain(*parts):
            yield picture.element.get("id"), picture.height - _loss(picture, least) * excess / total


def _loss(picture: Any, least: Heights) -> float:
    """CSS pixels of height that a picture can lose."""
    return max(0.0, float(picture.height) - least[picture.element.get("id")])


def _loss_of_rows(pictures: Iterable[Any], least: Heights) -> float:
    """CSS pixels that the page gains: of pictures side by side, the highest counts."""
    highest = {
        round(picture.position_y): _loss(picture, least) for picture in sorted(pictures, key=lambda box: box.height)
    }
    return sum(highest.values())


def content_end(page: Any) -> float:
    """Where the last text or picture of a page ends, in CSS pixels from its top."""
    leaves = [box for box in inside(page.children[0]) if _is_picture(box) or hasattr(box, "text")]
    return max((box.position_y + box.height for box in leaves), default=page.content_box_y())


def first_unit(page: Any) -> Any:
    """The outermost box at the top of a page that no page break divides: a line, or a heading with its picture."""
    box = page.children[0]
    while getattr(box, "children", ()) and box.style["break_inside"] != "avoid" and type(box).__name__ != "LineBox":
        box = box.children[0]
    return box


def _is_picture(box: Any) -> bool:
    return getattr(box, "element_tag", "") == "img" and bool(box.element.get("id"))
