"""Tables whose columns do not fit on a page are set in smaller letters, others are left as they are."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import printed_pages

from zfrepro.report import page_fill
from zfrepro.report.boxes import inside

PAGE = "@page { size: 800px 1000px; margin: 0 } body { margin: 0; font: 10px Liberation Sans } td { padding: 1em; white-space: nowrap }"


def table(name: str, columns: int, rows: int = 1) -> str:
    row = f"<tr>{'<td>0123456789</td>' * columns}</tr>"
    return f'<div id="table-{name}"><table style="border-collapse: collapse">{row * rows}</table></div>'


def laid_out(body: str) -> Any:
    return printed_pages.fill(PAGE, body)[0]


def widths(document: Any) -> list[float]:
    boxes = (box for page in document.pages for box in inside(page._page_box))
    return [box.width for box in boxes if type(box).__name__ == "TableBox"]


def test_a_table_that_is_too_wide_is_set_smaller() -> None:
    (narrow,) = widths(laid_out(table("a", 5)))
    few, many = widths(laid_out(table("a", 5) + table("b", 14)))
    assert few == narrow
    assert 770 < many <= 800


def test_every_part_of_a_table_on_several_pages_has_the_same_size() -> None:
    parts = widths(laid_out(table("a", 14, rows=60)))
    assert len(parts) > 1
    assert len(set(parts)) == 1
    assert parts[0] <= 800


def test_letters_stay_legible_and_a_table_that_is_still_too_wide_is_named() -> None:
    """At half of their size."""
    (usual,) = widths(laid_out(table("a", 5)))
    with pytest.warns(UserWarning, match="report.pdf: table-a: wider than the page"):
        (small,) = widths(laid_out(table("a", 40)))
    assert small == pytest.approx(40 / 5 * usual / 2, rel=0.01)


def test_a_table_that_just_fills_the_page_keeps_its_size() -> None:
    """Also where the margins are no whole pixels."""
    style = "@page { size: A4; margin: 21mm 16mm } table { width: 100% }"
    _, sheets = printed_pages.fill(style, table("a", 3))
    assert sheets == [page_fill.STILL_NUMBERS, ""]
