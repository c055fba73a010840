"""HTML to PDF: tagged, the same bytes for the same page and fonts; nothing is fetched.

WeasyPrint works in a process of its own, since its libraries end the process where they fail: without a font, by a segmentation
fault. The page then remains.
"""

from __future__ import annotations

import functools
import io
import multiprocessing
import signal
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from PIL import Image, ImageFile

from zfrepro.errors import UserError
from zfrepro.report import images, page_fill, system_libraries

VARIANT = {"pdf_variant": "pdf/ua-1", "pdf_identifier": b"zfrepro"}  # tagged, the same identifier each time
SPAWN = multiprocessing.get_context("spawn")


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
            return _encode_indexed(image, interpolate)
        return RasterImage(image, self.id, content).get_x_object(interpolate, dpi_ratio)


def pdf(page: str, pictures: Mapping[str, Picture] | None = None) -> bytes:
    """pictures: by the `src` under which the page shows them. Raises UserError where WeasyPrint cannot load its libraries."""
    content: bytes = lay_out(page, pictures).write_pdf(**VARIANT)
    return content


def lay_out(page: str, pictures: Mapping[str, Picture] | None = None) -> Any:
    """WeasyPrint's Document, its pages filled."""
    weasyprint = _weasyprint()
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=["data"], fail_on_errors=True)
    html = weasyprint.HTML(string=page, url_fetcher=fetcher, media_type="print")
    cache = dict(pictures or {})
    return page_fill.fill(lambda sheet: html.render(stylesheets=[weasyprint.CSS(string=sheet)], cache=cache, **VARIANT))


def isolated_pdf(page: str, pictures: Mapping[str, Picture]) -> bytes:
    """As `pdf`, in a process of its own; the pictures are encoded in this one, when the other asks for them.

    Raises UserError where a library or a font is missing, or the other process ends without a PDF.
    """
    if message := system_libraries.explain_missing():
        raise UserError(f"report.pdf cannot be made: {message}")
    here, there = SPAWN.Pipe()
    sizes = {source: (picture.id, picture.width, picture.height) for source, picture in pictures.items()}
    process = SPAWN.Process(target=_print_elsewhere, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        here.send(
            (page, sizes)
        )  # not as an argument: `start` would wait for ever for a process that ends before it reads a large one
        return _serve(here, pictures)
    except (EOFError, ConnectionError):
        process.join()
        raise UserError(
            f"report.pdf cannot be made: {_explain_end(process.exitcode)}; index.html is complete"
        ) from None
    finally:
        here.close()
        process.join()


def _serve(connection: Connection, pictures: Mapping[str, Picture]) -> bytes:
    """Answer every `src` with its encoded picture, until the PDF comes. Raises EOFError if it does not."""
    while True:
        message = connection.recv()
        if isinstance(message, bytes):
            return message
        if isinstance(message, UserError):
            raise message
        connection.send(pictures[message].encode())


def _print_elsewhere(connection: Connection) -> None:
    """In the other process. Receives the page, and id, width and height of the picture at each `src`."""
    received: tuple[str, Mapping[str, tuple[str, int, int]]] = connection.recv()
    page, sizes = received

    def ask(source: str) -> images.Coded:
        connection.send(source)
        coded: images.Coded = connection.recv()
        return coded

    pictures = {source: Picture(*size, functools.partial(ask, source)) for source, size in sizes.items()}
    try:
        connection.send(pdf(page, pictures))
    except UserError as error:
        connection.send(error)
    except EOFError:  # the first process has failed and says why
        return


def _explain_end(code: int | None) -> str:
    if code is not None and code < 0:
        return f"WeasyPrint's libraries ended their process ({signal.Signals(-code).name}), see the lines above"
    return "WeasyPrint failed, see the lines above"


def _weasyprint() -> Any:
    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        import weasyprint.urls
    except (OSError, ImportError) as error:
        packages = " ".join([*system_libraries.LIBRARIES.values(), system_libraries.FONTS])
        raise UserError(
            f"report.pdf cannot be made, a library of WeasyPrint is missing ({error}); install with: apt-get install {packages}"
        ) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated  # which importing WeasyPrint sets for the whole program
    return weasyprint


def _encode_indexed(image: Image.Image, interpolate: bool) -> Any:
    """An image of the PDF whose pixels are indices into a palette."""
    import pydyf

    palette = bytes(image.getpalette() or ())
    about = {
        "Type": "/XObject", "Subtype": "/Image", "Width": image.width, "Height": image.height, "BitsPerComponent": 8,
        "ColorSpace": f"[/Indexed /DeviceRGB {len(palette) // 3 - 1} <{palette.hex()}>]",
        "Interpolate": "true" if interpolate else "false", "Filter": "/FlateDecode",
    }  # fmt: skip
    return pydyf.Stream([zlib.compress(image.tobytes(), images.EFFORT)], pydyf.Dictionary(about))
