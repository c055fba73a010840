"""What readers save: plots as PDF, images large; within their bytes, and the same bytes for the same picture."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from zfrepro.exhibits.kit import draw, saving
from zfrepro.exhibits.kit.left_out import leave_out

PROGRAM = """
import sys
from zfrepro.exhibits.kit import draw
with draw.figure(3, 2) as figure:
    figure.subplots().plot([1, 3, 2], label="a line")
    sys.stdout.buffer.write(draw.save(figure).saved["pdf"])
"""


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_a_plot_is_saved_as_pdf_with_its_letters_and_no_date_or_version() -> None:
    with draw.figure(3, 2) as figure:
        figure.subplots().set_title("Errors")
        drawing = draw.save(figure)
    assert list(drawing.saved) == ["pdf"]
    content = drawing.saved["pdf"]
    assert b"/Subtype /TrueType" in content or b"/CIDFontType2" in content  # letters, not their outlines
    assert not re.search(rb"/(CreationDate|Producer|Creator)|[Mm]atplotlib", content)
    assert opened(drawing.png).size == (3 * saving.DPI, 2 * saving.DPI)


def test_a_pdf_has_the_same_bytes_in_every_process() -> None:
    """Names inside it do not depend on Python's random hashes."""
    files = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            check=True,
            capture_output=True,
            env={"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    ]
    assert files[0] == files[1]
    assert files[0].startswith(b"%PDF-")


def test_a_figure_of_images_is_saved_as_wide_as_a_slide() -> None:
    with draw.figure(3, 2) as figure:
        figure.subplots().imshow(np.asarray(noise(30, 20)))
        drawing = draw.save(figure, "jpg")
    assert list(drawing.saved) == ["jpg"]
    assert opened(drawing.saved["jpg"]).width >= saving.WIDE > opened(drawing.png).width


def test_a_jpeg_loses_quality_first_and_pixels_only_where_that_is_not_enough() -> None:
    image = noise(300, 200)
    best = saving.jpeg(image, 10**9)
    assert len(saving.jpeg(image, len(best) - 1)) < len(best)
    assert opened(saving.jpeg(image, len(best) - 1)).size == (300, 200)
    small = saving.jpeg(image, 9_000)
    assert len(small) <= 9_000
    assert opened(small).width < 300
    assert saving.jpeg(image, 9_000) == small


def test_few_colours_are_saved_as_png_and_grain_as_jpeg() -> None:
    flat = Image.new("RGB", (400, 300), "navy")
    assert opened(saving.save_images(flat, flat).saved["png"]).size == (400, 300)
    assert list(saving.save_images(noise(40, 30), noise(400, 300)).saved) == ["jpg"]


@pytest.mark.parametrize(("native", "width"), [(640, 1200), (1800, 1800), (5000, 2400)])
def test_half_a_page_is_as_wide_as_its_tiles_have_pixels(
    native: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "WIDE", 2400)
    assert saving.half_width(native) == width


def test_what_is_left_out_is_drawn_with_the_letters_that_the_font_has() -> None:
    """matplotlib warns of a letter that it lacks, and a warning is an error here."""
    exhibit = leave_out("Table 1", "see 中文")
    assert exhibit.caption == "See 中文."
    assert exhibit.drawing.saved == {}
    assert np.asarray(opened(exhibit.png).convert("L")).min() < 150
