"""One picture: ground, clutter behind, the object in a random pose, sometimes something in front, then the camera."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter

from zfrepro.datasets.base import Box, Picture
from zfrepro.datasets.drawing import backdrop, palette, textures
from zfrepro.datasets.drawing.dice import Dice
from zfrepro.datasets.drawing.painter import Setting, cast_shadow, paint
from zfrepro.datasets.drawing.parts import Part
from zfrepro.datasets.drawing.shapes import Outline, bounds

TURN = math.radians(20)  # largest rotation to either side
SCALE = (0.6, 0.95)  # longer side of the object, in parts of the picture
MIRRORED = {"left": "right", "right": "left"}


def draw(parts: list[Part], dice: Dice, size: int) -> Picture:
    """The parts as an object in a scene of its own. Boxes are in pixels of the picture."""
    pose, mirrored = _pose(dice)
    placed, to_units = _place([p.outline for p in parts], pose, dice, size)
    light = _light(dice)
    picture = backdrop.ground(dice, size)
    _clutter(dice, picture, light, dice.count(2, 6))
    cast_shadow(picture, placed, light, size * dice.between(0.02, 0.06))
    setting = Setting(palette.scheme(dice), light, to_units, _origin(dice), dice.between(0.8, 1.2))
    for p, outline in zip(parts, placed, strict=True):
        paint(picture, outline, p.paint, setting)
    boxes = _part_boxes(parts, placed, mirrored, size)
    whole = _clip(bounds(placed), size)
    if dice.chance(0.4):
        _occlude(dice, picture, light, whole, boxes)
    return Picture(_camera(dice, picture), whole, boxes)


def _pose(dice: Dice) -> tuple[np.ndarray, bool]:
    """A 2 x 2 matrix: mirror, stretch and shear, then a turn."""
    mirrored, turn = dice.chance(0.5), dice.between(-TURN, TURN)
    stretch = dice.near(1, 0.13)
    shape = np.array([[stretch * (-1 if mirrored else 1), dice.between(-0.12, 0.12)], [0, 1 / stretch]])
    c, s = math.cos(turn), math.sin(turn)
    return np.array([[c, -s], [s, c]]) @ shape, mirrored


def _place(outlines: list[Outline], pose: np.ndarray, dice: Dice, size: int) -> tuple[list[Outline], np.ndarray]:
    """Outlines in pixels, the whole object inside the picture; and the matrix from pixels to object units."""
    everything = np.concatenate(outlines)
    points = (everything + _wobble(everything, dice)) @ pose.T
    low, high = points.min(0), points.max(0)
    scale = size * dice.between(*SCALE) / float((high - low).max())
    room = size - 2 - (high - low) * scale
    corner = 1 + room * (dice.rng.random(), dice.rng.random())
    pixels = (points - low) * scale + corner
    cuts = np.cumsum([len(o) for o in outlines])[:-1]
    return np.split(pixels, cuts), np.linalg.inv(pose * scale)


def _wobble(points: np.ndarray, dice: Dice) -> np.ndarray:
    """A slow wave through the object, so that no two outlines are alike."""
    phase = dice.rng.random(2) * 2 * math.pi
    rate = 1.2 + 1.4 * dice.rng.random(2)
    return 0.035 * np.sin(points[:, ::-1] * rate + phase)


def _light(dice: Dice) -> tuple[float, float]:
    """Towards the light: from above, left or right."""
    angle = dice.between(-0.9, -0.1) * math.pi
    return math.cos(angle), math.sin(angle)


def _origin(dice: Dice) -> tuple[float, float]:
    return dice.between(0, 256), dice.between(0, 256)


def _clutter(dice: Dice, picture: np.ndarray, light: tuple[float, float], count: int) -> None:
    size = picture.shape[1]
    setting = Setting(palette.scheme(dice), light, np.eye(2) * 2.4 / size, _origin(dice))
    for _ in range(count):
        setting = replace(setting, origin=_origin(dice))
        middle = (dice.between(0, size), dice.between(0, size))
        backdrop.odd_thing(dice, picture, middle, size * dice.between(0.04, 0.13), setting)


def _occlude(dice: Dice, picture: np.ndarray, light: tuple[float, float], whole: Box, boxes: dict[str, Box]) -> None:
    """Something in front of the object's rim, where it hides none of the named parts."""
    size, radius = picture.shape[1], picture.shape[1] * dice.between(0.05, 0.11)
    setting = Setting(palette.scheme(dice), light, np.eye(2) * 2.4 / size, _origin(dice))
    for _ in range(4):
        angle = dice.between(0, 2 * math.pi)
        half = ((whole[2] - whole[0]) / 2, (whole[3] - whole[1]) / 2)
        middle = (whole[0] + half[0] * (1 + 0.8 * math.cos(angle)), whole[1] + half[1] * (1 + 0.8 * math.sin(angle)))
        if not any(_hides(middle, radius, box) for box in boxes.values()):
            return backdrop.odd_thing(dice, picture, middle, radius, setting)


def _hides(middle: tuple[float, float], radius: float, box: Box) -> bool:
    """Whether a square of that radius covers more than a third of the box."""
    w = min(box[2], middle[0] + radius) - max(box[0], middle[0] - radius)
    h = min(box[3], middle[1] + radius) - max(box[1], middle[1] - radius)
    return w > 0 and h > 0 and w * h > 0.33 * (box[2] - box[0]) * (box[3] - box[1])


def _part_boxes(parts: list[Part], placed: list[Outline], mirrored: bool, size: int) -> dict[str, Box]:
    """One box for each name; parts that share a name are one part. Mirroring swaps left and right."""
    found: dict[str, list[Outline]] = {}
    for p, outline in zip(parts, placed, strict=True):
        if p.name:
            found.setdefault(_own_side(p.name, mirrored), []).append(outline)
    return {name: _clip(bounds(outlines), size) for name, outlines in found.items()}


def _own_side(name: str, mirrored: bool) -> str:
    first, _, rest = name.partition(" ")
    return f"{MIRRORED[first]} {rest}" if mirrored and first in MIRRORED else name


def _clip(box: Box, size: int) -> Box:
    return tuple(min(max(v, 0.0), float(size)) for v in box)


def _camera(dice: Dice, picture: np.ndarray) -> Image.Image:
    """Exposure, contrast, film grain and, now and then, a slight blur."""
    size = picture.shape[1]
    gain, lift = dice.between(0.8, 1.2), dice.between(-14, 14)
    picture -= 128
    picture *= gain
    picture += 128 + lift
    y, x = dice.count(0, 255), dice.count(0, 255)
    picture += textures.film_grain(size + 255)[:, y : y + size, x : x + size] * np.float32(dice.between(1, 6))
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8).transpose(1, 2, 0).copy())
    return image.filter(ImageFilter.BoxBlur(0.4)) if dice.chance(0.3) else image
