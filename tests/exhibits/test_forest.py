"""Where the forest plot puts effects and intervals, and what it does with those beyond its axis."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from zfrepro.claims.base import Effect
from zfrepro.exhibits import claims
from zfrepro.exhibits.kit import forest, saving

RED, BLUE = "#ff0000", "#0000ff"
DPI = 150


@pytest.fixture(autouse=True)
def _as_sharp_as_in_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "DPI", round(DPI / forest.SHARPNESS))


def line(value: float, ends: tuple[float, float] | None, colour: str = RED, topic: str = "Topic") -> forest.Line:
    return forest.Line(topic, "1 A claim", value, ends, "4.0 points", colour, paper=True)


def columns(png: bytes, colour: tuple[int, int, int], shape: forest.Shape = forest.WIDE, dpi: int = DPI) -> np.ndarray:
    """Multiples of the yardstick at which pixels of the colour lie."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    (at,) = np.nonzero((pixels == colour).all(2).any(0))
    left, width = (inches * dpi for inches in (shape.left, shape.axes))
    low, high = forest.ENDS
    return low + (at + 0.5 - left) / width * (high - low)


def test_an_interval_lies_where_its_ends_say() -> None:
    at = columns(forest.draw([line(0.5, (0.25, 1.5))], claims.STYLE).png, (255, 0, 0))
    assert at.min() == pytest.approx(0.25, abs=0.02)
    assert at.max() == pytest.approx(1.5, abs=0.02)


def test_a_narrow_screen_has_the_same_intervals_below_their_claims() -> None:
    """The line stands on the second of a claim's two rows, below the heading: the third of three."""
    png = forest.draw_narrow([line(0.5, (0.25, 1.5))], claims.STYLE)
    at = columns(png, (255, 0, 0), forest.NARROW, forest.NARROW_DPI)
    assert (at.min(), at.max()) == (pytest.approx(0.25, abs=0.03), pytest.approx(1.5, abs=0.03))
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    (rows,) = np.nonzero((pixels == (255, 0, 0)).all(2).any(1))
    assert rows.mean() / forest.NARROW_DPI == pytest.approx(forest.NARROW.above + 2.5 * forest.NARROW.row, abs=0.02)


def test_an_effect_beyond_the_axis_is_an_arrow_at_its_edge() -> None:
    at = columns(forest.draw([line(7.0, (5.0, 9.0)), line(-3, None, BLUE)], claims.STYLE).png, (255, 0, 0))
    assert at.min() > 1.95
    assert at.max() < forest.ENDS[1] + 0.1


def test_topics_are_headings_and_take_a_line_each() -> None:
    heights = [
        Image.open(io.BytesIO(forest.draw([line(0.5, None, topic=topic) for topic in topics], claims.STYLE).png)).height
        for topics in (("a", "a"), ("a", "b"))
    ]
    assert heights[1] - heights[0] == pytest.approx(forest.WIDE.row * DPI, abs=1)


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs lines"):
        forest.draw([], claims.STYLE)


def test_effects_are_multiples_of_what_they_are_compared_with() -> None:
    assert Effect(4.0, 2.0, "the paper's", interval=(1.0, 7.0)).in_yardsticks() == (2.0, (0.5, 3.5))
    assert Effect(10.0, 100.0, "the most possible").in_yardsticks() == (0.1, None)
    with pytest.raises(ValueError, match="must be finite"):
        Effect(4.0, 2.0, "the paper's", interval=(1.0, float("nan")))
