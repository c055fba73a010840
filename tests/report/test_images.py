"""Pictures lose bytes and nothing that is seen: never larger, as many pixels, the same bytes twice."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from zfrepro.report import images


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def read(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(float)


def plot() -> Image.Image:
    """Lines and bars in four colours, drawn large and shrunk: many shades along their edges."""
    image = Image.new("RGB", (1600, 1200), "white")
    draw = ImageDraw.Draw(image)
    for i, colour in enumerate(("#0072b2", "#d55e00", "#009e73")):
        draw.line([(x, 600 + 400 * np.sin(x / 150 + i)) for x in range(0, 1600, 10)], fill=colour, width=11)
        draw.rectangle((200 + 400 * i, 900, 380 + 400 * i, 1200), fill=colour)
    return image.resize((400, 300), Image.Resampling.LANCZOS)


def photograph() -> Image.Image:
    """Slow gradients of every colour under a grain."""
    y, x = np.mgrid[0:320, 0:320] / 320
    ground = np.stack([x, y, (1 - x) * (1 - y)], axis=-1) * 220
    return Image.fromarray(
        (ground + np.random.default_rng(0).normal(18, 6, (320, 320, 3))).clip(0, 255).astype(np.uint8)
    )


def grain() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(60, 200, (320, 320, 3), dtype=np.uint8))


DRAWN = {"plot": plot, "photograph": photograph, "grain": grain}
FORMS = (images.for_page, images.for_print)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", DRAWN)
def test_never_larger_as_many_pixels_the_same_bytes_twice(name: str, form) -> None:
    original = png(DRAWN[name]())
    stored = form(images.open_png(original))
    assert len(stored.content) <= len(original)
    assert read(stored.content).shape == read(original).shape
    assert stored == form(images.open_png(original))
    assert Image.open(io.BytesIO(stored.content)).get_format_mimetype() == stored.mime


def test_a_plot_keeps_its_edges_and_a_photograph_goes_with_losses() -> None:
    drawn, photographed = images.open_png(png(plot())), images.open_png(png(photograph()))
    assert images.for_print(drawn).mime == "image/png"
    assert np.abs(read(images.for_page(drawn).content) - read(drawn.png)).max() <= 12
    assert images.for_print(photographed).mime == "image/jpeg"
    assert images.for_page(photographed).mime == "image/webp"
    assert len(images.for_page(photographed).content) < len(photographed.png) / 4
    error = read(images.for_page(photographed).content) - read(photographed.png)
    assert np.abs(error.reshape(40, 8, 40, 8, 3).mean(axis=(1, 3))).max() < 12


def test_a_large_image_loses_quality_until_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lower than LEAST, and never pixels."""
    source = images.open_png(png(grain()))
    for form, name in ((images.for_page, "WEBP_BYTES"), (images.for_print, "JPEG_BYTES")):
        free = form(source).content
        monkeypatch.setattr(images, name, len(free) - 1)
        fitted = form(source).content
        monkeypatch.setattr(images, name, 1)
        least = form(source).content
        assert len(least) < len(fitted) < len(free)
        assert read(least).shape == read(free).shape


def test_few_colours_are_kept_exactly() -> None:
    image = Image.fromarray(np.random.default_rng(0).choice(np.array([0, 90, 200, 255], dtype=np.uint8), (64, 64, 3)))
    few = images.reduce_colours(image)
    assert few is not None
    assert few.mode == "P"
    assert np.array_equal(np.asarray(few.convert("RGB")), np.asarray(image))


def test_the_ground_stays_white_and_small_things_keep_their_colours() -> None:
    image = photograph()
    image.paste("white", (0, 0, 320, 200))
    image.paste((255, 0, 255), (10, 10, 14, 14))
    few = np.asarray(images.with_palette(image).convert("RGB")).astype(int)
    assert (few[20:200] == 255).all()
    assert np.abs(few[10:14, 10:14] - (255, 0, 255)).max() <= 4


def test_a_palette_whose_loss_shows_is_refused() -> None:
    """A picture of grain in all colours has no 256 that stand for it; and one patch that is off is enough."""
    assert images.reduce_colours(grain()) is None
    first = np.full((64, 64, 3), 100, dtype=np.uint8)
    second = first.copy()
    assert images._looks_equal(first, second)
    second[8:16, 8:16, 0] += 15
    assert not images._looks_equal(first, second)


def test_a_photograph_is_recognised_by_its_colours() -> None:
    assert images.reduce_colours(photograph(), cells=100) is None
    assert images.reduce_colours(plot(), cells=5000) is not None


def test_what_is_seen_through_stays_as_it_is() -> None:
    image = photograph().convert("RGBA")
    image.putpixel((3, 3), (0, 0, 0, 0))
    original = images.open_png(png(image))
    assert images.for_page(original) == images.for_print(original) == images.Coded(png(image), "image/png")
    assert images.for_file(original) == png(image)
    image.putalpha(255)
    assert images.for_print(images.open_png(png(image))).mime == "image/jpeg"


def test_a_file_is_a_png_of_the_same_size_unless_it_would_be_large() -> None:
    original = images.open_png(png(grain()))
    assert images.for_file(original) == original.png
    assert len(images.for_file(images.open_png(png(plot())))) < len(png(plot()))
    written = Image.open(io.BytesIO(images.for_file(original, 100_000)))
    assert written.format == "PNG"
    assert len(images.for_file(original, 100_000)) <= 100_000
    assert 80 <= written.width == written.height < 320


def test_a_card_is_the_upper_part_in_few_colours() -> None:
    """Of 320 x 320 grainy pixels three quarters are left, none enlarged; a wider one is shrunk to the card's width."""
    small = Image.open(io.BytesIO(images.for_card(images.open_png(png(grain())))))
    assert (small.size, small.mode) == ((320, 240), "P")
    wide = grain().resize((720, 100))
    assert Image.open(io.BytesIO(images.for_card(images.open_png(png(wide))))).size == (360, 50)


@pytest.mark.parametrize("damaged", [b"", b"no picture", png(plot())[:900]])
def test_a_damaged_picture_is_an_error(damaged: bytes) -> None:
    with pytest.raises(OSError, match=r"identify|truncated"):
        images.open_png(damaged)
