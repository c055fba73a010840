"""One picture: ground, clutter behind, the object in a random pose, sometimes something in front, then the camera.

Or several objects, one larger than the others, each in a square of its own.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter

from zfrepro.datasets.base import Box, DecodedImage
from zfrepro.datasets.drawing import backdrop, palette, textures
from zfrepro.datasets.drawing.painter import Setting, cast_shadow, paint
from zfrepro.datasets.drawing.parts import Part
from zfrepro.datasets.drawing.rng import Rng
from zfrepro.datasets.drawing.shapes import Outline, bounds

TURN = math.radians(20)  # largest rotation to either side
SCALE = (0.6, 0.95)  # longer side of the object, as a fraction of the picture
# Of several objects: side of the largest one's square, as a fraction of the picture; the others get the rest
LARGEST = (0.56, 0.62)
FILLS = {
    "first": (0.8, 1.0),
    "other": (0.7, 0.95),
    "small": (0.3, 0.4),
}  # longer side of each, as a fraction of its square
Square = tuple[float, float, float]  # left, top, side in pixels
MIRRORED = {"left": "right", "right": "left"}


def draw(parts: list[Part], rng: Rng, size: int) -> DecodedImage:
    """One object, given by its parts, in a scene. Boxes in pixels."""
    pose, mirrored = _pose(rng)
    outlines, to_units = _place([p.outline for p in parts], pose, rng, (0, 0, size), SCALE)
    light = _light(rng)
    picture = backdrop.ground(rng, size)
    _clutter(rng, picture, light, rng.count(2, 6))
    _lay(parts, outlines, to_units, rng, picture, light, size)
    boxes = _part_boxes(parts, outlines, mirrored, size)
    box = _clip(bounds(outlines), size)
    if rng.chance(0.4):
        _occlude(rng, picture, light, box, boxes)
    return DecodedImage(_camera(rng, picture), box, boxes)


def draw_several(objects: list[list[Part]], small: list[bool], rng: Rng, size: int) -> tuple[Image.Image, list[Box]]:
    """One to four objects, each a list of parts, in one scene; the first is the largest. Their boxes, in pixels."""
    light = _light(rng)
    picture = backdrop.ground(rng, size)
    _clutter(rng, picture, light, rng.count(2, 6))
    squares = _squares(rng, size)[: len(objects)] if len(objects) > 1 else [(0, 0, size)]
    boxes = []
    for i, (parts, square, is_small) in enumerate(zip(objects, squares, small, strict=True)):
        fill = SCALE if len(objects) == 1 else FILLS["small" if is_small else "other" if i else "first"]
        outlines, to_units = _place([p.outline for p in parts], _pose(rng)[0], rng, square, fill)
        _lay(parts, outlines, to_units, rng, picture, light, square[2])
        boxes.append(_clip(bounds(outlines), size))
    return _camera(rng, picture), boxes


def _squares(rng: Rng, size: int) -> list[Square]:
    """A large square in a corner of the picture and, in random order, three in the corners left; none overlap."""
    large = size * rng.between(*LARGEST)
    side = size - large
    slack = (size - 2 * side) * rng.generator.random(2)
    around = [(large, slack[0], side), (slack[1], large, side), (large, large, side)]
    around = [around[i] for i in rng.generator.permutation(3)]
    mirrored, turned = rng.chance(0.5), rng.chance(0.5)
    return [
        (size - side - x if mirrored else x, size - side - y if turned else y, side)
        for x, y, side in [(0, 0, large), *around]
    ]


def _lay(
    parts: list[Part], outlines: list[Outline], to_units: np.ndarray, rng: Rng,
    picture: np.ndarray, light: tuple[float, float], side: float,
) -> None:  # fmt: skip
    """Paint an object and its shadow, whose length goes with `side`, pixels."""
    cast_shadow(picture, outlines, light, side * rng.between(0.02, 0.06))
    setting = Setting(palette.scheme(rng), light, to_units, _origin(rng), rng.between(0.8, 1.2))
    for p, outline in zip(parts, outlines, strict=True):
        paint(picture, outline, p.paint, setting)


def _pose(rng: Rng) -> tuple[np.ndarray, bool]:
    """A 2 x 2 matrix: mirror, stretch and shear, then a turn."""
    mirrored, turn = rng.chance(0.5), rng.between(-TURN, TURN)
    stretch = rng.near(1, 0.13)
    shape = np.array([[stretch * (-1 if mirrored else 1), rng.between(-0.12, 0.12)], [0, 1 / stretch]])
    c, s = math.cos(turn), math.sin(turn)
    return np.array([[c, -s], [s, c]]) @ shape, mirrored


def _place(
    outlines: list[Outline], pose: np.ndarray, rng: Rng, square: Square, fill: tuple[float, float]
) -> tuple[list[Outline], np.ndarray]:
    """Outlines in pixels, the whole object inside the square; and the matrix from pixels to object units."""
    left, top, side = square
    everything = np.concatenate(outlines)
    points = (everything + _wobble(everything, rng)) @ pose.T
    low, high = points.min(0), points.max(0)
    scale = side * rng.between(*fill) / float((high - low).max())
    room = np.maximum(side - 2 - (high - low) * scale, 0)
    corner = (left, top) + (1 + room * (rng.generator.random(), rng.generator.random()))
    pixels = (points - low) * scale + corner
    cuts = np.cumsum([len(o) for o in outlines])[:-1]
    return np.split(pixels, cuts), np.linalg.inv(pose * scale)


def _wobble(points: np.ndarray, rng: Rng) -> np.ndarray:
    """A slow wave through the object, so that no two outlines are the same."""
    phase = rng.generator.random(2) * 2 * math.pi
    rate = 1.2 + 1.4 * rng.generator.random(2)
    return 0.035 * np.sin(points[:, ::-1] * rate + phase)


def _light(rng: Rng) -> tuple[float, float]:
    """Towards the light: from above, left or right."""
    angle = rng.between(-0.9, -0.1) * math.pi
    return math.cos(angle), math.sin(angle)


def _origin(rng: Rng) -> tuple[float, float]:
    return rng.between(0, 256), rng.between(0, 256)


def _clutter(rng: Rng, picture: np.ndarray, light: tuple[float, float], count: int) -> None:
    size = picture.shape[1]
    setting = Setting(palette.scheme(rng), light, np.eye(2) * 2.4 / size, _origin(rng))
    for _ in range(count):
        setting = replace(setting, origin=_origin(rng))
        middle = (rng.between(0, size), rng.between(0, size))
        backdrop.paint_odd_shape(rng, picture, middle, size * rng.between(0.04, 0.13), setting)


def _occlude(rng: Rng, picture: np.ndarray, light: tuple[float, float], object_box: Box, boxes: dict[str, Box]) -> None:
    """Paint a shape over the object's rim, where it hides none of the named parts."""
    size, radius = picture.shape[1], picture.shape[1] * rng.between(0.05, 0.11)
    setting = Setting(palette.scheme(rng), light, np.eye(2) * 2.4 / size, _origin(rng))
    for _ in range(4):
        angle = rng.between(0, 2 * math.pi)
        half = ((object_box[2] - object_box[0]) / 2, (object_box[3] - object_box[1]) / 2)
        middle = (
            object_box[0] + half[0] * (1 + 0.8 * math.cos(angle)),
            object_box[1] + half[1] * (1 + 0.8 * math.sin(angle)),
        )
        if not any(_hides(middle, radius, box) for box in boxes.values()):
            return backdrop.paint_odd_shape(rng, picture, middle, radius, setting)


