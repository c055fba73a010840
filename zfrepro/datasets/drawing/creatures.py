"""Whole animals, most of them from the side and facing right: bodies, fins, wings, shells, legs."""

from __future__ import annotations

import math

from zfrepro.datasets.drawing.parts import Part, eye, line, pair, part
from zfrepro.datasets.drawing.rng import Rng
from zfrepro.datasets.drawing.shapes import curve, ellipse, petal, poly, ring, smooth, stroke

SKINS = ("plain", "spots", "stripes", "noise", "checks")


def fish(rng: Rng) -> list[Part]:
    h = rng.near(0.42, 0.2)
    return [
        part(smooth((-0.5, 0), (-1.0, -0.45), (-0.86, 0), (-1.0, 0.45)), "second", "ribs", "tail"),
        part(
            smooth((-0.35, -0.6 * h), (-0.1, -h - 0.28), (0.4, -h - 0.1), (0.3, -0.7 * h)), "second", "ribs", "back fin"
        ),
        part(poly((-0.2, 0.7 * h), (0.05, h + 0.26), (0.2, 0.7 * h)), "second", "ribs", "belly fin"),
        part(
            smooth((-0.62, 0), (-0.2, -0.8 * h), (0.4, -h), (0.95, -0.02), (0.4, h), (-0.2, 0.8 * h)),
            "main",
            "scales",
            "body",
        ),
        part(smooth((0.5, -0.86 * h), (0.95, -0.02), (0.5, 0.86 * h), (0.42, 0)), "accent", "plain", "head"),
        part(petal(0.3, 0.1, -0.42, 0.26, -0.3), "trim", "ribs", "side fin", grain=0.6),
        *eye(0.66, -0.12, 0.1, "eye"),
        line([(0.94, 0.04), (0.76, 0.1)], 0.04),
    ]


def butterfly(rng: Rng) -> list[Part]:
    skin, big, small = rng.pick(("spots", "stripes", "patches", "checks")), rng.near(1, 0.1), rng.near(1, 0.12)
    upper = smooth((0.05, -0.1), (0.3, -0.7), (0.85, -0.85), (1.0, -0.45), (0.65, -0.02), (0.2, 0.05)) * big
    lower = smooth((0.05, 0.05), (0.5, 0.05), (0.8, 0.35), (0.62, 0.8), (0.3, 0.7)) * small
    return [
        *pair(lower, "second", skin, "lower wing", other="trim"),
        *pair(upper, "main", skin, "upper wing", other="dark"),
        *pair(ellipse(0.66 * big, -0.48 * big, 0.13, n=16), "accent"),
        *pair(ellipse(0.5 * small, 0.42 * small, 0.1, n=16), "light"),
        *pair(stroke(curve((0.02, -0.4), (0.1, -0.7), (0.28, -0.88)), 0.035), "dark", name="antenna"),
        part(ellipse(0, 0.08, 0.085, 0.5), "dark", "bands", "body", other="light", grain=0.3),
        part(ellipse(0, -0.42, 0.1, n=14), "dark", name="head"),
    ]


def snail(rng: Rng) -> list[Part]:
    r, x = rng.near(0.56, 0.08), rng.between(-0.3, -0.12)
    body = smooth(
        (-1.0, 0.66), (-0.5, 0.4), (0.4, 0.4), (0.62, -0.1), (0.9, -0.12), (0.95, 0.2), (0.8, 0.66), (0, 0.72)
    )
    whorls = [(r, 0, "main"), (0.72 * r, 0.16, "second"), (0.46 * r, 0.26, "main"), (0.2 * r, 0.3, "second")]
    return [
        *(line([(0.74, 0), (0.66 + s, -0.5)], 0.06, "accent", "stalk") for s in (0, 0.3)),
        *(part(ellipse(0.66 + s, -0.52, 0.07, n=12), "dark") for s in (0, 0.3)),
        part(body, "accent", "noise", "body"),
        *(part(ellipse(x + 0.4 * d * r, -0.06 + d * r, w), slot, "ribs", "shell", relief=0.9) for w, d, slot in whorls),
    ]


