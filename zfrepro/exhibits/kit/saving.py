"""How every picture is saved: a PNG for the page, and a file to take away, a PDF of lines and text or a large JPEG or PNG of images.

The bytes depend on the content only: they hold no date, no version and no random name. Colours and styles are not here but in `draw`:
the board of claims, the forest plot and what is left out have their own, so that a new colour of figures judges no claim again.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

DPI = 200
PDF_DPI = 100  # of images among the lines of a plot: stored without losses, they are most of its bytes
WIDE = 2400  # pixels: a JPEG that fills a slide; one of half a page has half of it
LARGEST, SMALL = 1_400_000, 500_000  # bytes of one PNG, and of one of many
SAVED, SAVED_SMALL = 140_000, 95_000  # bytes of a JPEG, and of one of many: some twenty of them lie beside a report
# Of a JPEG, the best one that fits: most tiles are enlarged, which hides the loss.
QUALITIES = (90, 80, 70, 60, 50, 42, 36, 30)
PDF: dict[Any, Any] = {
    "pdf.fonttype": 42,
    "pdf.compression": 9,
    "pdf.inheritcolor": False,
}  # 42: letters stay text, which can be searched
NO_METADATA = {"Creator": None, "Producer": None, "CreationDate": None}


@dataclass(frozen=True)
class Drawing:
    """A picture: as PNG for the page, and by their endings the files that a reader saves."""

    png: bytes
    saved: Mapping[str, bytes] = field(default_factory=dict)


def save(figure: Figure, ending: Literal["pdf", "jpg"] = "pdf", dpi: int | None = None) -> Drawing:
    """A figure as it is: `pdf` for lines and text, `jpg` where most of it is images. dpi: of the PNG."""
    content = (
        pdf(figure) if ending == "pdf" else jpeg(render(figure, math.ceil(WIDE / figure.get_figwidth())), SAVED_SMALL)
    )
    return Drawing(encode(render(figure, dpi or DPI)), {ending: content})


def save_images(shown: Image.Image, large: Image.Image, largest: int = LARGEST, saved: int = SAVED) -> Drawing:
    """The same images at the size of the page and at that of a slide, the latter as PNG where that is smaller.

    largest, saved: bytes of the one for the page and of the JPEG.
    """
    exact, lossy = _png(large), jpeg(large, saved)
    return Drawing(encode(shown, largest), {"png": exact} if len(exact) <= len(lossy) else {"jpg": lossy})


def half_width(native: int) -> int:
    """Pixels of a saved picture that takes half a page: more than half of WIDE where its tiles have as many, `native`, of their own."""
    return min(WIDE, max(WIDE // 2, native))


def render(figure: Figure, dpi: int) -> Image.Image:
    """RGB, in exact colours, so that rare colours of a legend stay distinct."""
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=dpi, metadata={"Software": None})
    return Image.open(raw).convert("RGB")


def pdf(figure: Figure) -> bytes:
    raw = io.BytesIO()
    with mpl.rc_context(PDF):
        figure.savefig(raw, format="pdf", dpi=PDF_DPI, metadata=NO_METADATA)
    return raw.getvalue()


def jpeg(image: Image.Image, largest: int = SAVED) -> bytes:
    """JPEG bytes, at most `largest`: of the best quality that fits, of fewer pixels where none does."""
    while True:
        for quality in QUALITIES:
            raw = io.BytesIO()
            image.save(raw, "JPEG", quality=quality, optimize=True, progressive=True)
            if raw.tell() <= largest:
                return raw.getvalue()
        image = image.resize([max(1, round(0.85 * side)) for side in image.size], Image.Resampling.LANCZOS)


def encode(image: Image.Image, largest: int = LARGEST) -> bytes:
    """PNG bytes, at most `largest`: exact if possible, else in 256 colours, else also reduced in size."""
    data = _png(image)
    while len(data) > largest:
        data = _png(image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG))
        image = image.resize((round(image.width * 0.85), round(image.height * 0.85)), Image.Resampling.LANCZOS)
    return data


def _png(image: Image.Image) -> bytes:
    raw = io.BytesIO()
    image.save(raw, "PNG", compress_level=6)
    return raw.getvalue()
