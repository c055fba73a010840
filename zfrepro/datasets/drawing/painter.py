"""The common painter: lays one part after another on a picture, anti-aliased, textured and lit.

A picture is a 3 x height x width float32 array, 0 to 255. Work is done in each part's bounding box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from zfrepro.datasets.drawing import textures
from zfrepro.datasets.drawing.palette import Colour
from zfrepro.datasets.drawing.parts import Paint
from zfrepro.datasets.drawing.shapes import Outline

FINE = 4  # outlines are filled at this multiple of the picture's resolution, then averaged
FAR = 1 << 14  # a multiple of every tile's side: keeps texel numbers positive, so truncation is floor
TEXELS = 72  # of the finest tile, for one object unit


@dataclass(frozen=True)
class Setting:
    """Shared by all parts of one object: colours, light and the map from pixels to object units."""

    colours: dict[str, Colour]
    light: tuple[float, float]  # unit vector towards the light, in pixels
    to_units: np.ndarray  # 2 x 2, object units per pixel
    origin: tuple[float, float]  # texture offset in texels
    strength: float = 1.0  # of the relief


def paint(picture: np.ndarray, outline: Outline, coat: Paint, setting: Setting) -> None:
    """Lay one part on the picture. The outline is in pixels."""
    low, high = outline.min(0), outline.max(0)
    bulge = float(np.clip(0.3 * (high - low).min(), 0.6, 10))
    pad = math.ceil(bulge) + 1
    x0, y0, x1, y1 = _window(low, high, picture.shape)
    if x1 <= x0 or y1 <= y0:
        return
    mask = _fill(outline, x0 - pad, y0 - pad, x1 - x0 + 2 * pad, y1 - y0 + 2 * pad)
    shade = _shade(mask, bulge, pad, setting.light, coat.relief * setting.strength)
    alpha = np.asarray(mask, np.float32)[pad:-pad, pad:-pad] * np.float32(1 / 255)
    ink = _ink(coat, setting, x0, y0, x1, y1)
    under = picture[:, y0:y1, x0:x1]
    under += alpha * (ink * shade - under)


def cast_shadow(picture: np.ndarray, outlines: list[Outline], light: tuple[float, float], reach: float) -> None:
    """Darken the picture softly where the outlines keep the light away. Reach in pixels."""
    height, width = picture.shape[1:]
    mask = Image.new("L", (width // 2, height // 2))
    pen = ImageDraw.Draw(mask)
    shift = (-reach * light[0], -reach * light[1] + 0.4 * reach)
    for outline in outlines:
        pen.polygon(((outline + shift) * 0.5).ravel().tolist(), fill=130)
    soft = mask.filter(ImageFilter.BoxBlur(max(0.5, reach / 3))).resize((width, height), Image.Resampling.BILINEAR)
    picture *= 1 - np.asarray(soft, np.float32) * np.float32(1 / 255)


def sample(
    name: str, matrix: np.ndarray, origin: tuple[float, float], x0: int, y0: int, x1: int, y1: int
) -> np.ndarray:
    """The tile as seen through a 2 x 2 matrix (texels per pixel), over a rectangle of pixels."""
    (a, b), (c, d) = matrix.tolist()
    step = math.sqrt(abs(a * d - b * c))
    level = min(3, max(0, round(math.log2(max(step, 1e-3)))))
    tile, side, shrink = textures.tiles(name)[level], textures.SIDE >> level, 0.5**level
    x, y = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)[:, None]
    u = _texel((a * shrink) * x + (origin[0] * shrink + FAR), (b * shrink) * y) & (side - 1)
    v = _texel((c * shrink) * x + (origin[1] * shrink + FAR), (d * shrink) * y) & (side - 1)
    v *= side
    v += u
    return tile.ravel().take(v)


def _texel(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    return (across + down).astype(np.int32)


def _window(low: np.ndarray, high: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    x0, y0 = (max(0, math.floor(v)) for v in low)
    return x0, y0, min(shape[2], math.ceil(high[0])), min(shape[1], math.ceil(high[1]))


def _fill(outline: Outline, x0: int, y0: int, width: int, height: int) -> Image.Image:
    mask = Image.new("L", (width * FINE, height * FINE))
    ImageDraw.Draw(mask).polygon(((outline - (x0, y0)) * FINE).ravel().tolist(), fill=255)
    return mask.reduce(FINE)


def _shade(mask: Image.Image, bulge: float, pad: int, light: tuple[float, float], relief: float) -> np.ndarray:
    """Brighter where the blurred mask falls towards the light, darker at the rim."""
    soft = np.asarray(mask.filter(ImageFilter.BoxBlur(bulge)), np.float32) * np.float32(1 / 255)
    dx, dy = (round(0.8 * bulge * c) for c in light)
    height, width = soft.shape[0] - 2 * pad, soft.shape[1] - 2 * pad
    away = soft[pad - dy : pad - dy + height, pad - dx : pad - dx + width]
    toward = soft[pad + dy : pad + dy + height, pad + dx : pad + dx + width]
    middle = soft[pad:-pad, pad:-pad]
    return 0.62 + 0.4 * middle + np.float32(0.55 * relief) * (away - toward)


def _ink(coat: Paint, setting: Setting, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    first = setting.colours[coat.slot]
    second = setting.colours[coat.other] if coat.other else first * np.float32(0.55)
    matrix = setting.to_units * (TEXELS / coat.grain)
    mix = sample(coat.texture, matrix, setting.origin, x0, y0, x1, y1)
    return first[:, None, None] + (second - first)[:, None, None] * mix
