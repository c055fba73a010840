"""WeasyPrint's tree of boxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def inside(box: Any) -> Iterator[Any]:
    """The box and all boxes in it, in the order of the page."""
    yield box
    for child in getattr(box, "children", ()):
        yield from inside(child)
