"""Histograms of oriented gradients (Dalal and Triggs, CVPR 2005): hand-made features to set beside the learned ones.

Gradients [-1, 0, 1] of the channel where they are strongest; 9 unsigned directions, a vote shared between the nearest two;
cells of 8 x 8 pixels; overlapping blocks of 2 x 2 cells, each scaled to length 1, cut at 0.2 and scaled again (L2-Hys).
A vote is not shared between cells and a block is not weighted by a Gaussian: as in scikit-image, not as in 2005.
"""

from __future__ import annotations

import numpy as np

from zfrepro.core.finite import require_finite

CELL = 8  # pixels
BLOCK = 2  # cells
DIRECTIONS = 9  # of the gradient, 0, 20, ..., 160 degrees; 0: brightness changes along a row (a vertical edge)
CUT = 0.2
CHUNK = 32  # images at once


def hog(images: np.ndarray) -> np.ndarray:
    """float32 (N, D) of uint8 (N, S, S, 3): D = (S // 8 - 1)^2 x 4 x 9. Pixels beyond whole cells are left out evenly.

    Raises ValueError for images smaller than a block, NotFiniteError for a feature that is not finite.
    """
    if images.shape[1] < CELL * BLOCK:
        raise ValueError(f"images of {images.shape[1]} pixels are smaller than a block of {CELL * BLOCK}")
    parts = [
        normalise_blocks(cells(images[start : start + CHUNK])).reshape(len(images[start : start + CHUNK]), -1)
        for start in range(0, len(images), CHUNK)
    ]
    features = np.concatenate(parts) if parts else np.empty((0, length(images.shape[1])), np.float32)
    return require_finite(features, "features", "HOG")


def length(size: int) -> int:
    """Features of an image of `size` x `size` pixels."""
    return (size // CELL - BLOCK + 1) ** 2 * BLOCK**2 * DIRECTIONS


def cells(images: np.ndarray) -> np.ndarray:
    """float32 (B, n, n, 9), n = S // 8: gradient lengths summed by direction in every cell."""
    down, across = gradients(images)
    count, side = len(images), images.shape[1] // CELL
    first = (images.shape[1] - side * CELL) // 2
    inside = (slice(None), slice(first, first + side * CELL), slice(first, first + side * CELL))
    down, across = down[inside], across[inside]
    length = np.hypot(down, across)
    direction = np.arctan2(down, across) * np.float32(DIRECTIONS / np.pi) % DIRECTIONS  # opposite directions are one
    below = direction.astype(np.int64)  # `direction` may round up to 9, which is direction 0
    share = direction - below
    numbers = np.arange(side * CELL) // CELL
    cell = ((np.arange(count)[:, None, None] * side + numbers[:, None]) * side + numbers) * DIRECTIONS
    total = count * side * side * DIRECTIONS
    votes = np.bincount((cell + below % DIRECTIONS).ravel(), (length * (1 - share)).ravel(), total)
    votes += np.bincount((cell + (below + 1) % DIRECTIONS).ravel(), (length * share).ravel(), total)
    return votes.reshape(count, side, side, DIRECTIONS).astype(np.float32)


def gradients(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Down and across, float32 (B, S, S), per two pixels, of the channel with the longest gradient; 0 at the border."""
    pixels = images.astype(np.float32)
    down, across = np.zeros_like(pixels), np.zeros_like(pixels)
    down[:, 1:-1] = pixels[:, 2:] - pixels[:, :-2]
    across[:, :, 1:-1] = pixels[:, :, 2:] - pixels[:, :, :-2]
    y, x, longest = down[..., 0], across[..., 0], down[..., 0] ** 2 + across[..., 0] ** 2
    for channel in (1, 2):
        length = down[..., channel] ** 2 + across[..., channel] ** 2
        longer = length > longest
        y, x = np.where(longer, down[..., channel], y), np.where(longer, across[..., channel], x)
        longest = np.where(longer, length, longest)
    return y, x


def normalise_blocks(cells: np.ndarray) -> np.ndarray:
    """(B, n - 1, n - 1, 4, 9) of (B, n, n, 9): each block of 2 x 2 cells by L2-Hys; 0 where nothing changes."""
    last = cells.shape[1] - BLOCK + 1
    corners = [cells[:, y : y + last, x : x + last] for y in range(BLOCK) for x in range(BLOCK)]
    blocks = _scale(np.stack(corners, axis=3))
    return _scale(np.minimum(blocks, CUT))


def _scale(blocks: np.ndarray) -> np.ndarray:
    length = np.sqrt((blocks**2).sum((3, 4), keepdims=True))
    scaled: np.ndarray = blocks / np.maximum(length, np.float32(1e-5))
    return scaled
