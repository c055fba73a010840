"""The orientation in a file's EXIF or XMP, and nothing else of it: no other tag, however odd, can stop an image.

Pillow's own reader follows every tag of the file's directory; this one skips the tags it does not need.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

Order = Literal["little", "big"]
ORDERS: dict[bytes, Order] = {b"II*\0": "little", b"MM\0*": "big"}  # first bytes of a TIFF, which EXIF is
ORIENTATION = 0x0112
SIZES = {1: 1, 3: 2, 4: 4}  # bytes of TIFF's whole numbers: BYTE, SHORT, LONG
# Tags that say how a TIFF stores its pixels: size, bits, compression, colours, strips, tiles, palette, JPEG tables
PIXEL_TAGS = {
    254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 338, 339, 347, 512, 513,
    514, 519, 520, 521, 529, 530, 531, 532,
}  # fmt: skip
PREFIX = b"Exif\0\0"
KEPT = (0xE0, 0xEE)  # of JPEG's application segments: JFIF's, and Adobe's, which says how colours are stored
AVIF_EXIF = re.compile(rb"((?:\0\0\0\0|Exif\0\0)(?:II\*\0\x08\0\0\0|MM\0\*\0\0\0\x08))..", re.DOTALL)


def read_orientation(exif: Any, xmp: Any = None) -> int:
    """1 to 8; 1, upright, where neither says. `exif` begins with its prefix or with TIFF's header; both may be anything."""
    stored = _from_directory(exif.removeprefix(PREFIX)) if isinstance(exif, bytes) else None
    if stored is None and isinstance(xmp, bytes | str):
        stored = _from_xmp(xmp)
    return stored if stored is not None and 1 <= stored <= 8 else 1


def _from_directory(tiff: bytes) -> int | None:
    """The tag's value in the first directory; None if there is none, or none that is a whole number."""
    if (order := ORDERS.get(tiff[:4])) is None:
        return None
    for entry in _entries(tiff, order):
        tag, kind, count = (int.from_bytes(entry[a:b], order) for a, b in ((0, 2), (2, 4), (4, 8)))
        if tag == ORIENTATION and count == 1 and kind in SIZES:
            return int.from_bytes(entry[8 : 8 + SIZES[kind]], order)
    return None


def _entries(tiff: bytes, order: Order) -> Iterator[bytes]:
    """The entries of the first directory, 12 bytes each, as far as the file goes."""
    first = int.from_bytes(tiff[4:8], order)
    for number in range(int.from_bytes(tiff[first : first + 2], order)):
        entry = tiff[first + 2 + 12 * number :][:12]
        if len(entry) < 12:
            return
        yield entry


def _from_xmp(xmp: bytes | str) -> int | None:
    text = xmp.decode("latin-1") if isinstance(xmp, bytes) else xmp
    match = re.search(r'tiff:Orientation(?:="|>)([0-9])', text)
    return int(match[1]) if match else None


def from_hex(text: Any) -> bytes | None:
    """EXIF as some writers put it into a PNG: three lines of description, then hexadecimal digits."""
    try:
        return bytes.fromhex("".join(text.split("\n")[3:]))
    except (AttributeError, ValueError):
        return None


def find(content: bytes) -> bytes | None:
    """The EXIF block of a JPEG or a TIFF, which is itself one."""
    if content[:4] in ORDERS:
        return content
    return next((body for marker, body in _segments(content) if marker == 0xE1 and body.startswith(PREFIX)), None)


def remove(content: bytes) -> bytes | None:
    """The file without what does not describe its pixels; None if there is no such thing, or for other formats."""
    if content[:4] in ORDERS:
        plain = _remove_tags(content)
    elif content[4:8] == b"ftyp":
        plain = AVIF_EXIF.sub(rb"\1\0\0", content, count=1)  # a directory without entries
    else:
        plain = _remove_segments(content)
    return plain if plain != content else None


def _remove_segments(jpeg: bytes) -> bytes:
    start, parts = 2, [jpeg[:2]]
    for marker, body in _segments(jpeg):
        end = start + 4 + len(body)
        if not 0xE0 <= marker <= 0xEF or marker in KEPT:
            parts.append(jpeg[start:end])
        start = end
    return b"".join(parts) + jpeg[start:]


def _remove_tags(tiff: bytes) -> bytes:
    """The first directory with the tags of PIXEL_TAGS alone, at its place; other directories, hence images, are cut off."""
    order = ORDERS[tiff[:4]]
    first = int.from_bytes(tiff[4:8], order)
    entries = [entry for entry in _entries(tiff, order) if int.from_bytes(entry[:2], order) in PIXEL_TAGS]
    directory = len(entries).to_bytes(2, order) + b"".join(entries) + bytes(4)
    return tiff[:first] + directory + tiff[first + len(directory) :]


def _segments(content: bytes) -> list[tuple[int, bytes]]:
    """(marker, content) of the segments of a JPEG that follow one another from its beginning."""
    segments, at = [], 2
    while content.startswith(b"\xff\xd8") and content[at : at + 1] == b"\xff" and 0xC0 <= content[at + 1] <= 0xFE:
        size = int.from_bytes(content[at + 2 : at + 4])
        if content[at + 1] == 0xDA or size < 2 or at + 2 + size > len(content):
            break
        segments.append((content[at + 1], content[at + 4 : at + 2 + size]))
        at += 2 + size
    return segments
