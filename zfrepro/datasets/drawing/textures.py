"""Textures: periodic 256 x 256 tiles with values 0 to 1, computed once, with halved copies for small objects."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

SIDE = 256
Y, X = np.mgrid[:SIDE, :SIDE].astype(np.float32)
MAKERS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {}


def texture(maker):
    MAKERS[maker.__name__.strip("_")] = maker
    return maker


@functools.cache
def tiles(name: str) -> list[np.ndarray]:
    """The tile at sides 256, 128, 64 and 32."""
    rng = np.random.default_rng([7, sorted(MAKERS).index(name)])
    levels = [np.clip(MAKERS[name](rng), 0, 1).astype(np.float32)]
    for _ in range(3):
        t = levels[-1]
        levels.append((t[::2, ::2] + t[1::2, ::2] + t[::2, 1::2] + t[1::2, 1::2]) / 4)
    return levels


@functools.cache
def film_grain(side: int) -> np.ndarray:
    """3 x side x side normal noise, a tile repeated; for the finished picture."""
    tile = np.random.default_rng(11).normal(size=(3, SIDE, SIDE)).astype(np.float32)
    times = -(-side // SIDE)
    return np.tile(tile, (1, times, times))[:, :side, :side]


def _cloud(rng, slope: float, sx: float = 1, sy: float = 1, cut: float = 0) -> np.ndarray:
    """Noise whose amplitude falls with frequency to the power `slope`; sx, sy > 1 lengthen it along x, y."""
    fy, fx = np.meshgrid(np.fft.fftfreq(SIDE) * SIDE * sy, np.fft.rfftfreq(SIDE) * SIDE * sx, indexing="ij")
    f = np.hypot(fx, fy)
    gain = np.where(f > cut, np.maximum(f, 1) ** -slope, 0)
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(SIDE, SIDE))) * gain)
    return 0.5 + (noise - noise.mean()) / (4.5 * noise.std())


def _step(values: np.ndarray, threshold: float, softness: float) -> np.ndarray:
    return np.clip((values - threshold) / softness + 0.5, 0, 1)


def _nearest(rng, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances, in pixels, to the nearest and second nearest of n x n jittered grid points."""
    step = SIDE / n
    points = (np.moveaxis(np.mgrid[:n, :n], 0, -1).reshape(-1, 2) + rng.random((n * n, 2)) * 0.8) * step
    first, second = (np.full((SIDE, SIDE), 1e9, np.float32) for _ in range(2))
    for y, x in points.astype(np.float32):
        dy, dx = (np.abs(axis - at) for axis, at in ((Y[:, 0], y), (X[0], x)))
        d = np.hypot(np.minimum(dy, SIDE - dy)[:, None], np.minimum(dx, SIDE - dx)[None])
        second = np.minimum(second, np.maximum(first, d))
        first = np.minimum(first, d)
    return first, second


@texture
def plain(rng):
    return 0.3 * _cloud(rng, 1.2)


@texture
def noise(rng):
    return _cloud(rng, 1.1)


@texture
def fur(rng):
    return 0.9 * _cloud(rng, 0.6, sy=3, cut=20)


@texture
def wool(rng):
    return 1.15 - _nearest(rng, 14)[0] / 12


@texture
def stripes(rng):
    warp = 16 * _cloud(rng, 2.2) + 10 * _cloud(rng, 1.6)
    return _step(np.sin(2 * np.pi * (Y / 32 + warp / 14)) + 0.5 * _cloud(rng, 1.8), 0.45, 0.3)


@texture
def bands(rng):
    return _step(np.sin(2 * np.pi * Y / 64), 0, 0.15) + 0.1 * _cloud(rng, 1)


@texture
def ribs(rng):
    return 0.5 + 0.5 * np.sin(2 * np.pi * X / 16) + 0.1 * _cloud(rng, 1)


@texture
def spots(rng):
    return _step(-_nearest(rng, 8)[0], -9, 2.5)


@texture
def patches(rng):
    return _step(_cloud(rng, 2.0, cut=3), 0.52, 0.03)


