"""Manufactured objects: clocks, vessels, furniture, instruments."""

from __future__ import annotations

import math
from itertools import pairwise

from zfrepro.datasets.drawing.parts import Part, line, pair, part
from zfrepro.datasets.drawing.rng import Rng
from zfrepro.datasets.drawing.shapes import box, curve, ellipse, poly, ring, rounded, smooth, stroke, symmetric

WOODS = ("planks", "plain", "noise", "bark")


def clock(rng: Rng) -> list[Part]:
    """An alarm clock: bells, feet, dial and two hands."""
    hour, minute = rng.between(0, 2 * math.pi), rng.between(0, 2 * math.pi)
    ticks = [2 * math.pi * i / 12 for i in range(12)]

    def hand(a, reach, w):
        return line(
            [(-0.1 * math.cos(a), 0.1 - 0.1 * math.sin(a)), (reach * math.cos(a), 0.1 + reach * math.sin(a))],
            w,
            "dark",
            "hand",
        )

    return [
        *pair(stroke([(0.4, 0.6), (0.6, 0.98)], 0.15, 0.1), "second", name="foot"),
        *pair(ellipse(0.42, -0.68, 0.3, 0.22, 0.6), "second", "metal", "bell"),
        line([(0, -0.6), (0, -0.9)], 0.09, "dark", "hammer"),
        part(ellipse(0, 0.1, 0.8, n=36), "main", "metal", "case"),
        part(ellipse(0, 0.1, 0.62, n=36), "light", name="dial", relief=0.4),
        *(line([(r * math.cos(a), 0.1 + r * math.sin(a)) for r in (0.48, 0.57)], 0.05) for a in ticks),
        hand(hour, 0.3, 0.09),
        hand(minute, 0.46, 0.06),
        part(ellipse(0, 0.1, 0.06, n=10), "accent"),
    ]


def umbrella(rng: Rng) -> list[Part]:
    n, top = rng.count(4, 6), rng.between(-0.85, -0.7)
    edges = [-1 + 2 * i / n for i in range(n + 1)]
    panels = [
        smooth((0, top), (0.62 * a, 0.55 * top), (a, 0), ((a + b) / 2, -0.13), (b, 0), (0.62 * b, 0.55 * top))
        for a, b in pairwise(edges)
    ]
    cloth = rng.pick(("plain", "checks", "spots", "stripes"))
    return [
        line([(0, top), (0, 0.75)], 0.06, "dark", "shaft"),
        line(curve((0, 0.7), (0.04, 0.94), (0.2, 0.98), (0.3, 0.8)), 0.1, "accent", "handle"),
        *(part(p, ("main", "second")[i % 2], cloth, "canopy", other="trim") for i, p in enumerate(panels)),
        line([(0, top + 0.02), (0, top - 0.2)], 0.05, "dark", "tip"),
    ]


def cup(rng: Rng) -> list[Part]:
    w, foot = rng.near(0.55), rng.between(0.35, 0.5)
    return [
        part(ellipse(0.0, 0.72, 0.92, 0.16), "second", "plain", "saucer"),
        part(ring(w + 0.06, 0.02, 0.36, 0.12), "main", name="handle"),
        part(
            smooth((-w, -0.42), (w, -0.42), (w * 0.95, 0.2), (foot, 0.68), (-foot, 0.68), (-w * 0.95, 0.2)),
            "main",
            rng.pick(("plain", "bands", "spots", "checks")),
            "body",
            other="accent",
        ),
        part(ellipse(0, -0.42, w, 0.14), "light", name="rim"),
        part(ellipse(0, -0.4, 0.86 * w, 0.1), "dark", "noise", "drink"),
        *(
            line(curve((x, -0.55), (x + 0.1, -0.7), (x - 0.06, -0.82), (x + 0.04, -1.0)), 0.06, "light", tip=0.02)
            for x in (-0.18, 0.16)
        ),
    ]


