"""Resize an image's shorter side and crop its centre, as one resampling; the same map for boxes.

The largest centred square, `side` pixels wide, becomes `size` pixels wide: x -> (x - left) * size / side.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from zfrepro.core.finite import require_finite

# The paper leaves the filter open. Bicubic is what the tools of its time did unasked (MATLAB's imresize), and Pillow's
# widens with the reduction, so nothing aliases into the first layer's filters.
RESAMPLING = Image.Resampling.BICUBIC

Box = tuple[float, float, float, float]  # x0, y0, x1, y1: edges, not pixel numbers; a full image is 0, 0, width, height


def centre_square(width: int, height: int) -> tuple[int, int, int]:
    """Left, top and side of the largest centred square. Whole pixels, so that nothing is blurred where size = side."""
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side


def stored_pixels(image: Image.Image, size: int) -> np.ndarray:
    """uint8 (size, size, 3) of an RGB image"""
    left, top, side = centre_square(*image.size)
    square = image.resize((size, size), RESAMPLING, box=(left, top, left + side, top + side))
    return np.asarray(square, dtype=np.uint8)


def stored_box(box: Box, width: int, height: int, size: int) -> Box | None:
    """A box of a (width, height) image in stored pixels, clipped to the crop; None if nothing remains.

    Raises NotFiniteError: an edge that is NaN would leave nothing, one at infinity would be clipped.
    """
    require_finite(np.array(box, dtype=float), "edges of a box")
    left, top, side = centre_square(width, height)
    x0, x1 = (_clip((x - left) * size / side, size) for x in box[0::2])
    y0, y1 = (_clip((y - top) * size / side, size) for y in box[1::2])
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def _clip(value: float, size: int) -> float:
    return min(max(value, 0.0), float(size))
