"""Vehicles seen from the side, facing right: named wheels, windows, hulls and wings."""

from __future__ import annotations

import math

from zfrepro.datasets.drawing.parts import Part, flag, line, part, smoke, spoked_wheel, wheel, window
from zfrepro.datasets.drawing.rng import Rng
from zfrepro.datasets.drawing.shapes import box, curve, ellipse, petal, poly, ring, rounded, smooth, stroke


def car(rng: Rng) -> list[Part]:
    r, back, front = rng.near(0.23), rng.between(-0.66, -0.54), rng.between(0.56, 0.66)
    top, lean = rng.between(-0.52, -0.4), rng.between(0.0, 0.16)
    body = smooth((-1, 0.05), (-0.8, -0.1), (0.3, -0.12), (0.85, -0.02), (1, 0.2), (0.96, 0.36), (-0.98, 0.36))
    cabin = poly((-0.68, -0.08), (-0.5 + lean / 2, top), (0.12, top), (0.46, -0.08))
    panes = [poly((-0.56, -0.08), (-0.44 + lean / 2, top + 0.07), (-0.12, top + 0.07), (-0.12, -0.08)),
             poly((-0.04, -0.08), (-0.04, top + 0.07), (0.09, top + 0.07), (0.34, -0.08))]  # fmt: skip
    return [
        part(cabin, name="cabin"),
        *(part(pane, "glass", "metal", "window") for pane in panes),
        part(body, "main", "metal", "body"),
        line([(-0.08, -0.04), (-0.08, 0.3)], 0.025),
        line([(-0.95, 0.2), (0.95, 0.2)], 0.05, "second"),
        line([(-0.28, 0.02), (-0.16, 0.02)], 0.04),
        part(ellipse(0.93, 0.12, 0.06, 0.08, n=12), "light", name="headlight"),
        *wheel(back, 0.36, r, "rear wheel"),
        *wheel(front, 0.36, r, "front wheel"),
    ]


def bus(rng: Rng) -> list[Part]:
    n, top = rng.count(4, 6), rng.between(-0.62, -0.48)
    step = 1.5 / n
    panes = [window(-0.88 + step * (i + 0.5), top + 0.3, 0.8 * step, 0.34, cross=False) for i in range(n)]
    return [
        part(rounded(0, (top + 0.45) / 2, 2, 0.45 - top, power=9), "main", "metal", "body"),
        part(box(0, 0.18, 1.98, rng.near(0.14, 0.4)), "second", relief=0.3),
        *(p for pane in panes for p in pane),
        part(box(0.81, top + 0.5, 0.22, 0.72), "glass", "metal", "door", relief=0.5),
        line([(0.81, top + 0.14), (0.81, top + 0.86)], 0.03),
        *wheel(rng.near(-0.58), 0.45, 0.2, "rear wheel"),
        *wheel(rng.near(0.5), 0.45, 0.2, "front wheel"),
    ]


def truck(rng: Rng) -> list[Part]:
    top, load = rng.between(-0.7, -0.55), rng.pick(("planks", "ribs", "bands", "checks"))
    return [
        part(box(-0.3, (top + 0.28) / 2, 1.36, 0.28 - top), "second", load, "cargo", other="trim"),
        part(box(0, 0.33, 1.9, 0.1), "dark"),
        part(smooth((0.44, 0.34), (0.44, -0.32), (0.74, -0.34), (0.86, -0.02), (1, 0.06), (1, 0.34)), name="cab"),
        part(poly((0.56, -0.02), (0.56, -0.24), (0.72, -0.24), (0.82, -0.02)), "glass", "metal", "window"),
        *(p for x in (-0.74, -0.36) for p in wheel(x, 0.42, 0.19, "rear wheel")),
        *wheel(0.72, 0.42, 0.19, "front wheel"),
    ]


def bicycle(rng: Rng) -> list[Part]:
    r, turn = rng.near(0.42, 0.08), rng.between(0, 0.6)
    hub, crank, seat, head, front = (-0.55, 0.3), (-0.08, 0.32), (-0.24, -0.28), (0.38, -0.26), (0.56, 0.3)
    tubes = [(hub, crank), (hub, seat), (crank, seat), (seat, head), (crank, head)]
    return [
        *spoked_wheel(*hub, r, "rear wheel", turn=turn),
        *spoked_wheel(*front, r, "front wheel", turn=turn),
        *(line(tube, 0.085, "main") for tube in tubes),
        line([(0.33, -0.45), head, front], 0.07, "main", "fork"),
        line([(-0.27, -0.42), seat], 0.06, "dark"),
        part(smooth((-0.46, -0.5), (-0.08, -0.46), (-0.2, -0.38), (-0.42, -0.38)), "dark", name="saddle"),
        line(curve((0.33, -0.45), (0.48, -0.52), (0.54, -0.4)), 0.07, "dark", "handlebar"),
        part(ellipse(*crank, 0.1, n=14), "light", "metal"),
        line([(-0.08, 0.32), (0.06, 0.46)], 0.05, "dark"),
    ]


