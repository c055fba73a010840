"""The random numbers of a picture: a few ways to draw from a numpy generator seeded by stable integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

import numpy as np

T = TypeVar("T")


class Rng:
    def __init__(self, seed: int, *names: str | int):
        """Each combination of names, words (by their CRC, the same in every process) or numbers, has its own stream."""
        words = [crc32(name.encode()) if isinstance(name, str) else name for name in names]
        self.generator = np.random.default_rng(np.random.SeedSequence([seed, *words]))

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.generator.random()

    def near(self, value: float, spread: float = 0.12) -> float:
        """The value times a factor between 1 - spread and 1 + spread."""
        return value * self.between(1 - spread, 1 + spread)

    def count(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + int(self.generator.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        return self.generator.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.generator.random() * len(options))]
