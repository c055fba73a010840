"""What the PDF needs of the system: libraries that WeasyPrint loads, and a font.

Run as a script, before anything is installed, it prints the Debian packages that this machine lacks, those of Python's own
`venv` included; so it uses the standard library alone.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REQUIRED = {  # name that the dynamic linker knows -> Debian package
    "libpango-1.0.so.0": "libpango-1.0-0",
    "libpangoft2-1.0.so.0": "libpangoft2-1.0-0",
}
LIBRARIES = {
    **REQUIRED,
    "libharfbuzz-subset.so.0": "libharfbuzz-subset0",
}  # without the last, PDFs are made more slowly
FONTS = "fonts-dejavu-core"
UNUSUAL = 0x250  # code points from here on are looked up: every text font has the Latin letters below
FORMATS = (b"TrueType", b"CFF")  # of fonts that Pango can set; bitmap and Type 1 fonts it cannot


def explain_missing() -> str | None:
    """One message on what is missing and how to install it; None where the PDF can be made."""
    packages = missing_packages(REQUIRED)
    if not packages:
        return None
    libraries = [name for name in packages if name != FONTS]
    lacks = [
        *([f"the system libraries {', '.join(libraries)}"] if libraries else []),
        *(["a font (fontconfig finds no TrueType or OpenType font)"] if FONTS in packages else []),
    ]
    return f"the PDF needs {' and '.join(lacks)}; install with: apt-get install {' '.join(packages)}"


def missing_packages(libraries: Mapping[str, str] = LIBRARIES) -> list[str]:
    """Debian packages of the libraries that cannot be loaded, and of a font where there is none."""
    packages = [package for name, package in libraries.items() if _load(name) is None]
    return [*packages, *([FONTS] if not has_font() else [])]


def has_font() -> bool:
    """Whether fontconfig finds a font that Pango can set: without one, WeasyPrint ends by a segmentation fault."""
    fontconfig = _load("libfontconfig.so.1")
    return fontconfig is not None and any(format_ in FORMATS for format_ in _font_formats(fontconfig))


def characters_without_font(text: str) -> str:
    """Those of a text that no font on this machine has, each once; the PDF would show an empty box for them."""
    fontconfig = _load("libfontconfig.so.1")
    unusual = sorted({character for character in text if ord(character) >= UNUSUAL})
    if fontconfig is None or not unusual:
        return ""
    return "".join(character for character in unusual if not _count_fonts(fontconfig, f":charset={ord(character):x}"))


class _FontSet(ctypes.Structure):
    _fields_ = (("count", ctypes.c_int), ("room", ctypes.c_int), ("fonts", ctypes.POINTER(ctypes.c_void_p)))


def _count_fonts(fontconfig: ctypes.CDLL, pattern: str) -> int:
    fonts = _list_fonts(fontconfig, pattern.encode("ascii"))
    return fonts.contents.count if fonts else 0


def _font_formats(fontconfig: ctypes.CDLL) -> list[bytes]:
    """Format of every scalable font."""
    fonts = _list_fonts(fontconfig, b":scalable=true")
    return [_text(fontconfig, fonts.contents.fonts[i]) for i in range(fonts.contents.count)] if fonts else []


def _list_fonts(fontconfig: ctypes.CDLL, pattern: bytes) -> Any:
    """The fonts with a property, see FcFontList in fontconfig's manual; a null pointer where it finds none."""
    parse, build, find = fontconfig.FcNameParse, fontconfig.FcObjectSetBuild, fontconfig.FcFontList
    parse.restype = build.restype = ctypes.c_void_p
    find.restype = ctypes.POINTER(_FontSet)
    find.argtypes = [ctypes.c_void_p] * 3
    parse.argtypes, build.argtypes = [ctypes.c_char_p], [ctypes.c_char_p, ctypes.c_void_p]
    return find(None, parse(pattern), build(b"fontformat", None))


def _text(fontconfig: ctypes.CDLL, font: int) -> bytes:
    value = ctypes.c_char_p()
    fontconfig.FcPatternGetString(ctypes.c_void_p(font), b"fontformat", 0, ctypes.byref(value))
    return value.value or b""


def _load(name: str) -> ctypes.CDLL | None:
    """The library, by its name on Linux, on macOS or as the system finds it."""
    stem = name.partition(".so")[0]
    version = name.rpartition(".")[2]
    for candidate in (name, f"{stem}.{version}.dylib", f"{stem}.dylib"):
        try:
            return ctypes.CDLL(candidate)
        except OSError:
            continue
    path = ctypes.util.find_library(stem[len("lib") :])
    try:
        return ctypes.CDLL(path) if path else None
    except OSError:
        return None


def _venv_package() -> list[str]:
    """Debian leaves `ensurepip` out of Python, without which no virtual environment has pip."""
    if importlib.util.find_spec("ensurepip") is not None:
        return []
    name = Path(sys.executable).name
    return [f"{name}-venv" if name.startswith("python3.") else "python3-venv"]


if __name__ == "__main__":
    print(" ".join([*_venv_package(), *missing_packages()]))
