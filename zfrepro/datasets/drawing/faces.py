"""Animal faces seen from the front: one builder, and a table of each animal's shapes and coats.

The viewer's right half is given; x > 0 is the animal's own left. Named parts: right eye, left eye, nose, ears, muzzle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from zfrepro.datasets.drawing.parts import Paint, Part, eye, line, pair, part
from zfrepro.datasets.drawing.rng import Rng
from zfrepro.datasets.drawing.shapes import (
    Outline,
    curve,
    ellipse,
    mirror,
    moved,
    petal,
    poly,
    ring,
    rounded,
    smooth,
    star,
    stroke,
    symmetric,
)

Extra = list[Part]


@dataclass(frozen=True)
class Face:
    """Shapes of one animal's head, right half as seen; None if it has no such part."""

    head: Outline
    ear: Outline | None
    nose: Outline
    eye: tuple[float, float, float]  # x, y, radius
    coats: tuple[Paint, ...] = (Paint(texture="fur"),)  # one is picked
    ear_coat: Paint | None = None  # None: as the head
    inner: tuple[float, float, float] | None = (0, 0.04, 0.6)  # of the ear: shift and scale of its lining
    ears_in_front: bool = False
    pupil: tuple[float, float] = (0.6, 0.6)
    iris: str = "accent"
    muzzle: Outline | None = None
    muzzle_slot: str = "light"
    nose_slot: str = "dark"
    nose_name: str = "nose"
    behind: tuple = ()  # functions of rng that draw parts behind the head,
    marks: tuple = ()  # on the coat, below eyes and nose,
    before: tuple = ()  # and over everything


def face(animal: Face, rng: Rng) -> list[Part]:
    """The parts of one head, from back to front."""
    coat = rng.pick(animal.coats)
    ears = _ears(animal, coat, rng)
    look, spread = rng.between(-0.05, 0.05), rng.near(1, 0.08)
    head = Part(animal.head * (rng.near(1, 0.07), rng.near(1, 0.07)), coat, "head")
    return [
        *_all(animal.behind, rng),
        *([] if animal.ears_in_front else ears),
        head,
        *(ears if animal.ears_in_front else []),
        *_all(animal.marks, rng),
        *_muzzle(animal, look, rng),
        *_eyes(animal, look, spread, rng),
        part(moved(animal.nose, look, 0, rng.near(1, 0.12)), animal.nose_slot, name=animal.nose_name, relief=1.6),
        *_all(animal.before, rng),
    ]


def _all(makers: tuple, rng: Rng) -> Extra:
    return [p for make in makers for p in make(rng)]


def _ears(animal: Face, coat: Paint, rng: Rng) -> Extra:
    if animal.ear is None:
        return []
    outline, paint = moved(animal.ear, 0, 0, rng.near(1, 0.12)), animal.ear_coat or coat
    outer = [Part(side, paint, f"{name} ear") for side, name in ((outline, "left"), (mirror(outline), "right"))]
    return outer + (pair(moved(outline, *animal.inner), "accent", relief=0.5) if animal.inner else [])


def _muzzle(animal: Face, look: float, rng: Rng) -> Extra:
    if animal.muzzle is None:
        return []
    return [part(moved(animal.muzzle, look, 0, rng.near(1, 0.1)), animal.muzzle_slot, "fur", "muzzle", relief=1.2)]


def _eyes(animal: Face, look: float, spread: float, rng: Rng) -> Extra:
    x, y, r = animal.eye
    r = rng.near(r, 0.12)
    style: dict[str, Any] = {"iris": animal.iris, "pupil": animal.pupil}
    return eye(x * spread + look, y, r, "left eye", **style) + eye(-x * spread + look, y, r, "right eye", **style)


def whiskers(rng: Rng, y: float = 0.3, reach: float = 0.62) -> Extra:
    lines = [[(0.16, y + 0.03 * k), (reach, y + rng.near(0.12, 0.4) * k)] for k in (-1, 0.2, 1.2)]
    return [p for points in lines for p in pair(stroke(points, 0.026, 0.012), "light", relief=0)]


