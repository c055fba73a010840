"""Decode one image file, the same way for the data sets, part annotations and `zfrepro look`.

The result is 8-bit RGB: EXIF orientation applied, transparency on white, the first frame of an animation. Pixels and
boxes therefore agree with what an image viewer shows.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile

from zfrepro.datasets.base import Box, DecodedImage
from zfrepro.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # no format whose reader starts another program
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # Pillow's modes for 16-bit greyscale, by its version

# What Pillow raises on files that are truncated, damaged or not images. Anything else is a bug and stops the run.
PILLOW_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)

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
    _require_file(path)
    try:
        return _decode(path, box)
    except Image.UnidentifiedImageError as error:
        reason = f"not an image in a supported format ({', '.join(FORMATS)}), or damaged; save it as JPEG or PNG"
        raise UnreadableImageError(path, reason) from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise UnreadableImageError(path, f"more than {limit} million pixels; save a smaller copy of it") from error
    except PILLOW_ERRORS as error:
        raise UnreadableImageError(path, f"cannot be read ({_describe(error)}); replace or re-save it") from error


def _require_file(path: Path) -> None:
    if os.path.isdir(path):
        raise UnreadableImageError(path, "is a folder; name the images in it")
    if not os.path.lexists(path):
        raise UnreadableImageError(path, "no such file; check the path")
    if not os.path.isfile(path):
        raise UnreadableImageError(path, "is not a regular file; name an image file")


def _decode(path: Path, box: Box | None) -> DecodedImage:
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # WeasyPrint, if imported in the same process, sets it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oddities of a file that can be decoded all the same
        with Image.open(path, formats=FORMATS) as image:
            image.load()
            orientation = _orientation(image)
            turned = image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
            rgb = _to_rgb(turned, image.format)
    return DecodedImage(rgb, box and _turn_box(box, orientation, *rgb.size))


def _orientation(image: Image.Image) -> int:
    """1 to 8; 1, upright, where the file does not say. Pillow itself turns a TIFF, its box then too must be upright."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except PILLOW_ERRORS:  # damaged EXIF is no reason to refuse the image
        return 1


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
