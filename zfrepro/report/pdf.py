"""HTML to PDF: tagged, the same bytes for the same page and fonts; nothing is fetched."""

from __future__ import annotations

import base64
import functools
import io
import re
import struct
import zlib
from typing import Any

from PIL import Image, ImageFile

from zfrepro.errors import UserError
from zfrepro.report import images

PANGO = "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"

PNG = re.compile(r'src="data:image/png;base64,([A-Za-z0-9+/=]+)"')
MARK = 2  # bytes, and so pixels, of a stand-in's number


def pdf(page: str) -> bytes:
    """Raises UserError where WeasyPrint cannot load its libraries."""
    weasyprint = _weasyprint()
    page, kept = _without_palettes(page)
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=["data"], fail_on_errors=True)
    document = weasyprint.HTML(string=page, url_fetcher=fetcher, media_type="print")
    return document.write_pdf(
        pdf_variant="pdf/ua-1", pdf_identifier=b"zfrepro", finisher=functools.partial(_put_back, kept)
    )


def _weasyprint() -> Any:
    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        import weasyprint.urls
    except (OSError, ImportError) as error:
        raise UserError(f"report.pdf cannot be made, a library of WeasyPrint is missing ({error}): {PANGO}") from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated  # which importing WeasyPrint sets for the whole program
    return weasyprint


def _without_palettes(page: str) -> tuple[str, list[Image.Image]]:
    """The page with a black stand-in for every PNG of few colours, and those pictures, each with a palette.

    WeasyPrint would expand them to full colour and compress them twice, which takes as long as the layout of the text.
    """
    found: dict[str, int | None] = {}
    kept: list[Image.Image] = []

    def stand_in(match: re.Match[str]) -> str:
        data = match[1]
        if data not in found:
            few = _few(base64.b64decode(data))
            found[data] = None if few is None else len(kept)
            kept.extend([] if few is None else [few])
        number = found[data]
        return match[0] if number is None else f'src="data:image/png;base64,{_stand_in(number, kept[number].size)}"'

    return PNG.sub(stand_in, page), kept


def _few(png: bytes) -> Image.Image | None:
    """The picture with a palette; None for one of more colours, with transparency, too small to be marked, or damaged."""
    try:
        picture = Image.open(io.BytesIO(png))
        picture.load()
    except (OSError, SyntaxError):
        return None
    if picture.mode not in ("P", "RGB") or picture.has_transparency_data or picture.width * picture.height < MARK:
        return None
    if picture.mode == "P":
        return picture
    return None if picture.getcolors(images.COLOURS) is None else images.with_palette(picture)


def _marked(number: int, size: tuple[int, int]) -> bytes:
    """The grey levels of a stand-in: its number, then black."""
    return number.to_bytes(MARK, "big").ljust(size[0] * size[1], b"\0")


def _stand_in(number: int, size: tuple[int, int]) -> str:
    """A PNG as base64."""
    file = io.BytesIO()
    Image.frombytes("L", size, _marked(number, size)).save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _put_back(kept: list[Image.Image], document: Any, file: Any) -> None:
    """Write the pictures where their stand-ins are. `file`: a pydyf.PDF. Raises RuntimeError if one has no place."""
    placed = set()
    for stream in file.objects:
        about = getattr(stream, "extra", {})
        kind = [about.get(key) for key in ("Subtype", "ColorSpace", "Filter")]
        if kind == ["/Image", "/DeviceGray", "/FlateDecode"]:
            size = about["Width"], about["Height"]
            grey = _of_png(*size, b"".join(part.data for part in stream.stream)).tobytes()
            number = int.from_bytes(grey[:MARK], "big")
            if number < len(kept) and kept[number].size == size and grey == _marked(number, size):
                _index(stream, kept[number])
                placed.add(number)
    if len(placed) < len(kept):
        raise RuntimeError(f"report.pdf: {len(kept) - len(placed)} of {len(kept)} pictures are not in it")


def _index(stream: Any, few: Image.Image) -> None:
    """Make one image of the PDF indices into a palette."""
    about, palette = stream.extra, bytes(few.getpalette())
    stream.stream = [zlib.compress(few.tobytes(), images.EFFORT)]
    about["ColorSpace"] = f"[/Indexed /DeviceRGB {len(palette) // 3 - 1} <{palette.hex()}>]"
    del about["DecodeParms"]


def _of_png(width: int, height: int, data: bytes) -> Image.Image:
    """Grey picture of the compressed, filtered rows of a PNG, which is how a PDF keeps them."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    file = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return Image.open(io.BytesIO(b"\x89PNG\r\n\x1a\n" + file))
