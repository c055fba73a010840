"""Decode one image file, the same way for the data sets, part annotations and `zfrepro look`.

The result is 8-bit RGB: EXIF orientation applied, transparency on white, the first frame of an animation. Pixels and
boxes therefore agree with what an image viewer shows. Of EXIF nothing but the orientation is read, by datasets/exif.py.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageFile

from zfrepro.datasets import exif, formats
from zfrepro.datasets.base import Box, DecodedImage
from zfrepro.errors import UserError
from zfrepro.storage import paths

SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # Pillow's modes for 16-bit greyscale, by its version

logging.getLogger("PIL").addHandler(logging.NullHandler())  # it prints what is odd in a file, but not in which

Transpose = Image.Transpose
UPRIGHT = {  # EXIF orientation -> how to turn the stored pixels
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
}  # fmt: skip


class UnreadableImageError(UserError):
    """A file that cannot be decoded: its path, and the reason with what to do."""

    def __init__(self, path: Path, reason: str):
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def decode(path: Path, box: Box | None = None) -> DecodedImage:
    """The image in RGB, upright. `box` is in pixels as the file stores them, before EXIF orientation, and turns along.

    Annotators of published data sets worked on stored pixels. Raises UnreadableImageError.
    """
    path = paths.resolve(path)
    _require_file(path)
    try:
        image, orientation = _read(path)
        turned = image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
        rgb = _to_rgb(turned, image.format)
    except MemoryError as error:
        raise UserError(
            f"{path}: does not fit into the free memory; save a smaller copy or use fewer `workers`"
        ) from error
    except Image.UnidentifiedImageError as error:
        raise UnreadableImageError(path, formats.explain_unidentified(path)) from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise UnreadableImageError(path, f"more than {limit} million pixels; save a smaller copy of it") from error
    except (OSError, ValueError) as error:
        raise UnreadableImageError(path, f"cannot be read ({_describe(error)}); replace or re-save it") from error
    return DecodedImage(rgb, box and _turn_box(box, orientation, *rgb.size))


def _require_file(path: Path) -> None:
    if os.path.isdir(path):
        raise UnreadableImageError(path, "is a folder; name the images in it")
    if not os.path.lexists(path):
        raise UnreadableImageError(path, "no such file; check the path")
    if not os.path.isfile(path):
        raise UnreadableImageError(path, "is not a regular file; name an image file")


def _read(path: Path) -> tuple[Image.Image, int]:
    """The stored pixels and their orientation. Raises OSError, ValueError, or one of Pillow's errors that derive from them."""
    content = path.read_bytes()
    try:
        return _load(content)
    except (OSError, ValueError):
        # Pillow also reads metadata, and fails on odd ones
        plain, block = exif.remove(content), exif.find(content)
        if plain is None:
            raise
        image, orientation = _load(plain)
        return image, exif.read_orientation(block) if block else orientation


def _load(content: bytes) -> tuple[Image.Image, int]:
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # WeasyPrint, if imported in the same process, sets it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities of a file that can be decoded all the same
            with Image.open(io.BytesIO(content), formats=formats.readable()) as image:
                _require_checksums(content, image.format)
                image.getexif = Image.Exif  # type: ignore[method-assign]  # Pillow turns a TIFF by it, and fails on odd tags
                turn = _tiff_orientation(image) if image.format == "TIFF" else None  # loading forgets it
                image.load()
                return image, turn or _orientation(image)
    except (OSError, ValueError, MemoryError, Image.DecompressionBombError):
        raise
    except Exception as error:  # whatever Pillow raises here is about this file
        raise ValueError(_describe(error)) from error


def _orientation(image: Image.Image) -> int:
    """1 to 8; 1, upright, where the file does not say."""
    stored = image.info.get("exif")
    if stored is None and "Raw profile type exif" in image.info:
        stored = exif.from_hex(image.info["Raw profile type exif"])
    xmp = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp")
    return exif.read_orientation(stored, xmp)


def _tiff_orientation(image: Any) -> int:
    """The same, in the tags that also describe a TIFF's pixels."""
    try:
        orientation = image.tag_v2.get(ExifTags.Base.Orientation)
        return orientation if orientation in UPRIGHT else 1
    except Exception:  # odd values of a tag that is not needed to decode
        return 1


def _require_checksums(content: bytes, file_format: str | None) -> None:
    """Raises ValueError for a PNG with a damaged chunk of pixels: Pillow does not compare their checksums."""
    at = 8
    while file_format == "PNG" and at + 12 <= len(content):
        size, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        end = at + 8 + size
        if kind == b"IDAT" and zlib.crc32(content[at + 4 : end]) != int.from_bytes(content[end : end + 4]):
            raise ValueError("its checksum does not fit: the file is damaged")
        at = end + 4


def _turn_box(box: Box, orientation: int, width: int, height: int) -> Box:
    """A box in stored pixels as one in the upright image, which is `width` x `height`."""
    x0, y0, x1, y1 = box
    if orientation in (5, 6, 7, 8):
        x0, y0, x1, y1 = y0, x0, y1, x1
    if orientation in (2, 3, 6, 7):
        x0, x1 = width - x1, width - x0
    if orientation in (3, 4, 7, 8):
        y0, y1 = height - y1, height - y0
    return x0, y0, x1, y1


def _to_rgb(image: Image.Image, file_format: str | None) -> Image.Image:
    """8 bits per channel, transparency on white."""
    if image.mode in SIXTEEN_BITS and file_format in ("PNG", "PPM"):
        image = _to_eight_bits(image)
    if image.mode == "F" or image.mode.startswith("I"):
        raise ValueError(f"more than 8 bits per channel, Pillow mode {image.mode}")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """0 ... 65535, the full scale of 16-bit PNG and PGM, as 0 ... 255."""
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray(((np.clip(values, 0, 65535) + 128) // 257).astype(np.uint8))


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
