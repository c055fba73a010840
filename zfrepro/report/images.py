"""Images in fewer bytes, for the page, for print and as files: the same pixels, losses too small to see, and always the
same bytes for the same image.

Plots have palette colours and stay sharp in a palette; photographs and projections are stored as WebP or JPEG. The kind of an
image is not guessed: each format is tried, the loss of the palette is measured, and the smallest result wins.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

WEBP, JPEG = 82, 80  # quality of a lossy image on a screen and on paper
WEBP_GRAIN, JPEG_GRAIN = 50, 60  # and of one that takes more bytes per pixel than GRAIN: its grain hides the loss
GRAIN = 0.1
WEBP_BYTES, JPEG_BYTES = 54_000, 62_000  # of one image, where a quality down to LEAST allows it
LEAST, STEP = 30, 5  # quality
EXACT = 1.4  # a lossless image may take this many times the bytes: its text stays sharp
MIN_PSNR = 34.0  # dB, of an image with a palette
PATCH, DRIFT = 8, 14.0  # pixels, levels of 255: largest change of the mean of any patch by a palette
COLOURS, COMMON = 256, 16  # of a palette; how many of them are the image's most common colours, unchanged
ROUNDS = 6  # of k-means
CUBE_CELLS = 64**3  # cells of the colour cube
CELLS = 16_000  # an image with colours in more of them counts as a photograph, which saves time
SPARSE = 0.05  # bytes per pixel; below it, an image with a palette is not tried with losses
LARGE = 2  # times the bytes of the lossy image: for a larger PNG no lossless WebP is tried
FILE = 340_000  # bytes; a figure's file above that loses pixels too
CARD = 0.75, 360  # ratio and pixels of one whose parts are files of their own: its upper part, for the cards of a site
EFFORT = 6  # of zlib: 9 saves 4 % of the bytes for five times the seconds
WEBP_EFFORT = {
    "lossless": True,
    "method": 2,
    "quality": 50,
}  # quality 75, the default, saves 3 % for half as many seconds again
LOSSY_EFFORT = {"WEBP": {"method": 2}, "JPEG": {}}  # method 4, the default, saves 3 % for twice the seconds
PNG = "image/png"


@dataclass(frozen=True)
class Coded:
    """An image file and its type."""

    content: bytes
    mime: str

    def text(self) -> str:
        """The file as base64."""
        return base64.b64encode(self.content).decode("ascii")


@dataclass(frozen=True)
class SourceImage:
    """A PNG; if it is opaque, also as RGB, and with a palette if that loses nothing visible."""

    png: bytes
    picture: Image.Image | None
    palette: Image.Image | None
    palette_png: bytes = b""

    def exact(self) -> list[Coded]:
        """As PNG: as it was, and with a palette."""
        return [Coded(self.png, PNG), *([Coded(self.palette_png, PNG)] if self.palette else [])]


def open_png(png: bytes) -> SourceImage:
    """Raises OSError for a damaged image. One with colours in more than CELLS cells gets no palette."""
    picture = _opaque(png)
    palette = picture and reduce_colours(picture, CELLS)
    indexed = Image.open(io.BytesIO(png)).mode == "P"
    return SourceImage(png, picture, palette, b"" if palette is None else png if indexed else _png(palette).content)


def for_page(source: SourceImage) -> Coded:
    """PNG or WebP with the same pixels."""
    if source.picture is None:
        return Coded(source.png, PNG)
    exact = source.exact()
    if source.palette:
        exact.append(_encode(source.palette.convert("RGB"), "WEBP", **WEBP_EFFORT))
        if len(source.palette_png) < SPARSE * math.prod(source.palette.size):
            return min(exact, key=_size)
    lossy = _lossy(source.picture, "WEBP", WEBP_GRAIN, WEBP, WEBP_BYTES)
    if source.palette is None and len(source.png) < LARGE * len(lossy.content):
        exact.append(_encode(source.picture, "WEBP", **WEBP_EFFORT))
    return _choose(exact, lossy)


def for_print(source: SourceImage) -> Coded:
    """PNG or JPEG with the same pixels."""
    if source.picture is None:
        return Coded(source.png, PNG)
    return _choose(source.exact(), _lossy(source.picture, "JPEG", JPEG_GRAIN, JPEG, JPEG_BYTES))


def for_card(source: SourceImage) -> bytes:
    """PNG of the upper part, see CARD, with a palette; as it is where that would lose transparency."""
    if source.picture is None:
        return source.png
    return _png(with_palette(upper_part(source.picture, *CARD))).content


def for_file(source: SourceImage, largest: int = FILE) -> bytes:
    """PNG with the same pixels, fewer if it would be larger than `largest` bytes."""
    source, picture = _with_palette_of_photograph(source), source.picture
    best = min(source.exact(), key=_size).content
    while picture is not None and len(best) > largest:
        step = min(0.95, (0.88 * largest / len(best)) ** 0.5)
        picture = picture.resize([max(1, round(step * size)) for size in picture.size], Image.Resampling.LANCZOS)
        best = min(best, _png(with_palette(picture) if source.palette else picture).content, key=len)
    return best


def _with_palette_of_photograph(source: SourceImage) -> SourceImage:
    """With a palette if that loses nothing visible, for photographs too."""
    palette = source.palette or (source.picture and reduce_colours(source.picture))
    return (
        replace(source, palette=palette, palette_png=source.palette_png or _png(palette).content) if palette else source
    )


def upper_part(picture: Image.Image, ratio: float, width: int) -> Image.Image:
    """As RGB, at most `ratio` x its width high, cut at the bottom, and at most `width` pixels wide."""
    picture = picture.convert("RGB")
    picture = picture.crop((0, 0, picture.width, min(picture.height, round(ratio * picture.width))))
    picture.thumbnail((width, picture.height), Image.Resampling.LANCZOS)
    return picture


def reduce_colours(picture: Image.Image, cells: int = CUBE_CELLS) -> Image.Image | None:
    """An RGB image with a palette of COLOURS; None if the loss is visible, or for colours in more cells than given."""
    pixels = np.asarray(picture)
    if np.count_nonzero(np.bincount(_cells(pixels).ravel(), minlength=CUBE_CELLS)) > cells:
        return None
    reduced = with_palette(picture)
    return reduced if _looks_equal(pixels, np.asarray(reduced.convert("RGB"))) else None


def with_palette(picture: Image.Image) -> Image.Image:
    """An RGB image with a palette of COLOURS: its own colours if it has no more."""
    pixels = np.asarray(picture).astype(np.uint32)
    packed = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    colours, counts = np.unique(packed, return_counts=True)
    if len(colours) <= COLOURS:
        return _index(np.searchsorted(colours, packed), _unpack(colours))
    common = colours[np.argsort(counts, kind="stable")[-COMMON:]]
    centres, nearest = _clusters(_unpack(colours), counts, COLOURS - COMMON)
    table = np.zeros(CUBE_CELLS, dtype=np.uint8)
    table[_cells(_unpack(colours))] = nearest
    index = table[_cells(pixels)] + COMMON
    for i, colour in enumerate(common):
        index[packed == colour] = i
    return _index(index, np.concatenate([_unpack(common), centres]))


def _unpack(colours: np.ndarray) -> np.ndarray:
    """Packed colours (N,) -> (N, 3) uint8."""
    return np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=-1).astype(np.uint8)


def _cells(colours: np.ndarray) -> np.ndarray:
    """(..., 3) levels -> which of 64**3 cells of the colour cube each lies in."""
    parts = colours.astype(np.uint32) >> 2
    return parts[..., 0] << 12 | parts[..., 1] << 6 | parts[..., 2]


def _clusters(colours: np.ndarray, counts: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """k-means over the cells that hold colours: centres (K, 3) uint8 and the centre of each of the N colours, (N,).

    A cell is weighted by the square root of its pixels, so that small objects keep their colours. Instead of Pillow's
    `quantize`, which loses 2 dB on photographs or takes 40 s with k-means, and of scikit-learn, whose import takes 1 s.
    """
    _, cell = np.unique(_cells(colours), return_inverse=True)
    filled = np.bincount(cell, weights=counts)
    means = np.stack([np.bincount(cell, weights=counts * colours[:, i]) / filled for i in range(3)], axis=1)
    means = means.astype(np.float32)
    weights, centres = np.sqrt(filled), _initial_centres(means, count)
    for _ in range(ROUNDS):
        nearest = _nearest_centres(means, centres)
        mass = np.bincount(nearest, weights=weights, minlength=len(centres))
        for i in range(3):
            sums = np.bincount(nearest, weights=weights * means[:, i], minlength=len(centres))
            centres[:, i] = np.where(mass > 0, sums / np.maximum(mass, 1e-9), centres[:, i])
    return np.round(centres).astype(np.uint8), _nearest_centres(means, centres)[cell]


def _initial_centres(means: np.ndarray, count: int) -> np.ndarray:
    """Initial centres, each the farthest from those before it, so that every colour is near one of them."""
    chosen, distance = [], np.full(len(means), np.inf, dtype=np.float32)
    for _ in range(min(count, len(means))):
        chosen.append(int(distance.argmax()))
        offset = means - means[chosen[-1]]
        np.minimum(distance, np.einsum("ij,ij->i", offset, offset), out=distance)
    return means[chosen]


def _nearest_centres(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return np.argmin((centres**2).sum(axis=1) - 2 * points @ centres.T, axis=1)


def _index(index: np.ndarray, colours: np.ndarray) -> Image.Image:
    """index: (H, W); colours: (K, 3) uint8, K at most 256."""
    picture = Image.fromarray(index.astype(np.uint8))
    picture.putpalette(colours.tobytes())
    return picture


def _looks_equal(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two (H, W, 3) images differ little, as a whole and in the mean of every patch, where no grain hides it."""
    error = second.astype(np.float32) - first.astype(np.float32)
    if 10 * np.log10(255**2 / max(float((error**2).mean()), 1e-9)) < MIN_PSNR:
        return False
    high, wide = (size // PATCH * PATCH for size in error.shape[:2])
    patches = error[:high, :wide].reshape(high // PATCH, PATCH, wide // PATCH, PATCH, 3).mean(axis=(1, 3))
    return bool((np.abs(patches) <= DRIFT).all())


def _opaque(png: bytes) -> Image.Image | None:
    """As RGB; None if a palette or JPEG would lose transparency or depth."""
    picture = Image.open(io.BytesIO(png))
    picture.load()
    if picture.mode not in ("1", "L", "P", "RGB", "RGBA"):
        return None
    if picture.has_transparency_data and picture.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        return None
    return picture.convert("RGB")


def _choose(exact: list[Coded], lossy: Coded) -> Coded:
    smallest = min(exact, key=_size)
    return smallest if _size(smallest) <= EXACT * _size(lossy) else lossy


def _size(image: Coded) -> int:
    return len(image.content)


def _lossy(picture: Image.Image, kind: str, low: int, high: int, largest: int) -> Coded:
    """Of low quality if the image is grainy, else of high quality; of a lower one where it would take more bytes than `largest`."""
    effort = LOSSY_EFFORT[kind]
    encoded = _encode(picture, kind, quality=low, **effort)
    if _size(encoded) <= GRAIN * math.prod(picture.size):
        low, encoded = high, _encode(picture, kind, quality=high, **effort)
    while _size(encoded) > largest and low - STEP >= LEAST:
        low -= STEP
        encoded = _encode(picture, kind, quality=low, **effort)
    return encoded


def _png(picture: Image.Image) -> Coded:
    return _encode(picture, "PNG", compress_level=EFFORT)


def _encode(picture: Image.Image, kind: str, **options: Any) -> Coded:
    file = io.BytesIO()
    picture.save(file, format=kind, **options)
    return Coded(file.getvalue(), f"image/{kind.lower()}")
