"""Gaps at the ends of pages: pictures that just miss a page are made smaller, others are left as they are."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import printed_pages

from zfrepro.report import boxes, page_fill

PAGE = "@page { size: 800px 1000px; margin: 0 } * { margin: 0; padding: 0 } body { font-size: 1px; line-height: 0 }"
PIXEL = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'/%3E"


def image(name: str, height: int, width: int = 600) -> str:
    return (
        f'<figure><img id="{name}" src="{PIXEL}" style="display: block; width: {width}px; height: {height}px"></figure>'
    )


def fill(body: str) -> Any:
    return printed_pages.fill(f"{PAGE} figure {{ break-inside: avoid }}", body)[0]


def heights(document: Any) -> list[dict[str, float]]:
    """Of the pictures on each page."""
    return [
        {box.element.get("id"): round(box.height, 1) for box in boxes.inside(page._page_box) if box.element_tag == "img"}
        for page in document.pages
    ]  # fmt: skip


def test_pictures_share_what_one_of_them_lacks() -> None:
    """500 + 600 + 40 in reserve are 140 pixels more than a page; they can lose 175 and 210: each loses 140 / 385 of that."""
    assert heights(fill(image("a", 500) + image("b", 600))) == [{"a": 436.4, "b": 523.6}]


def test_a_picture_that_would_be_too_small_stays_on_the_next_page() -> None:
    """500 + 1000 + 40 - 1000 = 540, more than the 175 + 350 that they can lose."""
    assert heights(fill(image("a", 500) + image("b", 1000))) == [{"a": 500}, {"b": 1000}]


def test_a_small_gap_stays() -> None:
    assert heights(fill(image("a", 860) + image("b", 200))) == [{"a": 860}, {"b": 200}]


def test_pictures_side_by_side_count_once() -> None:
    """600 + 500 + 40 - 1000 = 140 of 210 + 175: as with two pictures."""
    pair = '<p style="break-inside: avoid">' + "".join(
        f'<img id="{name}" src="{PIXEL}" style="width: 300px; height: 500px; vertical-align: top">' for name in "bc"
    )
    assert heights(fill(image("a", 600) + pair)) == [{"a": 523.6, "b": 436.4, "c": 436.4}]


def test_a_gap_before_text_changes_no_picture() -> None:
    text = '<p style="break-inside: avoid; height: 600px; font-size: 20px; line-height: 1">Text'
    assert heights(fill(image("a", 500) + text)) == [{"a": 500}, {}]


def test_pages_are_laid_out_again_only_where_it_helps() -> None:
    _, sheets = printed_pages.fill(PAGE, image("a", 500))
    assert sheets == [page_fill.STILL_NUMBERS, ""]


@pytest.mark.parametrize("name", ["picture-fig1-a", "picture-table 9-x.y"])
def test_the_style_sheet_addresses_any_id(name: str) -> None:
    assert page_fill.style_sheet({name: 12.34}) == f'[id="{name}"] {{ max-height: 12.3px !important }}'