@texture
def checks(rng):
    return _step(np.sin(2 * np.pi * X / 32) * np.sin(2 * np.pi * Y / 32), 0, 0.2) * 0.9 + 0.1 * _cloud(rng, 1)


@texture
def brick(rng):
    row = (Y // 16).astype(int)
    x = (X + 16 * (row % 2)) % SIDE
    tone = rng.random((16, 8))[row, (x // 32).astype(int)]
    mortar = (Y % 16 < 2.5) | (x % 32 < 2.5)
    return np.where(mortar, 1, 0.5 * tone * 0.8 + 0.15 * _cloud(rng, 1))


@texture
def shingles(rng):
    row = (Y // 16).astype(int)
    x = (X + 8 * (row % 2)) % SIDE
    tone = rng.random((16, 16))[row, (x // 16).astype(int)]
    return np.where(x % 16 < 1.6, 0.9, 0.15 + 0.55 * (Y % 16) / 16 + 0.3 * (tone - 0.5))


@texture
def stone(rng):
    first, second = _nearest(rng, 9)
    return _step(first - second, -2.5, 3) * 0.8 + 0.3 * _cloud(rng, 1)


@texture
def planks(rng):
    board = (X // 32).astype(int)
    grain = _cloud(rng, 1.1, sy=10, cut=4)
    return np.where(X % 32 < 2, 1, 0.55 * grain + 0.35 * rng.random(8)[board])


@texture
def bark(rng):
    return _step(_cloud(rng, 1.0, sy=6, cut=8), 0.5, 0.5)


@texture
def metal(rng):
    return 0.25 * _cloud(rng, 0.7, sx=20) + 0.6 * _step(np.sin(2 * np.pi * Y / 128), 0.2, 1.4)


@texture
def water(rng):
    return _cloud(rng, 1.3, sx=7, sy=1, cut=6)


@texture
def grass(rng):
    return _step(_cloud(rng, 0.9, sy=4, cut=10), 0.5, 0.8)


@texture
def leaves(rng):
    """Hundreds of leaves over one another, each with its own tone."""
    image = Image.new("L", (SIDE, SIDE), 128)
    pen = ImageDraw.Draw(image)
    t = np.linspace(0, 2 * np.pi, 12)
    for _ in range(420):
        (x, y), a, r = rng.random(2) * SIDE, rng.random() * 6.3, 8 + 7 * rng.random()
        px, py = r * np.cos(t), 0.45 * r * np.sin(t)
        tone = int(255 * rng.random())
        for ox in (-SIDE, 0, SIDE):
            for oy in (-SIDE, 0, SIDE):
                at = np.stack([x + ox + px * np.cos(a) - py * np.sin(a), y + oy + px * np.sin(a) + py * np.cos(a)], 1)
                if at.max() > 0 and at.min() < SIDE:
                    pen.polygon(at.ravel().tolist(), fill=tone)
    return np.asarray(image) / 255


@texture
def scales(rng):
    """Overlapping round scales: each darkens towards its rim."""
    best = np.zeros((SIDE, SIDE), np.float32)
    for row in range(3):
        y = (Y + 8 * row) % 16 + 8 * (1 - row)
        x = (X + 8 * ((((Y + 8 * row) // 16).astype(int) * 2 + row) % 2)) % 16 - 8
        inside = np.hypot(x, y - 8)
        best = np.where((best == 0) & (inside < 10), inside / 10, best)
    return best**2 + 0.1 * _cloud(rng, 1)


@texture
def feathers(rng):
    return 0.6 * scales(rng) + 0.5 * fur(rng)


@texture
def windows(rng):
    lit = rng.random((8, 16))[(Y // 32).astype(int), (X // 16).astype(int)]
    pane = (Y % 32 > 9) & (X % 16 > 5)
    return np.where(pane, 0.55 + 0.45 * lit, 0.08)


@texture
def knit(rng):
    return 0.5 + 0.35 * np.sin(2 * np.pi * (Y + np.abs(X % 16 - 8)) / 8) + 0.15 * _cloud(rng, 1)
