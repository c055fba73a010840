"""Buildings: walls, roofs, doors, windows and what marks each kind."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from zfrepro.datasets.drawing.parts import Part, flag, line, part, window
from zfrepro.datasets.drawing.rng import Rng
from zfrepro.datasets.drawing.shapes import Outline, box, ellipse, poly, rounded, smooth

WALLS = ("brick", "stone", "planks", "plain", "noise")


def house(rng: Rng) -> list[Part]:
    w, roof, side = rng.near(0.75), rng.between(-1.0, -0.75), rng.pick((-1, 1))
    wall = rng.pick(WALLS)
    return [
        part(box(side * 0.42, -0.66, 0.2, 0.56), "second", "brick", "chimney", grain=0.7),
        part(box(0, 0.28, 2 * w, 1.0), "main", wall, "wall", other="light"),
        part(poly((0, roof), (w + 0.2, -0.18), (-w - 0.2, -0.18)), "accent", "shingles", "roof", relief=0.7),
        *door(side * 0.3 * w, 0.78, 0.32, rng.near(0.6, 0.08)),
        *window(-side * 0.45 * w, 0.2, rng.near(0.38), rng.near(0.38)),
        *(window(side * 0.62 * w, 0.1, 0.2, 0.24) if rng.chance(0.4) else []),
        part(ellipse(0, (roof - 0.3) / 2, 0.1, n=16), "glass", "metal"),
    ]


def door(x: float, foot: float, w: float, h: float, slot: str = "trim") -> list[Part]:
    knob = ellipse(x + 0.3 * w, foot - 0.45 * h, 0.03, n=8)
    return [part(box(x, foot - h / 2, w, h), slot, "planks", "door", grain=0.6), part(knob, "light", relief=0)]


def arch(x: float, foot: float, w: float, h: float) -> Outline:
    return smooth(
        (x - w / 2, foot), (x - w / 2, foot - 0.65 * h), (x, foot - h), (x + w / 2, foot - 0.65 * h), (x + w / 2, foot)
    )


def battlement(x: float, top: float, w: float, foot: float, teeth: int) -> Outline:
    """A wall whose upper rim has teeth."""
    step = w / (2 * teeth - 1)
    rim = []
    for i in range(2 * teeth - 1):
        y = top if i % 2 == 0 else top + 0.13
        rim += [(x - w / 2 + i * step, y), (x - w / 2 + (i + 1) * step, y)]
    return poly(*rim, (x + w / 2, foot), (x - w / 2, foot))


def castle(rng: Rng) -> list[Part]:
    tall, wall = rng.between(-0.75, -0.5), rng.pick(("stone", "brick", "noise"))
    slits = [box(x, -0.1, 0.08, 0.24) for x in (-0.7, 0.7)]
    return [
        *flag(-0.7, tall - 0.02, 0.34),
        *flag(0.7, tall - 0.02, 0.34),
        part(battlement(0, -0.5, 0.56, 0.5, 3), "second", wall, "keep", other="light"),
        part(battlement(0, -0.05, 1.4, 0.8, 6), "main", wall, "wall", other="light"),
        *(part(battlement(x, tall, 0.5, 0.85, 3), "main", wall, "tower", other="light") for x in (-0.7, 0.7)),
        *(part(slit, "dark", relief=0) for slit in slits),
        part(arch(0, 0.8, 0.46, 0.62), "dark", "planks", "gate", other="trim"),
        part(box(0, -0.26, 0.09, 0.16), "dark", relief=0),
    ]


def lighthouse(rng: Rng) -> list[Part]:
    n, foot, neck = rng.count(4, 6), rng.near(0.36), rng.near(0.21)
    edges = [-0.52 + 1.34 * i / n for i in range(n + 1)]
    half = [neck + (foot - neck) * i / n for i in range(n + 1)]
    rings = [poly((-a, y), (a, y), (b, z), (-b, z)) for (y, a), (z, b) in pairwise(zip(edges, half, strict=True))]
    rock = smooth((-0.62, 1.0), (-0.5, 0.8), (-0.1, 0.72), (0.4, 0.78), (0.68, 1.0), (0, 1.06))
    return [
        part(rock, "trim", "stone", "rock"),
        *(
            part(r, ("main", "light")[i % 2], "brick" if i % 2 == 0 else "plain", "tower", relief=0.8)
            for i, r in enumerate(rings)
        ),
        part(rounded(0, -0.74, 0.3, 0.34, power=8), "glass", "metal", "lantern"),
        line([(0, -0.9), (0, -0.56)], 0.03),
        part(box(0, -0.54, 0.62, 0.08), "dark", name="gallery"),
        part(smooth((0, -1.14), (0.14, -0.98), (0.22, -0.88), (-0.22, -0.88), (-0.14, -0.98)), "second", name="dome"),
        part(box(0, 0.62, 0.18, 0.3), "dark", name="door"),
        part(box(0, 0.06, 0.1, 0.16), "dark", relief=0),
    ]


def windmill(rng: Rng) -> list[Part]:
    turn = rng.between(0, math.pi / 2)
    arms = [turn + i * math.pi / 2 for i in range(4)]
    return [
        part(
            poly((-0.3, -0.35), (0.3, -0.35), (0.5, 0.95), (-0.5, 0.95)),
            "main",
            rng.pick(WALLS),
            "tower",
            other="light",
        ),
        part(
            smooth((-0.38, -0.3), (-0.26, -0.62), (0, -0.74), (0.26, -0.62), (0.38, -0.3)), "second", "shingles", "cap"
        ),
        *door(0, 0.95, 0.26, 0.42),
        *window(0, 0.22, 0.2, 0.24),
        *(p for a in arms for p in blade(a, rng.near(0.95, 0.04))),
        part(ellipse(0, -0.4, 0.09, n=14), "dark"),
    ]


def blade(a: float, reach: float) -> list[Part]:
    c, s = math.cos(a), math.sin(a)

    def at(r, side):
        return (r * c - side * s, -0.4 + r * s + side * c)

    sail = poly(at(0.26, 0), at(0.26, 0.24), at(reach, 0.24), at(reach, 0))
    return [
        part(sail, "light", "checks", "blade", other="trim", grain=0.6, relief=0.4),
        line([at(0, 0), at(reach, 0)], 0.06),
    ]


def church(rng: Rng) -> list[Part]:
    side, wall, tip = rng.pick((-1, 1)), rng.pick(WALLS), rng.between(-1.1, -0.95)
    x = -0.5 * side
    return [
        line([(x, tip - 0.26), (x, tip + 0.05)], 0.05, "dark", "cross"),
        line([(x - 0.1, tip - 0.14), (x + 0.1, tip - 0.14)], 0.05, "dark"),
        part(box(side * 0.3, 0.45, 1.2, 0.7), "main", wall, "nave", other="light"),
        part(poly((side * 0.98, 0.14), (side * 0.8, -0.28), (x, -0.28), (x, 0.14)), "accent", "shingles", "roof"),
        part(box(x, 0.18, 0.52, 1.24), "main", wall, "tower", other="light"),
        part(poly((x, tip), (x + 0.33, -0.4), (x - 0.33, -0.4)), "accent", "shingles", "spire", relief=0.7),
        part(ellipse(x, -0.14, 0.14, n=20), "light", name="clock"),
        *(part(arch(side * u, 0.64, 0.17, 0.4), "glass", "metal", "window") for u in (0.08, 0.4, 0.7)),
        part(arch(x, 0.8, 0.26, 0.46), "trim", "planks", "door"),
    ]


def tent(rng: Rng) -> list[Part]:
    n, top = rng.count(5, 8), rng.between(-0.8, -0.6)
    foot = [-1 + 2 * i / n for i in range(n + 1)]
    slices = [poly((0, top), (a, 0.7), (b, 0.7)) for a, b in pairwise(foot)]
    return [
        *flag(0, top, 0.3),
        *(part(s, ("main", "second")[i % 2], "plain", "canvas", relief=0.6) for i, s in enumerate(slices)),
        part(poly((0, -0.2), (0.32, 0.7), (-0.32, 0.7)), "dark", name="opening"),
        part(poly((0, -0.2), (-0.32, 0.7), (-0.5, 0.7)), "accent", name="flap"),
        *(line([(s * 0.98, 0.66), (s * 1.1, 0.8)], 0.04) for s in (-1, 1)),
    ]


def pagoda(rng: Rng) -> list[Part]:
    n = rng.count(3, 4)
    step = 1.6 / n
    floors = []
    for i in reversed(range(n)):
        y, w = 0.95 - step * i, 0.62 - 0.4 * i / n
        eaves = smooth((-w - 0.3, y - step * 0.66), (-w, y - step * 0.68), (0, y - step * 1.02), (w, y - step * 0.68),
                       (w + 0.3, y - step * 0.66), (w * 0.9, y - step * 0.48), (-w * 0.9, y - step * 0.48))  # fmt: skip
        floors.append(part(box(0, y - step * 0.28, 2 * w * 0.8, step * 0.56), "main", "ribs", "storey", other="light"))
        floors.append(part(box(0, y - step * 0.25, 0.16, step * 0.36), "dark", relief=0))
        floors.append(part(eaves, "second", "shingles", "roof"))
    return [line([(0, -1.05), (0, -0.6)], 0.06, "trim", "spire"), *floors]


def skyscraper(rng: Rng) -> list[Part]:
    low, mid, side = rng.near(0.46), rng.near(0.32), rng.pick((-1, 1))
    style: dict[str, Any] = {"other": "light", "grain": rng.near(0.8, 0.2), "relief": 0.6}
    return [
        line([(0, -1.25), (0, -0.8)], 0.05, "dark", "antenna"),
        part(box(side * 0.46, 0.5, 0.46, 1.0), "second", "windows", "annexe", **style),
        part(box(0, -0.72, mid * 0.9, 0.4), "main", "windows", "top", **style),
        part(box(0, -0.2, 2 * mid, 1.0), "main", "windows", "shaft", **style),
        part(box(0, 0.55, 2 * low * 0.9, 0.9), "main", "windows", "base", **style),
        *(part(box(0, y, w, 0.06), "trim") for y, w in ((-0.92, mid), (-0.7, 2 * mid), (0.1, 1.9 * low))),
        part(box(0, 0.9, 0.24, 0.2), "dark", name="door"),
    ]


def igloo(rng: Rng) -> list[Part]:
    side = rng.pick((-1, 1))
    dome = smooth((-0.85, 0.6), (-0.8, 0), (-0.45, -0.5), (0, -0.65), (0.45, -0.5), (0.8, 0), (0.85, 0.6), (0, 0.68))
    tunnel = arch(side * 0.5, 0.72, 0.72, 0.8)
    return [
        part(dome, "light", "brick", "dome", other="main", grain=1.7, relief=1.2),
        part(tunnel, "light", "brick", "tunnel", other="second", grain=1.2),
        part(arch(side * 0.54, 0.72, 0.46, 0.56), "dark", name="entrance"),
    ]


SOURCE = (house, castle, lighthouse)
CALTECH101 = (windmill, church, tent)
CALTECH256 = (pagoda, skyscraper, igloo)
