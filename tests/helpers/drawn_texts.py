"""The texts of a picture as matplotlib's renderer places them: what leaves the picture, what lies on another text, what is raw markup."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image, ImageDraw

from zfrepro.exhibits.kit import saving

SLACK = 1.0  # pixels of 100 an inch: what two boxes may share, for a box is wider than its letters


@contextmanager
def record_faults() -> Iterator[list[str]]:
    """The faults of every picture that is drawn inside the block: texts that are cut, on each other or raw markup."""
    faults: list[str] = []
    text = ImageDraw.ImageDraw.text
    blank = saving.Drawing(saving.encode(Image.new("RGB", (9, 9), "white")))

    def drawn(figure: Figure, *rest: Any) -> saving.Drawing:
        faults.extend(faults_in(figure))
        return blank

    def written(self: ImageDraw.ImageDraw, xy: tuple[float, float], words: str, *rest: Any, **more: Any) -> None:
        left, top, right, bottom = self.textbbox(xy, words, font=more.get("font"))
        if left < 0 or top < 0 or right > self.im.size[0] or bottom > self.im.size[1]:
            faults.append(f"cut: {words!r} on {self.im.size}")
        text(self, xy, words, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saving, "save", drawn)
        patch.setattr(ImageDraw.ImageDraw, "text", written)
        yield faults


def faults_in(figure: Figure) -> list[str]:
    """Of one figure that was drawn."""
    boxes = texts(figure)
    width, height = figure.bbox.size
    faults = [f"markup: {words!r}" for words, _ in boxes if "$" in words and "math" in words]
    faults += [
        f"cut: {words!r} at {box.x0:.0f}, {box.y0:.0f} ... {box.x1:.0f}, {box.y1:.0f} of {width:.0f} x {height:.0f}"
        for words, box in boxes
        if box.x0 < -SLACK or box.y0 < -SLACK or box.x1 > width + SLACK or box.y1 > height + SLACK
    ]
    return faults + [
        f"on each other: {first!r} and {other!r}"
        for (first, box), (other, second) in itertools.combinations(boxes, 2)
        if _share(box, second)
    ]


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every visible text that is not empty, with its box in pixels."""
    figure.draw_without_rendering()
    renderer, hidden = FigureCanvasAgg(figure).get_renderer(), set(_hidden(figure))
    visible = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), Text.get_window_extent(text, renderer)) for text in visible if text not in hidden]


def _hidden(figure: Figure) -> Iterator[Text]:
    """What is not drawn: labels of ticks outside the limits of their axis, and everything of axes that are off."""
    for axes in figure.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):
            shown = axis._update_ticks() if axes.axison else []
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            yield from (label for tick in ticks if tick not in shown for label in (tick.label1, tick.label2))
            if not axes.axison:
                yield from (axis.label, axis.offsetText)


def _share(first: Bbox, second: Bbox) -> bool:
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    return width > SLACK and height > SLACK
