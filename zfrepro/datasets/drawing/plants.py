"""Plants and fruit: trunks, crowns, leaves, petals."""

from __future__ import annotations

import math
from typing import Any

from zfrepro.datasets.drawing.parts import Part, line, part
from zfrepro.datasets.drawing.rng import Rng
from zfrepro.datasets.drawing.shapes import Outline, curve, ellipse, petal, poly, rounded, smooth, star, stroke

UP = -math.pi / 2


def tree(rng: Rng) -> list[Part]:
    """A broadleaf tree."""
    n = rng.count(5, 7)
    angles = [math.pi * (0.9 + 1.2 * i / (n - 1)) for i in range(n)]
    clumps = [(0.5 * math.cos(a), -0.3 + 0.42 * math.sin(a)) for a in angles]
    trunk = smooth((-0.12, -0.2), (0.12, -0.2), (0.11, 0.5), (0.26, 1.0), (-0.26, 1.0), (-0.11, 0.5))
    return [
        part(trunk, "second", "bark", "trunk"),
        *(line([(0, 0.25), (s * 0.4, -0.25)], 0.1, "second", tip=0.04) for s in (-1, 1)),
        *(part(ellipse(x, y, rng.near(0.38), rng.near(0.34)), "main", "leaves", "crown") for x, y in clumps),
        part(ellipse(0, -0.32, 0.42, 0.36), "main", "leaves", "crown"),
    ]


def fir(rng: Rng) -> list[Part]:
    n, width = rng.count(3, 5), rng.near(0.68)
    tiers = [(i, -0.95 + 1.05 * i / n, width * (0.45 + 0.55 * i / (n - 1))) for i in reversed(range(n))]
    return [part(poly((-0.1, 0.0), (0.1, 0.0), (0.13, 1.0), (-0.13, 1.0)), "second", "bark", "trunk")] + [
        part(_tier(y - 0.12, y + 1.35 / n + 0.12, w), "main", "grass", "branches", relief=0.8) for _, y, w in tiers
    ]


def _tier(top: float, foot: float, half: float):
    """A triangle with a jagged lower rim."""
    hem = [(half - 2 * half * i / 8, foot - (0.12 if i % 2 else 0)) for i in range(9)]
    return poly((0, top), *hem)


def _stem(rng: Rng, top: float = 0.0, leaves: int = 2) -> list[Part]:
    bend = rng.between(-0.15, 0.15)
    blades = [petal(0.5 * bend, 0.78, 0.55, 0.24, a) for a in (-0.55, math.pi + 0.55)][:leaves]
    path = curve((0, top), (bend, 0.5), (0.3 * bend, 1.1))
    return [line(path, 0.08, "second", "stem")] + [part(b, "second", "plain", "leaf") for b in blades]


def flower(rng: Rng) -> list[Part]:
    """Few broad round petals."""
    n, turn, reach = rng.count(5, 7), rng.between(0, 1), rng.near(0.36, 0.08)
    angles = [turn + 2 * math.pi * i / n for i in range(n)]
    blooms = [ellipse(reach * math.cos(a), -0.4 + reach * math.sin(a), 0.32, 1.35 / n, a) for a in angles]
    return [
        *_stem(rng, -0.4),
        *(part(b, "main", "plain", "petal", other="light") for b in blooms),
        part(ellipse(0, -0.4, rng.near(0.2)), "accent", "spots", "centre", grain=0.3),
    ]


def sunflower(rng: Rng) -> list[Part]:
    """Many thin pointed petals around a broad disc of seeds."""
    n, turn = rng.count(14, 18), rng.between(0, 1)
    angles = [turn + 2 * math.pi * i / n for i in range(n)]
    rays = [petal(0, -0.35, 0.4, 0.26, a, start=0.32) for a in angles]
    return [
        *_stem(rng, -0.35),
        *(part(r, "main", "plain", "petal") for r in rays),
        part(ellipse(0, -0.35, rng.near(0.4, 0.06)), "dark", "scales", "disc", other="trim", grain=0.4),
    ]


def cactus(rng: Rng) -> list[Part]:
    h, left, right = rng.near(1.0, 0.05), rng.between(-0.1, 0.3), rng.between(-0.2, 0.2)

    def arm(s, y):
        return stroke(curve((0, y + 0.1), (s * 0.35, y + 0.12), (s * 0.5, y - 0.05), (s * 0.5, y - 0.5)), 0.24)

    style: dict[str, Any] = {"other": "dark", "grain": 1.4}
    return [
        *(part(arm(s, y), "main", "ribs", "arm", **style) for s, y in ((-1, left), (1, right))),
        *(part(ellipse(s * 0.5, y - 0.52, 0.12, n=16), "main", "ribs", **style) for s, y in ((-1, left), (1, right))),
        part(rounded(0, 0.75 - 0.85 * h, 0.42, 1.75 * h, power=4), "main", "ribs", "column", **style),
        part(star(0, 0.75 - 1.72 * h, 0.15, 0.07, 6), "accent", name="blossom"),
        part(poly((-0.42, 0.6), (0.42, 0.6), (0.32, 1.05), (-0.32, 1.05)), "second", "bands", "pot", other="trim"),
        part(poly((-0.48, 0.52), (0.48, 0.52), (0.46, 0.66), (-0.46, 0.66)), "second"),
    ]