def chair(rng: Rng) -> list[Part]:
    wood, n = rng.pick(WOODS), rng.count(2, 4)
    slats = [-0.92 + 0.78 * i / n for i in range(n)]
    return [
        *(part(stroke([(x, 0.05), (x * 1.05, 0.78)], 0.1), "second", wood, "back leg") for x in (-0.36, 0.5)),
        *(part(box(x, -0.45, 0.11, 1.1), "main", wood, "post") for x in (-0.42, 0.44)),
        *(part(rounded(0.01, y, 0.8, 0.14, power=8), "main", wood, "slat") for y in slats),
        part(
            poly((-0.46, 0.0), (0.5, 0.0), (0.66, 0.3), (-0.64, 0.3)),
            "accent",
            rng.pick(("checks", "knit", "plain")),
            "seat",
            other="light",
        ),
        part(poly((-0.64, 0.3), (0.66, 0.3), (0.66, 0.4), (-0.64, 0.4)), "main", wood),
        *(part(stroke([(x, 0.38), (1.03 * x, 1.06)], 0.12, 0.09), "main", wood, "front leg") for x in (-0.56, 0.58)),
    ]


def lamp(rng: Rng) -> list[Part]:
    top, foot = rng.near(0.28, 0.25), rng.near(0.62, 0.12)
    stand = symmetric((0, -0.2), (0.05, -0.1), (0.16, 0.2), (0.06, 0.5), (0.2, 0.74), (0, 0.8))
    return [
        part(stand, "second", "metal", "stand"),
        part(ellipse(0, 0.84, 0.46, 0.13), "second", "metal", "base"),
        line([(0.3, -0.2), (0.3, 0.12)], 0.025),
        part(
            poly((-top, -0.95), (top, -0.95), (foot, -0.18), (-foot, -0.18)),
            "main",
            rng.pick(("ribs", "checks", "plain", "spots")),
            "shade",
            other="light",
            relief=1.3,
        ),
        *(part(rounded(0, y, 2 * w, 0.09), "trim") for y, w in ((-0.95, top), (-0.18, foot))),
    ]


def guitar(rng: Rng) -> list[Part]:
    waist = rng.near(0.28, 0.12)
    body = symmetric((0, -0.12), (0.32, -0.06), (0.36, 0.12), (waist, 0.32), (0.5, 0.62), (0.4, 0.95), (0, 1.05))
    pegs = [-1.05, -0.95, -0.85]
    return [
        *(p for y in pegs for p in pair(box(0.14, y, 0.1, 0.05), "light")),
        part(body, "main", rng.pick(WOODS), "body", relief=0.8),
        part(body * (0.86, 0.86) + (0, 0.07), "second", "planks", grain=2, relief=0.2),
        part(ellipse(0, 0.3, 0.17), "dark", name="sound hole"),
        part(box(0, -0.34, 0.15, 1.1), "dark", "bands", "neck", other="trim", grain=0.25),
        part(poly((-0.11, -1.12), (0.11, -1.12), (0.09, -0.78), (-0.09, -0.78)), "accent", name="head"),
        part(box(0, 0.74, 0.34, 0.08), "dark", name="bridge"),
        *(line([(x, -0.85), (x, 0.74)], 0.016, "light") for x in (-0.04, 0, 0.04)),
    ]


def key(rng: Rng) -> list[Part]:
    n, r = rng.count(2, 4), rng.near(0.38, 0.1)
    teeth = [0.98 - 0.16 * i for i in range(n)]
    return [
        part(ring(-0.6, 0, r, 0.15), "main", "metal", "bow"),
        part(box(0.36, 0, 1.3, 0.15), "main", "metal", "shaft"),
        part(box(0.86, 0, 0.07, 0.26), "second"),
        *(part(box(x - 0.04, 0.18, 0.09, rng.near(0.34, 0.3)), "main", "metal", "tooth") for x in teeth),
        part(ring(-0.2, 0, 0.14, 0.07), "second"),
    ]