def mouth(rng: Rng, y: float = 0.36, width: float = 0.2, drop: float = 0.12) -> Extra:
    half = stroke(curve((0, y), (0.1 * width, y + drop), (0.6 * width, y + drop), (width, y + 0.5 * drop)), 0.035)
    return pair(half, "dark", relief=0)


def tongue(rng: Rng, y: float = 0.6) -> Extra:
    return [part(rounded(0, y + 0.08, 0.2, rng.near(0.3), power=3), "accent", name="tongue")]


def teeth(rng: Rng, y: float = 0.56) -> Extra:
    return pair(rounded(0.055, y + 0.06, 0.1, 0.17, power=6), "light", relief=0.6)


def nostrils(rng: Rng, x: float, y: float, r: float) -> Extra:
    return pair(ellipse(x, y, r, 1.4 * r, n=12), "dark", relief=0)


def patches(outline: Outline, slot: str, texture: str = "fur"):
    """A mark on both sides of the face."""
    return lambda rng: pair(moved(outline, 0, 0, rng.near(1, 0.08)), slot, texture, relief=0.5)


def single(outline: Outline, slot: str, texture: str = "fur", name: str | None = None):
    return lambda rng: [part(moved(outline, 0, 0, rng.near(1, 0.06)), slot, texture, name, relief=0.7)]


def horns(*points, width: float = 0.2, slot: str = "light"):
    """One tapering curved horn on each side, named."""
    return lambda rng: pair(stroke(curve(*points), rng.near(width, 0.2), 0.03), slot, "ribs", "horn", grain=0.5)


def antlers(rng: Rng) -> Extra:
    beam = [(0.2, -0.5), (0.42, -0.8), (0.4, -1.15), (0.6, -1.4)]
    tines = [[(0.4, -0.8), (0.72, -0.95)], [(0.41, -1.05), (0.75, -1.2)], [(0.4, -1.15), (0.2, -1.38)]]
    limbs = [stroke(curve(*beam), 0.13, 0.06), *(stroke(t, 0.1, 0.03) for t in tines)]
    return [p for limb in limbs for p in pair(limb, "trim", name="antler")]


def mane(rng: Rng) -> Extra:
    n = rng.count(13, 17)
    outer = star(0, 0, rng.near(1.12, 0.06), 0.88, n)
    return [part(outer, "second", "fur", "mane", grain=2), part(star(0, 0, 0.94, 0.78, n), "trim", "fur", grain=2)]


def fleece(rng: Rng) -> Extra:
    n, turn = rng.count(9, 12), rng.between(0, 1)
    angles = [turn + 2 * math.pi * i / n for i in range(n)]
    curls = [ellipse(0.62 * math.cos(a), -0.16 + 0.6 * math.sin(a), rng.near(0.27), n=16) for a in angles]
    return [part(c, "light", "wool", "fleece") for c in [*curls, ellipse(0, -0.1, 0.65)]]


def forelock(rng: Rng) -> Extra:
    return [part(ellipse(x, -0.62 + 0.1 * abs(x), rng.near(0.2), n=16), "light", "wool") for x in (-0.28, 0.28, 0)]


def brow_stripes(rng: Rng) -> Extra:
    bars = [
        [(0.12, -0.62), (0.16, -0.32)],
        [(0.3, -0.6), (0.34, -0.36)],
        [(0.82, 0.05), (0.5, 0.08)],
        [(0.82, 0.3), (0.5, 0.24)],
    ]
    sides = [p for bar in bars for p in pair(stroke(bar, 0.1, 0.02), "dark", relief=0)]
    return [*sides, line([(0, -0.66), (0, -0.3)], 0.1, tip=0.02)]


def eye_discs(rng: Rng) -> Extra:
    discs = pair(ellipse(0.31, -0.14, 0.34), "light", "feathers") + pair(ring(0.31, -0.14, 0.35, 0.05), "dark")
    return discs + [part(petal(0, -0.45, 0.42, 0.3, math.pi / 2), "second", "feathers")]


def belly(rng: Rng) -> Extra:
    return [part(ellipse(0, 0.72, 0.42, 0.34), "light", "scales", "breast", grain=1.3)]


def trunk(rng: Rng) -> Extra:
    bend = rng.pick((-1, 1)) * rng.between(0.1, 0.35)
    path = curve((0, 0.0), (0, 0.4), (0.2 * bend, 0.8), (bend, 1.08))
    return [part(stroke(path, 0.46, 0.2), "main", "bands", "trunk", grain=0.35)]