def motorcycle(rng: Rng) -> list[Part]:
    r = rng.near(0.36, 0.08)
    rings = [(-0.58, 0.3, "rear wheel"), (0.62, 0.3, "front wheel")]
    return [
        *(p for x, y, name in rings for p in spoked_wheel(x, y, r, name, 0.14, 4)),
        line([(0.28, -0.42), (0.62, 0.3)], 0.1, "light"),
        part(rounded(0, 0.22, 0.5, 0.36, power=5), "light", "ribs", "engine", other="dark"),
        line(curve((0.1, 0.36), (-0.4, 0.42), (-0.98, 0.3)), 0.12, "trim", "exhaust"),
        part(smooth((-0.9, -0.12), (-0.5, -0.14), (-0.1, -0.06), (-0.1, 0.14), (-0.5, 0.06)), "second", name="tail"),
        part(smooth((-0.76, -0.24), (-0.4, -0.18), (-0.12, -0.2), (-0.1, -0.06), (-0.6, -0.1)), "dark", name="seat"),
        part(smooth((-0.16, -0.14), (0.02, -0.34), (0.32, -0.3), (0.36, -0.08), (0.1, 0.04)), name="tank", relief=1.4),
        part(ellipse(0.42, -0.3, 0.12, n=16), "light", name="headlight"),
        line(curve((0.3, -0.4), (0.16, -0.56), (0.04, -0.54)), 0.06, "dark", "handlebar"),
        part(ring(0.62, 0.3, r + 0.1, 0.08, 3.5, 5.6), "main"),
    ]


def train(rng: Rng) -> list[Part]:
    stack, big = rng.near(0.4, 0.2), rng.near(0.24)
    return [
        *smoke(0.66, -0.5 - stack, 0.22),
        part(poly((0.58, -0.2), (0.54, -0.25 - stack), (0.82, -0.25 - stack), (0.76, -0.2)), "dark", name="chimney"),
        part(rounded(-0.02, -0.34, 0.24, 0.26, power=3), "trim", "metal", "dome"),
        part(rounded(0.28, -0.04, 1.3, 0.5, power=6), "main", "metal", "boiler"),
        *(part(box(x, -0.04, 0.06, 0.5), "trim", relief=0.6) for x in (0.0, 0.36, 0.7)),
        part(box(-0.64, -0.16, 0.6, 0.8), "second", name="cab"),
        part(box(-0.64, -0.58, 0.76, 0.1), "dark", name="roof"),
        *window(-0.64, -0.28, 0.34, 0.3, cross=False),
        part(box(0, 0.28, 1.86, 0.14), "dark"),
        part(poly((0.9, 0.2), (1.14, 0.56), (0.86, 0.56)), "accent", "ribs", "cowcatcher"),
        *(p for x in (-0.68, -0.16) for p in wheel(x, 0.36, big, "driving wheel", "accent")),
        *(p for x in (0.32, 0.7) for p in wheel(x, 0.44, 0.15, "front wheel", "accent")),
        line([(-0.68, 0.38), (0.0, 0.42)], 0.07, "light"),
    ]


def tractor(rng: Rng) -> list[Part]:
    big = rng.near(0.44, 0.08)
    return [
        part(box(0.52, -0.5, 0.08, 0.5), "dark", name="exhaust"),
        part(smooth((-0.2, -0.3), (0.7, -0.28), (0.96, -0.14), (0.96, 0.3), (-0.2, 0.34)), "main", "metal", "bonnet"),
        part(box(0.62, 0.0, 0.4, 0.3), "dark", "ribs", other="light", relief=0.5),
        part(poly((-0.62, 0), (-0.54, -0.74), (0.02, -0.74), (0.1, 0)), "second", name="cab"),
        part(poly((-0.5, -0.08), (-0.44, -0.64), (-0.06, -0.64), (0, -0.08)), "glass", "metal", "window"),
        part(box(-0.26, -0.78, 0.74, 0.1), "dark", name="roof"),
        part(ring(-0.42, 0.3, big + 0.12, 0.12, math.pi, 2 * math.pi), "main", name="mudguard"),
        *wheel(-0.42, 0.3, big, "rear wheel", "accent"),
        *wheel(0.66, 0.5, rng.near(0.24), "front wheel", "accent"),
    ]