def teapot(rng: Rng) -> list[Part]:
    h = rng.near(0.5, 0.12)
    return [
        part(
            smooth((0.4, 0.3), (0.7, 0.05), (0.82, -0.36), (1.04, -0.42), (0.94, 0.1), (0.5, 0.56)),
            "main",
            name="spout",
        ),
        part(ring(-0.66, 0.1, 0.38, 0.12), "second", name="handle"),
        part(rounded(0, 0.64, 0.7, 0.14), "second", name="foot"),
        part(
            ellipse(0, 0.14, 0.68, h),
            "main",
            rng.pick(("spots", "checks", "plain", "leaves", "bands")),
            "body",
            other="light",
            relief=1.3,
        ),
        part(ellipse(0, 0.14 - 0.84 * h, 0.4, 0.14), "second", name="lid"),
        part(ellipse(0, -0.02 - h, 0.1, n=14), "accent", name="knob"),
    ]


def candle(rng: Rng) -> list[Part]:
    w, top = rng.near(0.2, 0.15), rng.between(-0.55, -0.25)
    flame = symmetric((0, top - 0.56), (0.07, top - 0.36), (0.13, top - 0.2), (0, top - 0.06))
    return [
        part(ring(0.5, 0.62, 0.24, 0.1), "second", "metal", "handle"),
        part(box(0, (top + 0.7) / 2, 2 * w, 0.7 - top), "light", name="wax"),
        part(
            smooth((-w, top), (w, top), (w, top + 0.3), (0.6 * w, top + 0.16), (0, top + 0.36), (-0.7 * w, top + 0.14)),
            "light",
            relief=1.5,
        ),
        line([(0, top), (0, top - 0.14)], 0.04),
        part(flame, "accent", "plain", "flame"),
        part(flame * (0.55, 0.55) + (0, 0.45 * top - 0.06), "light", relief=0),
        part(rounded(0, 0.72, 0.56, 0.16), "second", "metal", "socket"),
        part(ellipse(0, 0.84, 0.7, 0.15), "second", "metal", "dish"),
    ]


def hourglass(rng: Rng) -> list[Part]:
    level = rng.between(0.2, 0.7)
    bulbs = symmetric((0, -0.8), (0.44, -0.76), (0.46, -0.4), (0.08, 0.0), (0.46, 0.4), (0.44, 0.76), (0, 0.8))
    sand = 0.42 * level
    return [
        *pair(box(0.56, 0, 0.11, 1.7), "second", "planks", "pillar"),
        part(bulbs, "glass", "metal", "glass", relief=1.4),
        part(
            poly((-sand - 0.05, -0.1 - 0.6 * level), (sand + 0.05, -0.1 - 0.6 * level), (0.05, -0.05), (-0.05, -0.05)),
            "accent",
            "noise",
            "sand",
        ),
        part(
            smooth((0, 0.72 - 0.5 * (1 - level)), (0.38, 0.7), (0.3, 0.78), (-0.3, 0.78), (-0.38, 0.7)),
            "accent",
            "noise",
            "sand",
        ),
        line([(0, -0.08), (0, 0.6)], 0.035, "accent"),
        *(part(rounded(0, y, 1.36, 0.2, power=8), "main", "planks", "plate") for y in (-0.88, 0.88)),
    ]


def bell(rng: Rng) -> list[Part]:
    flare = rng.near(0.78, 0.08)
    body = symmetric((0, -0.72), (0.3, -0.6), (0.42, -0.1), (0.52, 0.4), (flare, 0.7), (0, 0.76))
    return [
        part(ring(0, -0.82, 0.22, 0.09), "second", name="loop"),
        part(ellipse(0, 0.84, 0.18), "dark", name="clapper"),
        part(body, "main", "metal", "body", relief=1.4),
        *(part(stroke([(-w, y), (w, y)], 0.07), "second", relief=1.2) for w, y in ((0.43, -0.06), (0.6, 0.52))),
        part(ellipse(0, 0.71, 0.95 * flare, 0.09), "second", name="lip"),
    ]


SOURCE = (clock,)
CALTECH101 = (umbrella, cup, chair, lamp, guitar)
CALTECH256 = (key, teapot, candle, hourglass, bell)