def tusks(rng: Rng) -> Extra:
    return pair(stroke(curve((0.27, 0.4), (0.34, 0.65), (0.5, 0.82)), 0.13, 0.03), "light", name="tusk")


def wide_mouth(rng: Rng) -> Extra:
    path = curve((-0.75, 0.2), (-0.4, 0.42), (0, 0.5), (0.4, 0.42), (0.75, 0.2))
    return [line(path, 0.06, "dark", "mouth")]


ROUND = symmetric((0, -0.68), (0.5, -0.52), (0.74, 0), (0.55, 0.5), (0, 0.7))
CAT = symmetric((0, -0.55), (0.42, -0.56), (0.72, -0.15), (0.74, 0.25), (0.4, 0.58), (0, 0.66))
DOG = symmetric((0, -0.68), (0.4, -0.62), (0.56, -0.2), (0.46, 0.3), (0.36, 0.7), (0, 0.82))
COW = symmetric((0, -0.66), (0.4, -0.6), (0.5, -0.2), (0.36, 0.3), (0.42, 0.65), (0, 0.86))
FOX = symmetric((0, -0.5), (0.42, -0.5), (0.64, -0.2), (0.9, 0.2), (0.36, 0.5), (0, 0.85))
SHEEP = symmetric((0, -0.5), (0.34, -0.42), (0.4, 0), (0.3, 0.5), (0.2, 0.78), (0, 0.84))
MONKEY = symmetric((0, -0.3), (0.26, -0.42), (0.5, -0.2), (0.42, 0.15), (0.5, 0.4), (0.3, 0.66), (0, 0.7))
POINTED_EAR = poly((0.16, -0.48), (0.66, -1.02), (0.74, -0.18))
DROP_NOSE = symmetric((0, 0.16), (0.11, 0.15), (0.09, 0.24), (0, 0.31))

FUR, SKIN = Paint(texture="fur"), Paint(texture="noise")
PIED, TABBY = Paint(texture="patches", other="second"), Paint(texture="stripes", other="second", grain=0.7)
DOTTED, PLUMAGE = Paint(texture="spots", other="second", grain=0.8), Paint(texture="feathers")

