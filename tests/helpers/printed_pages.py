"""Small pages as WeasyPrint lays them out, with the style sheets of every layout."""

from __future__ import annotations

from typing import Any

from zfrepro.report import page_fill, pdf


def fill(style: str, body: str) -> tuple[Any, list[str]]:
    """The document, and the style sheets of its layouts, one after another."""
    weasyprint = pdf._weasyprint()
    page = weasyprint.HTML(string=f"<style>{style}</style>{body}")
    sheets: list[str] = []

    def lay_out(sheet: str) -> Any:
        sheets.append(sheet)
        return page.render(stylesheets=[weasyprint.CSS(string=sheet)])

    return page_fill.fill(lay_out), sheets
