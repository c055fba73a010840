"""Read any photograph as an upright RGB picture: EXIF orientation obeyed, transparency on white, the first frame."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps

from zfrepro.datasets.decoding import BAD_PICTURE
from zfrepro.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # no format whose reader starts another program
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # what Pillow calls a 16 bit greyscale PNG, by its version

JOINERS = "\u200c\u200d"  # invisible, but part of words and emoji


@dataclass(frozen=True)
class Photograph:
    name: str  # tells it from the others, safe to print
    size: tuple[int, int]  # width and height when upright, pixels
    crop: np.ndarray  # uint8 (s, s, 3), what the network sees of it


def load(paths: Sequence[Path], crop: Callable[[Image.Image], np.ndarray]) -> list[Photograph]:
    """Every photograph cut by `crop`, in order; only the cuts stay in memory.

    Raises one UserError with a line for every file that cannot be read.
    """
    loaded, faults = [], []
    for path, name in zip(paths, _names(paths), strict=True):
        try:
            image = read(path)
            loaded.append(Photograph(printable(name), image.size, crop(image)))
        except UserError as error:
            faults.append(str(error))
    if faults:
        raise UserError("\n".join(faults))
    return loaded


def read(path: Path) -> Image.Image:
    """The picture as RGB, upright. Raises UserError that names the file and what is wrong with it."""
    name = printable(path)
    if os.path.isdir(path):
        raise UserError(f"{name}: is a folder; name the pictures in it")
    if not os.path.isfile(path):
        raise UserError(f"{name}: no such file" if not os.path.lexists(path) else f"{name}: is not a regular file")
    try:
        return _decoded(path)
    except Image.UnidentifiedImageError as error:
        raise UserError(
            f"{name}: not a picture in a format known here ({', '.join(FORMATS)}); save it as JPEG or PNG"
        ) from error
    except Image.DecompressionBombError as error:
        most = 2 * Image.MAX_IMAGE_PIXELS // 10**6
        raise UserError(f"{name}: more than {most} million pixels; save a smaller copy of it") from error
    except BAD_PICTURE as error:
        raise UserError(f"{name}: cannot be read ({_reason(error)}); save it anew") from error


def printable(text: Path | str) -> str:
    """One line of text that can be printed: what steers a terminal or is no Unicode becomes U+FFFD."""
    return "".join(one if one.isprintable() or one in JOINERS else "\ufffd" for one in os.fspath(text))


def _names(paths: Sequence[Path]) -> list[str]:
    """The files' names; where two are alike, with the folders in which they differ."""
    if len({path.name for path in paths}) == len(paths):
        return [path.name for path in paths]
    common = os.path.commonpath([path.absolute().parent for path in paths])
    return [os.path.relpath(path.absolute(), common) for path in paths]


def _decoded(path: Path) -> Image.Image:
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # WeasyPrint, if it is in the same process, lets cut files pass
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oddities of a file that decodes all the same
        with Image.open(path, formats=FORMATS) as image:
            image.load()
            return _flat(_upright(image), image.format)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except BAD_PICTURE:  # a damaged note on orientation is no reason to refuse the picture
        return image


def _flat(image: Image.Image, kind: str | None) -> Image.Image:
    """RGB; what is transparent lies on white."""
    if image.mode in SIXTEEN_BITS and kind == "PNG":
        image = _eight_bits(image)
    if image.mode == "F" or image.mode.startswith("I"):
        raise ValueError(f"pixels of more than 8 bits, Pillow mode {image.mode}; needed are 8 bits a channel")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """A 16 bit PNG's full scale, 0 ... 65535, as 0 ... 255."""
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray(((np.clip(values, 0, 65535) + 128) // 257).astype(np.uint8))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