FACES: dict[str, Face] = {
    "cat": Face(
        CAT, POINTED_EAR, DROP_NOSE, (0.32, -0.1, 0.16), (TABBY, FUR, PIED),
        pupil=(0.3, 0.85), muzzle=None, nose_slot="trim",
        marks=(patches(ellipse(0.13, 0.34, 0.18, 0.15), "light"),), before=(mouth, whiskers),
    ),
    "dog": Face(
        DOG, smooth((0.34, -0.62), (0.7, -0.58), (0.96, 0.0), (0.86, 0.42), (0.62, 0.3), (0.52, -0.2)),
        rounded(0, 0.28, 0.34, 0.24, power=3), (0.24, -0.16, 0.12), (FUR, PIED), Paint("second", "fur"), None, True, (0.75, 0.75),
        muzzle=symmetric((0, 0.0), (0.16, 0.05), (0.36, 0.45), (0.24, 0.68), (0, 0.72)),
        behind=(partial(tongue, y=0.75),), marks=(single(petal(0, -0.68, 0.7, 0.24, math.pi / 2), "light"),),
        before=(partial(mouth, y=0.4, width=0.28, drop=0.16),),
    ),
    "fox": Face(
        FOX, poly((0.14, -0.42), (0.6, -1.15), (0.72, -0.14)), ellipse(0, 0.76, 0.12, 0.1), (0.33, -0.02, 0.12),
        pupil=(0.4, 0.9), inner=(0, 0.06, 0.62),
        marks=(patches(smooth((0.04, 0.8), (0.1, 0.3), (0.45, 0.16), (0.86, 0.2), (0.4, 0.5)), "light"),),
    ),
    "bear": Face(
        ROUND, ellipse(0.56, -0.54, 0.26), rounded(0, 0.18, 0.28, 0.2, power=3), (0.27, -0.14, 0.085),
        pupil=(0.9, 0.9), muzzle=ellipse(0, 0.33, 0.36, 0.3), muzzle_slot="second",
        before=(partial(mouth, y=0.28, width=0.2, drop=0.16),),
    ),
    "rabbit": Face(
        symmetric((0, -0.3), (0.38, -0.26), (0.56, 0.15), (0.52, 0.5), (0, 0.74)),
        ellipse(0.26, -0.76, 0.17, 0.6, 0.12), DROP_NOSE + (0, 0.08), (0.32, 0.1, 0.13), (FUR, PIED),
        inner=(0, 0.04, 0.66), pupil=(0.75, 0.75), nose_slot="accent",
        marks=(patches(ellipse(0.15, 0.44, 0.2, 0.16), "light"),),
        before=(teeth, partial(mouth, y=0.39, width=0.2), partial(whiskers, y=0.42, reach=0.7)),
    ),
    "pig": Face(
        ROUND, smooth((0.3, -0.6), (0.72, -0.84), (0.74, -0.42), (0.56, -0.3)), ellipse(0, 0.2, 0.33, 0.25),
        (0.34, -0.2, 0.09), (SKIN, PIED), None, (0, 0.04, 0.5), True, (0.8, 0.8), "light",
        nose_slot="second", before=(partial(nostrils, x=0.12, y=0.2, r=0.06), partial(mouth, y=0.46, width=0.3, drop=0.08)),
    ),
    "cow": Face(
        COW, smooth((0.4, -0.42), (0.8, -0.56), (1.05, -0.4), (0.85, -0.2), (0.5, -0.22)),
        rounded(0, 0.62, 0.8, 0.46, power=2.6), (0.3, -0.14, 0.11), (PIED, PIED, FUR), None, (0.02, 0, 0.55),
        pupil=(0.9, 0.8), nose_slot="accent",
        behind=(horns((0.3, -0.55), (0.52, -0.68), (0.62, -0.9), (0.52, -1.08)),),
        before=(partial(nostrils, x=0.2, y=0.57, r=0.06), partial(mouth, y=0.68, width=0.2, drop=0.06)),
    ),
    "owl": Face(
        symmetric((0, -0.6), (0.5, -0.62), (0.72, -0.1), (0.74, 0.6), (0.4, 1.08), (0, 1.14)),
        poly((0.26, -0.5), (0.72, -0.95), (0.7, -0.2)), poly((0, -0.14), (0.13, 0.02), (0, 0.26), (-0.13, 0.02)),
        (0.31, -0.14, 0.2), (PLUMAGE, DOTTED), None, None, nose_slot="accent",
        nose_name="beak", iris="trim", marks=(belly, eye_discs),
    ),
    "panda": Face(
        ROUND * (1.08, 1), ellipse(0.6, -0.54, 0.27), rounded(0, 0.24, 0.24, 0.16, power=3), (0.31, -0.06, 0.085),
        (Paint("light", "fur"),), Paint("dark", "fur"), None, pupil=(0.85, 0.85),
        marks=(patches(ellipse(0.33, -0.03, 0.16, 0.25, 0.6), "dark"),),
        before=(partial(mouth, y=0.32, width=0.2, drop=0.14),),
    ),
    "mouse": Face(
        symmetric((0, -0.4), (0.42, -0.3), (0.5, 0.05), (0.26, 0.5), (0, 0.72)), ellipse(0.66, -0.5, 0.42),
        ellipse(0, 0.62, 0.12, 0.1), (0.24, 0.04, 0.1), inner=(0, 0.03, 0.7), pupil=(0.9, 0.9), nose_slot="second",
        before=(partial(whiskers, y=0.56, reach=0.75),),
    ),
    "lion": Face(
        CAT * (0.86, 1), ellipse(0.54, -0.52, 0.2), poly((-0.2, 0.1), (0.2, 0.1), (0, 0.34)), (0.28, -0.12, 0.11),
        behind=(mane,), pupil=(0.5, 0.5), marks=(patches(ellipse(0.15, 0.4, 0.2, 0.17), "light"),),
        before=(partial(mouth, y=0.36, width=0.24),),
    ),
    "monkey": Face(
        ROUND, ellipse(0.82, -0.02, 0.26), ellipse(0, 0.18, 0.17, 0.1), (0.21, -0.1, 0.12), inner=(0, 0, 0.6),
        pupil=(0.6, 0.6), iris="light", nose_slot="second", marks=(single(MONKEY, "accent", "plain", "mask"),),
        before=(partial(nostrils, x=0.07, y=0.19, r=0.03), partial(mouth, y=0.38, width=0.32, drop=0.12)),
    ),
    "sheep": Face(
        SHEEP, smooth((0.3, -0.3), (0.62, -0.28), (0.88, 0.0), (0.76, 0.1), (0.4, -0.08)), DROP_NOSE * 1.4 + (0, 0.28),
        (0.25, -0.04, 0.1), (Paint("second"),), None, (0.03, 0, 0.5), True, (0.9, 0.5), "light",
        behind=(fleece,), before=(forelock, partial(mouth, y=0.66, width=0.16, drop=0.08)),
    ),
    "raccoon": Face(
        FOX * (1, 0.86), ellipse(0.56, -0.56, 0.2, 0.26, 0.5), ellipse(0, 0.55, 0.13, 0.1), (0.3, -0.04, 0.1),
        marks=(
            patches(smooth((0.1, -0.3), (0.5, -0.36), (0.84, 0.0), (0.8, 0.16), (0.1, 0.5)), "light"),
            patches(smooth((0.1, -0.12), (0.4, -0.22), (0.74, 0.08), (0.6, 0.24), (0.16, 0.12)), "dark"),
            single(ellipse(0, 0.46, 0.24, 0.22), "light"),
        ),
    ),
    "tiger": Face(
        CAT * (1, 1.06), ellipse(0.58, -0.6, 0.22), poly((-0.18, 0.12), (0.18, 0.12), (0, 0.32)), (0.32, -0.1, 0.12),
        marks=(brow_stripes, patches(ellipse(0.17, 0.42, 0.24, 0.2), "light"), patches(ellipse(0.32, -0.2, 0.18, 0.1), "light")),
        before=(partial(mouth, y=0.34, width=0.24), partial(whiskers, y=0.38, reach=0.7)),
    ),
    "deer": Face(
        FOX * (0.62, 1), smooth((0.3, -0.38), (0.7, -0.62), (0.98, -0.56), (0.72, -0.28), (0.4, -0.2)),
        ellipse(0, 0.7, 0.17, 0.13), (0.32, -0.04, 0.11), behind=(antlers,), pupil=(0.9, 0.9),
        marks=(single(ellipse(0, 0.62, 0.26, 0.22), "light"),),
    ),
    "elephant": Face(
        symmetric((0, -0.72), (0.4, -0.66), (0.54, -0.2), (0.42, 0.3), (0, 0.42)),
        smooth((0.36, -0.5), (0.8, -0.8), (1.2, -0.5), (1.14, 0.1), (0.8, 0.5), (0.5, 0.2)), ellipse(0, 0.12, 0.2, 0.12),
        (0.3, -0.14, 0.09), (SKIN,), None, (0, 0.02, 0.7), pupil=(0.8, 0.8), iris="light",
        nose_slot="main", nose_name="trunk", marks=(tusks, trunk),
    ),
    "koala": Face(
        ROUND, star(0.78, -0.36, 0.42, 0.34, 9), rounded(0, 0.16, 0.3, 0.5, power=2.6), (0.34, -0.1, 0.08),
        inner=(0.02, 0.04, 0.62), pupil=(0.9, 0.9), before=(partial(mouth, y=0.42, width=0.2, drop=0.1),),
    ),
    "frog": Face(
        symmetric((0, -0.3), (0.5, -0.34), (0.92, 0.1), (0.7, 0.5), (0, 0.66)), ellipse(0.5, -0.42, 0.3),
        ellipse(0, 0.04, 0.02), (0.5, -0.44, 0.2), (DOTTED, SKIN, TABBY), None, None,
        pupil=(0.9, 0.4), nose_slot="main", nose_name="snout", marks=(single(ellipse(0, 0.5, 0.6, 0.2), "light", "plain"),),
        before=(partial(nostrils, x=0.12, y=0.04, r=0.035), wide_mouth),
    ),
}  # fmt: skip

RECIPES = {name: partial(face, animal) for name, animal in FACES.items()}