def duck(rng: Rng) -> list[Part]:
    neck = rng.near(0.3, 0.2)
    y = -0.3 - neck
    return [
        *(line([(x, 0.5), (x + 0.02, 0.86), (x + 0.2, 0.9)], 0.07, "accent", "leg") for x in (-0.12, 0.14)),
        part(smooth((0.28, 0.2), (0.3, y), (0.62, y), (0.7, 0.2)), "second", "feathers", "neck"),
        part(
            smooth((-1.0, -0.26), (-0.6, -0.04), (0.2, -0.1), (0.75, 0.0), (0.74, 0.4), (0.2, 0.64), (-0.5, 0.5)),
            "main",
            "feathers",
            "body",
        ),
        part(
            smooth((-0.62, 0.08), (-0.1, -0.04), (0.36, 0.14), (0, 0.4), (-0.4, 0.34)),
            "trim",
            "feathers",
            "wing",
            other="dark",
        ),
        part(smooth((0.66, y - 0.12), (1.02, y - 0.02), (1.05, y + 0.08), (0.68, y + 0.1)), "accent", name="beak"),
        part(ellipse(0.5, y - 0.06, 0.25, 0.23), "second", "feathers", "head"),
        *eye(0.56, y - 0.1, 0.06, "eye"),
    ]


def turtle(rng: Rng) -> list[Part]:
    h = rng.near(0.66, 0.1)
    return [
        *(
            part(smooth((x, 0.2), (x + 0.26, 0.2), (x + 0.28, 0.62), (x - 0.02, 0.62)), "second", "scales", "leg")
            for x in (-0.62, 0.26)
        ),
        part(poly((-0.74, 0.1), (-1.0, 0.34), (-0.7, 0.28)), "second", name="tail"),
        part(
            smooth((0.5, 0.3), (0.66, -0.1), (0.92, -0.22), (1.08, -0.04), (0.9, 0.14), (0.7, 0.34)),
            "second",
            "scales",
            "head",
        ),
        part(
            smooth(
                (-0.84, 0.28),
                (-0.66, 0.28 - 0.7 * h),
                (-0.1, 0.28 - 1.15 * h),
                (0.5, 0.28 - 0.7 * h),
                (0.7, 0.28),
                (0, 0.36),
            ),
            "main",
            "stone",
            "shell",
            other="trim",
            grain=1.5,
            relief=1.3,
        ),
        part(stroke([(-0.86, 0.3), (0.72, 0.3)], 0.13), "trim", name="rim"),
        *eye(0.9, -0.08, 0.06, "eye"),
    ]


def ladybird(rng: Rng) -> list[Part]:
    """From above."""
    dots = [(0.22, -0.3), (0.46, 0.05), (0.2, 0.28), (0.34, 0.6), (0.5, 0.36)][: rng.count(3, 5)]
    legs = [[(0.5, y), (0.8, y + 0.4 * (y - 0.1)), (0.92, y + 0.2)] for y in (-0.25, 0.1, 0.45)]
    return [
        *(p for leg in legs for p in pair(stroke(leg, 0.07), "dark", name="leg")),
        *pair(stroke(curve((0.1, -0.8), (0.2, -1.0), (0.36, -1.06)), 0.05), "dark", name="antenna"),
        part(ellipse(0, -0.68, 0.34, 0.26), "dark", name="head"),
        *pair(ellipse(0.2, -0.7, 0.09, n=12), "light"),
        *pair(
            smooth((0, -0.56), (0.4, -0.5), (0.68, 0.05), (0.5, 0.65), (0, 0.88)),
            "main",
            "plain",
            "wing case",
            relief=1.3,
        ),
        line([(0, -0.55), (0, 0.86)], 0.05),
        *(p for x, y in dots for p in pair(ellipse(x, y, rng.near(0.11, 0.2), n=16), "dark", relief=0.3)),
    ]


def octopus(rng: Rng) -> list[Part]:
    n, sway = rng.count(6, 8), rng.between(-0.2, 0.2)
    xs = [-0.5 + i / (n - 1) for i in range(n)]
    arms = [
        curve((0.8 * x, 0.1), (1.2 * x + sway * (-1) ** i, 0.5), (1.9 * x, 0.7), (1.95 * x + 0.12, 0.98))
        for i, x in enumerate(xs)
    ]
    return [
        *(
            part(stroke(arm, 0.22, 0.06), ("main", "second")[i % 2], "spots", "arm", other="light", grain=0.5)
            for i, arm in enumerate(arms)
        ),
        part(
            smooth((0, -1.0), (0.5, -0.85), (0.6, -0.35), (0.42, 0.2), (-0.42, 0.2), (-0.6, -0.35), (-0.5, -0.85)),
            "main",
            rng.pick(SKINS),
            "mantle",
            relief=1.2,
        ),
        *eye(0.22, -0.1, 0.14, "left eye", pupil=(0.8, 0.35)),
        *eye(-0.22, -0.1, 0.14, "right eye", pupil=(0.8, 0.35)),
    ]