def sailboat(rng: Rng) -> list[Part]:
    top, cloth = rng.between(-1.15, -0.95), rng.pick(("bands", "plain", "ribs", "checks"))
    main = smooth((0.02, top + 0.08), (0.3, -0.5), (0.68, 0.18), (0.3, 0.22), (0.02, 0.2), (0.02, -0.4))
    jib = smooth((-0.06, top + 0.2), (-0.4, -0.3), (-0.72, 0.2), (-0.35, 0.22), (-0.06, 0.14), (-0.06, -0.4))
    return [
        part(box(-0.02, (top + 0.4) / 2, 0.06, 0.4 - top), "dark", name="mast"),
        part(main, "light", cloth, "mainsail", other="accent"),
        part(jib, "second", name="jib"),
        *flag(-0.02, top, 0.2),
        part(
            smooth((-0.9, 0.3), (0, 0.36), (0.98, 0.24), (0.7, 0.66), (0, 0.74), (-0.62, 0.64)),
            "main",
            "planks",
            "hull",
        ),
        line([(-0.84, 0.42), (0.86, 0.4)], 0.07, "trim"),
    ]


def steamship(rng: Rng) -> list[Part]:
    n = rng.count(2, 3)
    stacks = [-0.4 + 0.4 * i for i in range(n)]
    ports = [-0.6 + 0.24 * i for i in range(6)]
    return [
        *smoke(stacks[0], -0.72, 0.2),
        *(
            part(poly((x - 0.1, -0.1), (x - 0.13, -0.62), (x + 0.09, -0.62), (x + 0.12, -0.1)), "accent", name="funnel")
            for x in stacks
        ),
        *(part(box(x - 0.02, -0.58, 0.23, 0.1), "dark") for x in stacks),
        part(box(-0.02, -0.06, 1.3, 0.24), "light", "windows", "deck", other="dark", grain=0.8),
        part(box(0.5, -0.2, 0.3, 0.24), "light", name="bridge"),
        part(poly((-0.95, 0.06), (1.05, 0.0), (0.84, 0.5), (-0.78, 0.5)), "main", "metal", "hull"),
        part(poly((-0.87, 0.34), (0.91, 0.34), (0.84, 0.5), (-0.78, 0.5)), "second"),
        *(part(ellipse(x, 0.18, 0.05, n=12), "light") for x in ports),
    ]


def submarine(rng: Rng) -> list[Part]:
    return [
        line(curve((0.02, -0.4), (0.04, -0.85), (0.22, -0.86)), 0.07, "dark", "periscope"),
        part(poly((-0.26, -0.2), (-0.18, -0.6), (0.28, -0.6), (0.34, -0.2)), "second", "metal", "tower"),
        *(part(petal(-0.96, 0.08, 0.34, 0.2, s * math.pi / 2), "accent", name="propeller") for s in (-1, 1)),
        part(poly((-0.6, 0), (-0.96, -0.38), (-0.98, 0.5)), "second", name="rudder"),
        part(
            smooth((-0.96, 0.08), (-0.5, -0.24), (0.5, -0.3), (0.96, 0.02), (0.6, 0.4), (-0.4, 0.4)),
            "main",
            "metal",
            "hull",
        ),
        *(p for x in (-0.3, 0.1, 0.5) for p in porthole(x, 0.04, rng.near(0.13))),
    ]


def porthole(x: float, y: float, r: float) -> list[Part]:
    return [
        part(ellipse(x, y, r, n=20), "trim", name="porthole"),
        part(ellipse(x, y, 0.68 * r, n=16), "glass", "metal"),
    ]


def aeroplane(rng: Rng) -> list[Part]:
    """From above and ahead: a long body, swept wings and a tail."""
    sweep, span = rng.between(0.25, 0.5), rng.near(0.85, 0.08)
    wing = poly((0.22, 0.06), (-0.12 - sweep, span), (-0.34 - sweep, span), (-0.24, 0.06))
    tail = poly((-0.66, 0.05), (-0.88, 0.38), (-1.0, 0.38), (-0.9, 0.05))
    pods = [rounded(-0.08 - 0.25 * sweep, s * 0.42, 0.3, 0.13, power=3) for s in (-1, 1)]
    ports = [-0.6 + 0.16 * i for i in range(7)]
    return [
        *(part(pod, "dark", "metal", "engine") for pod in pods),
        *(
            part(shape * (1, s), "second", "metal", name)
            for s in (-1, 1)
            for shape, name in ((wing, "wing"), (tail, "tailplane"))
        ),
        part(
            smooth((-1, 0), (-0.7, -0.11), (0.6, -0.13), (0.98, 0), (0.6, 0.13), (-0.7, 0.11)),
            "main",
            "metal",
            "fuselage",
        ),
        *(part(ellipse(x, -0.03, 0.035, n=10), "dark", relief=0) for x in ports),
        part(smooth((0.66, -0.08), (0.8, -0.05), (0.8, 0.05), (0.66, 0.08)), "glass", name="cockpit"),
        part(poly((-0.98, 0), (-0.62, -0.03), (-0.62, 0.03)), "accent", name="fin"),
    ]


