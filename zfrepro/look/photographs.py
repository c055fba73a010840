"""Read the photographs to look at, and name them so that they can be told apart and printed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from zfrepro.datasets.decoding import UnreadableImageError, decode
from zfrepro.errors import UserError
from zfrepro.storage.paths import printable


@dataclass(frozen=True)
class Photograph:
    name: str  # tells it from the others, safe to print
    size: tuple[int, int]  # width and height when upright, pixels
    crop: np.ndarray  # uint8 (s, s, 3), what the network sees of it


def load(paths: Sequence[Path], crop: Callable[[Image.Image], np.ndarray]) -> list[Photograph]:
    """Every photograph cut by `crop`, in order; only the cuts stay in memory.

    Raises one UserError with a line for every file that cannot be read.
    """
    loaded, faults = [], []
    for path, name in zip(paths, _names(paths), strict=True):
        try:
            image = decode(path).image
            loaded.append(Photograph(printable(name), image.size, crop(image)))
        except UnreadableImageError as error:
            faults.append(printable(str(error)))
    if faults:
        raise UserError("\n".join(faults))
    return loaded


def _names(paths: Sequence[Path]) -> list[str]:
    """The files' names; where two are alike, with the folders in which they differ."""
    if len({path.name for path in paths}) == len(paths):
        return [path.name for path in paths]
    common = os.path.commonpath([path.absolute().parent for path in paths])
    return [os.path.relpath(path.absolute(), common) for path in paths]
