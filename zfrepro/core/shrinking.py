"""Shrink images to small ones of a few pixels, whose values are means over equal areas."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CHUNK = 64  # images reduced at once


def thumbnails(images: np.ndarray, size: int) -> Tensor:
    """float32 (N, size, size, 3) of uint8 (N, S, S, 3): means over equal areas, edges that cut a pixel share it."""
    shares = area_shares(images.shape[1], size)
    parts = [_shrink(images[start : start + CHUNK], shares) for start in range(0, len(images), CHUNK)]
    return torch.cat(parts) if parts else torch.empty(0, size, size, 3)


def area_shares(side: int, size: int, start: float = 0.0, length: float = 1.0) -> Tensor:
    """float32 (size, side), rows sum to 1: how much each of `side` pixels gives to each of `size` equal parts.

    The parts cover the image, or `length` of it from `start` on, both in shares of the side.
    """
    if side < size:
        raise ValueError(f"images of {side} pixels cannot be reduced to {size}")
    edges = np.linspace(start * side, (start + length) * side, size + 1)
    pixels = np.arange(side)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return torch.from_numpy((covered.clip(0) * size / (side * length)).astype(np.float32))


def _shrink(images: np.ndarray, shares: Tensor) -> Tensor:
    pixels = torch.from_numpy(images.astype(np.float32)).flatten(2)  # (B, S, S x 3)
    rows = torch.matmul(shares, pixels).view(len(images), len(shares), -1, 3)
    return torch.matmul(shares, rows)  # (B, size, size, 3)
