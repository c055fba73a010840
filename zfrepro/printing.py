"""HTML to PDF: tagged, the same bytes for the same page and fonts; nothing is fetched."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image, ImageFile

from zfrepro import pictures
from zfrepro.errors import UserError

PANGO = "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"


def pdf(page: str) -> bytes:
    """Raises UserError where WeasyPrint cannot load its libraries."""
    weasyprint = _weasyprint()
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=["data"], fail_on_errors=True)
    document = weasyprint.HTML(string=page, url_fetcher=fetcher, media_type="print")
    return document.write_pdf(pdf_variant="pdf/ua-1", pdf_identifier=b"zfrepro", finisher=_with_palettes)


def _weasyprint() -> Any:
    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        import weasyprint.urls
    except (OSError, ImportError) as error:
        raise UserError(f"report.pdf cannot be made, a library of WeasyPrint is missing ({error}): {PANGO}") from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated  # which importing WeasyPrint sets for the whole program
    return weasyprint


def _with_palettes(document: Any, file: Any) -> None:
    """Give pictures of few colours, which WeasyPrint writes in full colour, their palettes back. `file`: a pydyf.PDF."""
    for stream in file.objects:
        about = getattr(stream, "extra", {})
        kind = [about.get(key) for key in ("Subtype", "ColorSpace", "Filter")]
        if kind == ["/Image", "/DeviceRGB", "/FlateDecode"] and "SMask" not in about:
            _index(stream)


def _index(stream: Any) -> None:
    """Rewrite one image of the PDF as indices into a palette; one of more colours stays."""
    about = stream.extra
    picture = _of_png(about["Width"], about["Height"], b"".join(part.data for part in stream.stream))
    if picture.getcolors(pictures.COLOURS) is None:
        return
    few = pictures.with_palette(picture)
    palette = bytes(few.getpalette())
    stream.stream = [zlib.compress(few.tobytes(), 9)]
    about["ColorSpace"] = f"[/Indexed /DeviceRGB {len(palette) // 3 - 1} <{palette.hex()}>]"
    del about["DecodeParms"]


def _of_png(width: int, height: int, data: bytes) -> Image.Image:
    """RGB picture of the compressed, filtered rows of a PNG, which is how a PDF keeps them."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    file = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return Image.open(io.BytesIO(b"\x89PNG\r\n\x1a\n" + file)).convert("RGB")
