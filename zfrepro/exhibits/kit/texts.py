"""Texts that have to fit: shortened or wrapped by the width of their letters in the report's font, not by their number."""

from __future__ import annotations

from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

FONT = "DejaVu Sans"
POINTS = 72  # per inch


@lru_cache(4096)
def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Inches of one line at `size` points."""
    font = FontProperties(family=FONT, size=size, weight=weight)
    return TextToPath().get_text_width_height_descent(text, font, ismath=False)[0] / POINTS


def shorten(text: str, inches: float, size: float) -> str:
    """One line no wider than `inches`; an ellipsis at the end replaces what is left out."""
    text = " ".join(text.split())
    if width_of(text, size) <= inches:
        return text
    length = next(
        (end for end in range(len(text) - 1, 0, -1) if width_of(text[:end].rstrip() + "…", size) <= inches), 0
    )
    return text[:length].rstrip() + "…"


def wrap(text: str, inches: float, size: float, weight: str = "normal") -> str:
    """Lines no wider than `inches`, broken between words, and inside a word that is wider."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if width_of(longer, size, weight) <= inches:
            lines[-1] = longer
            continue
        first, *rest = _pieces(word, inches, size, weight)
        lines = [*lines, first, *rest] if lines[-1] else [first, *rest]
    return "\n".join(lines)


def _pieces(word: str, inches: float, size: float, weight: str) -> list[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and width_of(pieces[-1] + letter, size, weight) > inches:
            pieces.append("")
        pieces[-1] += letter
    return pieces