def palm(rng: Rng) -> list[Part]:
    lean, n = rng.pick((-1, 1)) * rng.between(0.1, 0.35), rng.count(6, 8)
    path = curve((-lean, 1.05), (-0.3 * lean, 0.3), (lean, -0.4))
    angles = [math.pi * (0.95 + 1.1 * i / (n - 1)) for i in range(n)]
    return [
        part(stroke(path, 0.26, 0.13), "second", "bands", "trunk", other="dark", grain=0.35),
        *(part(_frond(lean, -0.42, a, rng.near(0.85)), "main", "grass", "frond") for a in angles),
        *(part(ellipse(lean + x, -0.34, 0.09, n=14), "trim", name="coconut") for x in (-0.1, 0.1)),
    ]


def _frond(x: float, y: float, a: float, reach: float) -> Outline:
    """A feathered leaf that arches out and hangs a little."""
    c, s = math.cos(a) * reach, math.sin(a) * reach * 0.7
    back = curve((x, y), (x + 0.5 * c, y + 0.75 * s - 0.12), (x + c, y + s + 0.2), steps=6)
    n = len(back)
    hem = [(px, py + 0.24 * math.sin(math.pi * i / n) + (0.1 if i % 2 else 0)) for i, (px, py) in enumerate(back)]
    return poly(*back, *reversed(hem[1:-1]))


def mushroom(rng: Rng) -> list[Part]:
    w, top = rng.near(0.85), rng.between(-0.95, -0.7)
    cap = smooth(
        (-w, 0.08), (-0.85 * w, -0.4), (-0.35 * w, top), (0.35 * w, top), (0.85 * w, -0.4), (w, 0.08), (0, 0.2)
    )
    spots = [(-0.5, -0.2, 0.13), (0, -0.5, 0.17), (0.48, -0.24, 0.14), (-0.1, -0.04, 0.1), (0.26, 0.0, 0.08)]
    return [
        part(
            smooth((-0.2, 0), (0.2, 0), (0.24, 0.6), (0.32, 0.98), (-0.32, 0.98), (-0.24, 0.6)), "light", "fur", "stem"
        ),
        part(smooth((-0.3, 0.26), (0.3, 0.26), (0.38, 0.42), (-0.38, 0.42)), "light", "ribs", "skirt"),
        part(ellipse(0, 0.1, 0.9 * w, 0.16), "second", "ribs", "gills", grain=0.5),
        part(cap, "main", "plain", "cap", relief=1.2),
        *(part(ellipse(x * w, y, rng.near(r, 0.25), n=16), "light", name="spot") for x, y, r in spots),
    ]


def carrot(rng: Rng) -> list[Part]:
    w = rng.near(0.34)
    tops = [UP + t for t in (-0.7, -0.35, 0, 0.35, 0.7)]
    body = smooth(
        (0, -0.36), (w, -0.3), (0.75 * w, 0.3), (0.1, 1.0), (0, 1.08), (-0.1, 1.0), (-0.75 * w, 0.3), (-w, -0.3)
    )
    rings = [(y, w * (0.8 - 0.5 * y)) for y in (-0.12, 0.12, 0.36, 0.6)]
    return [
        *(part(petal(0, -0.3, rng.near(0.7), 0.26, a), "second", "leaves", "leaf", grain=0.5) for a in tops),
        part(body, "main", "plain", "root", relief=1.3),
        *(
            line([(s * half, y), (s * 0.2 * half, y + 0.03)], 0.04)
            for i, (y, half) in enumerate(rings)
            for s in ((-1) ** i,)
        ),
    ]


def grapes(rng: Rng) -> list[Part]:
    r = rng.near(0.2, 0.08)
    berries = [((i - row / 2) * 0.33, 0.85 - 0.28 * (4 - row)) for row in reversed(range(5)) for i in range(row + 1)]
    leaf = star(0.3, -0.62, 0.4, 0.24, 5)
    return [
        line(curve((0, -0.4), (0.02, -0.7), (-0.12, -1.0)), 0.09, "trim", "stem"),
        part(leaf, "second", "leaves", "leaf"),
        *(
            part(ellipse(x, -y + 0.35, rng.near(r, 0.08), n=20), "main", "plain", "berry", relief=1.6)
            for x, y in berries
        ),
    ]


SOURCE = (tree, fir, flower)
CALTECH101 = (cactus, palm, mushroom)
CALTECH256 = (sunflower, carrot, grapes)
