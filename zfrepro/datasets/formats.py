"""Which image formats are read, by their file endings, and what is needed for the others.

No format whose reader starts another program, and none that any bytes could pass for (TGA).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from pathlib import Path

from PIL import features

ENDINGS = {  # Pillow's name of a format -> endings of its files
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heif", ".heics", ".heifs", ".hif"),
}
FEATURES = {"WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"}  # parts of Pillow that a build of it may lack
OTHER_ENDINGS = (
    ".ai", ".arw", ".cr2", ".cr3", ".dds", ".dng", ".eps", ".exr", ".hdr", ".icns", ".ico", ".jxl", ".jxr", ".nef", ".orf", ".pcx",
    ".pfm", ".psd", ".qoi", ".raf", ".raw", ".rw2", ".sgi", ".svg", ".svgz", ".tga", ".xcf",
)  # fmt: skip


@functools.cache
def readable() -> tuple[str, ...]:
    """Pillow's names of the formats that are read on this machine."""
    if _is_available("HEIF"):
        importlib.import_module("pillow_heif").register_heif_opener()
    return tuple(name for name in ENDINGS if _is_available(name))


@functools.cache
def endings() -> frozenset[str]:
    """Lower-case endings of the files that are read on this machine."""
    return frozenset(ending for name in ENDINGS if _is_available(name) for ending in ENDINGS[name])


@functools.cache
def explain_ending(ending: str) -> str:
    """Why files of an ending, lower-case, are left out."""
    for name, format_endings in ENDINGS.items():
        if ending in format_endings:
            return f"format {ending} not readable; {_remedy(name)}"
    if ending in OTHER_ENDINGS:
        return f"format {ending} not readable; save as JPEG or PNG"
    return f"not an image ({ending})" if ending else "no file ending"


def explain_unidentified(path: Path) -> str:
    """Why Pillow does not recognise a file."""
    for name in ENDINGS:
        if path.suffix.lower() in ENDINGS[name] and not _is_available(name):
            return f"{path.suffix} cannot be read here: {_remedy(name)}, or save it as JPEG or PNG"
    return f"not an image in a supported format ({', '.join(readable())}), or damaged; save it as JPEG or PNG"


def _is_available(name: str) -> bool:
    if name == "HEIF":
        return importlib.util.find_spec("pillow_heif") is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an older Pillow does not know the feature
        return name not in FEATURES or bool(features.check(FEATURES[name]))


def _remedy(name: str) -> str:
    if name == "HEIF":
        return "install pillow-heif"
    return f"install a Pillow with {name} (11.3 or later)" if name == "AVIF" else f"install a Pillow with {name}"
