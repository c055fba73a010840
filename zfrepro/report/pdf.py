"""HTML to PDF: tagged, the same bytes for the same page and fonts; nothing is fetched."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageFile

from zfrepro.errors import UserError
from zfrepro.report import images

PANGO = "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"


@dataclass(frozen=True)
class Picture:
    """A picture of the page, as an entry of WeasyPrint's `cache`; it may be encoded while the pages are laid out.

    WeasyPrint's own images expand palettes to RGB and compress them twice: 2 s more and a PDF half as large again, with its
    `optimize_images`, `dpi` and `jpeg_quality` as well.
    """

    id: str
    width: int  # pixels
    height: int
    encode: Callable[[], images.Coded]  # called once, when the file is written

    @property
    def ratio(self) -> float:
        return self.width / self.height

    def get_intrinsic_size(self, resolution: float, _font_size: float) -> tuple[float, float, float]:
        return self.width / resolution, self.height / resolution, self.ratio

    def draw(self, stream: Any, width: float, height: float, _style: Any) -> None:
        name = stream.add_image(self, True, 1)
        stream.transform(width, 0, 0, -height, 0, height)
        stream.draw_x_object(name)

    def get_x_object(self, interpolate: bool, dpi_ratio: float) -> Any:
        """A pydyf.Stream: indices into a palette where the file has one."""
        from weasyprint.images import RasterImage

        content = self.encode().content
        image = Image.open(io.BytesIO(content))
        if image.mode == "P" and not image.has_transparency_data:
            return _indexed(image, interpolate)
        return RasterImage(image, self.id, content).get_x_object(interpolate, dpi_ratio)


def pdf(page: str, pictures: Mapping[str, Picture] | None = None) -> bytes:
    """pictures: by the `src` under which the page shows them. Raises UserError where WeasyPrint cannot load its libraries."""
    weasyprint = _weasyprint()
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=["data"], fail_on_errors=True)
    document = weasyprint.HTML(string=page, url_fetcher=fetcher, media_type="print")
    return document.write_pdf(pdf_variant="pdf/ua-1", pdf_identifier=b"zfrepro", cache=dict(pictures or {}))


def _weasyprint() -> Any:
    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        import weasyprint.urls
    except (OSError, ImportError) as error:
        raise UserError(f"report.pdf cannot be made, a library of WeasyPrint is missing ({error}): {PANGO}") from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated  # which importing WeasyPrint sets for the whole program
    return weasyprint


def _indexed(image: Image.Image, interpolate: bool) -> Any:
    """An image of the PDF whose pixels are indices into a palette."""
    import pydyf

    palette = bytes(image.getpalette() or ())
    about = {
        "Type": "/XObject", "Subtype": "/Image", "Width": image.width, "Height": image.height, "BitsPerComponent": 8,
        "ColorSpace": f"[/Indexed /DeviceRGB {len(palette) // 3 - 1} <{palette.hex()}>]",
        "Interpolate": "true" if interpolate else "false", "Filter": "/FlateDecode",
    }  # fmt: skip
    return pydyf.Stream([zlib.compress(image.tobytes(), images.EFFORT)], pydyf.Dictionary(about))