def helicopter(rng: Rng) -> list[Part]:
    reach = rng.near(0.95, 0.06)
    return [
        part(poly((-0.1, -0.24), (-0.1, 0.16), (-1, -0.1), (-1, -0.22)), "main", "metal", "tail boom"),
        part(poly((-0.86, -0.14), (-1.06, -0.48), (-0.94, -0.48), (-0.74, -0.14)), "second", name="fin"),
        *(part(petal(-1, -0.3, 0.22, 0.09, a), "dark", name="tail rotor") for a in (0.6, 0.6 + math.pi)),
        part(box(0.2, -0.46, 0.08, 0.3), "dark"),
        part(stroke([(0.2 - reach, -0.58), (0.2, -0.64), (0.2 + reach, -0.58)], 0.08), "trim", name="rotor"),
        *(line([(x, 0.3), (x - 0.06, 0.56)], 0.05) for x in (0.04, 0.46)),
        line(curve((-0.4, 0.56), (0.4, 0.57), (0.8, 0.5)), 0.07, "dark", "skid"),
        part(
            smooth((-0.3, -0.1), (-0.1, -0.36), (0.4, -0.36), (0.78, -0.02), (0.7, 0.3), (0.2, 0.4), (-0.2, 0.3)),
            "main",
            "metal",
            "cabin",
        ),
        part(smooth((0.3, -0.26), (0.56, -0.16), (0.72, 0.06), (0.3, 0.08)), "glass", "metal", "windscreen"),
        part(box(0.06, 0.02, 0.26, 0.44), "second", name="door", relief=0.5),
    ]


def rocket(rng: Rng) -> list[Part]:
    fin, flame = poly((0.2, 0.3), (0.56, 0.72), (0.52, 0.86), (0.18, 0.66)), rng.near(0.4, 0.3)
    return [
        part(
            smooth(
                (-0.18, 0.66),
                (0, 0.6),
                (0.18, 0.66),
                (0.1, 0.8 + flame / 2),
                (0, 0.75 + flame),
                (-0.1, 0.8 + flame / 2),
            ),
            "accent",
            "noise",
            "flame",
            other="light",
        ),
        *(part(fin * (s, 1), "second", "metal", "fin") for s in (-1, 1)),
        part(
            smooth((0, -1.15), (0.24, -0.7), (0.32, 0), (0.22, 0.68), (-0.22, 0.68), (-0.32, 0), (-0.24, -0.7)),
            "main",
            "metal",
            "body",
        ),
        part(
            smooth((0, -1.15), (0.15, -0.9), (0.24, -0.66), (0, -0.6), (-0.24, -0.66), (-0.15, -0.9)),
            "second",
            name="nose cone",
        ),
        *porthole(0, -0.3, rng.near(0.16)),
        part(box(0, 0.26, 0.58, 0.1), "trim", relief=0.5),
        part(poly((-0.04, 0.2), (0.04, 0.2), (0.05, 0.84), (-0.05, 0.84)), "second", name="fin"),
    ]


def balloon(rng: Rng) -> list[Part]:
    """A hot-air balloon: gores, ropes and a basket."""
    widths = (1.0, 0.62, 0.24)

    def gore(w):
        return smooth(
            (0, -1.1),
            (0.62 * w, -0.82),
            (0.72 * w, -0.36),
            (0.3 * w, 0.3),
            (-0.3 * w, 0.3),
            (-0.72 * w, -0.36),
            (-0.62 * w, -0.82),
        )

    ropes = [[(s * 0.24, 0.28), (s * 0.15, 0.74)] for s in (-1, 1)]
    return [
        *(line(rope, 0.025) for rope in ropes),
        *(
            part(gore(w), slot, "plain", "envelope", relief=r)
            for w, slot, r in zip(widths, ("main", "second", "main"), (1.2, 0.5, 0.5), strict=True)
        ),
        part(box(0, 0.3, 0.5, 0.09), "trim"),
        part(rounded(0, 0.86, 0.4, 0.3, power=6), "accent", "knit", "basket"),
    ]


SOURCE = (car, bus, bicycle, train, sailboat, aeroplane)
CALTECH101 = (truck, tractor, steamship, helicopter)
CALTECH256 = (motorcycle, submarine, rocket, balloon)
