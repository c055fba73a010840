"""Texts that have to fit: shortened or wrapped by the width of their letters in the report's font, not by their number."""

from __future__ import annotations

from functools import cache, lru_cache

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import TextToPath

FONT = "DejaVu Sans"
POINTS = 72  # per inch


@lru_cache(4096)
def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Inches of one line at `size` points."""
    font = FontProperties(family=FONT, size=size, weight=weight)
    return TextToPath().get_text_width_height_descent(writable(text), font, ismath=False)[0] / POINTS


def writable(text: str) -> str:
    """The text with letters that the figures' font lacks as `U+4E2D`; it has Latin, Greek, Cyrillic, Arabic, Hebrew and more."""
    return text.translate({ord(letter): f"U+{ord(letter):04X} " for letter in missing_letters(text)}).rstrip(" ")


def missing_letters(text: str) -> str:
    """Those that the font lacks, each once."""
    return "".join(sorted(letter for letter in set(text) if ord(letter) not in _letters() and letter.isprintable()))


@cache
def _letters() -> frozenset[int]:
    """Code points of the font."""
    return frozenset(get_font(findfont(FontProperties(family=FONT))).get_charmap())


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