def crab(rng: Rng) -> list[Part]:
    claw, gap = rng.near(0.26, 0.15), rng.between(0.35, 0.8)
    legs = [[(0.45, 0.2), (0.85, y), (1.0, y + 0.34)] for y in (0.05, 0.22, 0.4)]
    return [
        *(p for leg in legs for p in pair(stroke(leg, 0.11, 0.04), "second", name="leg")),
        *pair(stroke(curve((0.5, 0.0), (0.84, -0.14), (0.8, -0.45)), 0.14), "second"),
        *pair(
            ring(0.74, -0.62, claw, 0.17, -math.pi / 2 + gap, 1.5 * math.pi - 0.1), "main", "spots", "claw", grain=0.5
        ),
        *pair(stroke([(0.18, -0.2), (0.2, -0.5)], 0.06), "second", name="stalk"),
        part(
            smooth((-0.7, 0.05), (-0.4, -0.3), (0.4, -0.3), (0.7, 0.05), (0.4, 0.5), (-0.4, 0.5)),
            "main",
            "spots",
            "shell",
            other="accent",
            relief=1.2,
        ),
        *eye(0.2, -0.54, 0.1, "left eye"),
        *eye(-0.2, -0.54, 0.1, "right eye"),
        line(curve((-0.2, 0.26), (0, 0.34), (0.2, 0.26)), 0.05),
    ]


def whale(rng: Rng) -> list[Part]:
    jet = rng.near(0.34, 0.2)
    body = smooth(
        (1.0, 0.1),
        (0.85, -0.35),
        (0.3, -0.5),
        (-0.3, -0.2),
        (-0.8, -0.3),
        (-0.86, -0.12),
        (-0.4, 0.4),
        (0.3, 0.6),
        (0.85, 0.5),
    )
    spouts = [curve((0.42, -0.46), (0.42 + s * 0.06, -0.5 - jet), (0.42 + s * 0.34, -0.42 - jet)) for s in (-1, 1)]
    return [
        *(line(s, 0.09, "light", "spout", tip=0.05) for s in spouts),
        *(part(petal(-0.8, -0.2, 0.46, 0.26, a), "main", "plain", "fluke") for a in (-2.5, -1.1)),
        part(body, "main", "noise", "body", relief=1.2),
        part(
            smooth((0.98, 0.16), (0.4, 0.24), (-0.2, 0.38), (0.3, 0.58), (0.85, 0.48)),
            "light",
            "bands",
            "throat",
            other="dark",
            grain=0.4,
        ),
        part(petal(0.3, 0.3, 0.5, 0.26, 2.2), "second", "plain", "flipper"),
        *eye(0.66, 0.02, 0.075, "eye"),
    ]


def caterpillar(rng: Rng) -> list[Part]:
    n, wave, skin = rng.count(5, 7), rng.between(1.0, 2.2), rng.pick(SKINS)
    xs = [-0.85 + 1.3 * i / (n - 1) for i in range(n)]
    spine = [(x, 0.2 + 0.2 * math.sin(wave * x * 2)) for x in xs]
    hx, hy = 0.66, spine[-1][1] - 0.2
    return [
        *(line([(x, y + 0.1), (x - 0.04, y + 0.4)], 0.09, "dark", "foot") for x, y in spine),
        *(
            part(ellipse(x, y, rng.near(0.25, 0.06)), ("main", "second")[i % 2], skin, "segment", other="trim")
            for i, (x, y) in enumerate(spine)
        ),
        *(line([(hx + s * 0.1, hy - 0.2), (hx + s * 0.24, hy - 0.52)], 0.05, "dark", "antenna") for s in (-1, 1)),
        part(ellipse(hx, hy, 0.31), "accent", name="head", relief=1.3),
        *eye(hx + 0.12, hy - 0.06, 0.08, "left eye"),
        *eye(hx - 0.12, hy - 0.06, 0.08, "right eye"),
        line(curve((hx - 0.1, hy + 0.12), (hx, hy + 0.17), (hx + 0.1, hy + 0.12)), 0.04),
    ]


SOURCE = (fish, butterfly, snail)
CALTECH101 = (duck, turtle, ladybird)
CALTECH256 = (octopus, crab, whale, caterpillar)