def _hides(middle: tuple[float, float], radius: float, box: Box) -> bool:
    """Whether a square of that radius covers more than a third of the box."""
    w = min(box[2], middle[0] + radius) - max(box[0], middle[0] - radius)
    h = min(box[3], middle[1] + radius) - max(box[1], middle[1] - radius)
    return w > 0 and h > 0 and w * h > 0.33 * (box[2] - box[0]) * (box[3] - box[1])


def _part_boxes(parts: list[Part], placed: list[Outline], mirrored: bool, size: int) -> dict[str, Box]:
    """One box for each name; parts that share a name are one part. Mirroring swaps left and right."""
    outlines: dict[str, list[Outline]] = {}
    for p, outline in zip(parts, placed, strict=True):
        if p.name:
            outlines.setdefault(_own_side(p.name, mirrored), []).append(outline)
    return {name: _clip(bounds(part), size) for name, part in outlines.items()}


def _own_side(name: str, mirrored: bool) -> str:
    first, _, remainder = name.partition(" ")
    return f"{MIRRORED[first]} {remainder}" if mirrored and first in MIRRORED else name


def _clip(box: Box, size: int) -> Box:
    x0, y0, x1, y1 = (min(max(edge, 0.0), float(size)) for edge in box)
    return x0, y0, x1, y1


def _camera(rng: Rng, picture: np.ndarray) -> Image.Image:
    """Apply exposure, contrast, film grain and sometimes a slight blur."""
    size = picture.shape[1]
    gain, lift = rng.between(0.8, 1.2), rng.between(-14, 14)
    picture -= 128
    picture *= gain
    picture += 128 + lift
    y, x = rng.count(0, 255), rng.count(0, 255)
    picture += textures.film_grain(size + 255)[:, y : y + size, x : x + size] * np.float32(rng.between(1, 6))
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8).transpose(1, 2, 0).copy())
    return image.filter(ImageFilter.BoxBlur(0.4)) if rng.chance(0.3) else image
