"""Which images of one set also stand in another, by normalised correlation of small copies.

The paper finds images of the Caltechs in ImageNet's training set so and removes them (section 5.2); it states neither the
size nor the threshold.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zfrepro.core.finite import require_finite

CHUNK = 64  # images reduced at once
FLAT = 1e-2  # grey levels: a small copy that varies less has nothing to correlate


def find(
    target: np.ndarray,
    source: np.ndarray,
    size: int = 16,
    block: int = 1024,
    mirrored: bool = False,
    device: torch.device | str = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """The largest correlation of every target image with a source image, float32 (N,), and which one, int64 (N,).

    target, source: uint8 (N, S, S, 3) and (M, T, T, 3), memory-mapped if need be; only `block` source images are held at
    a time. mirrored: a source image seen in a mirror counts too. Of source images that are equal any one is named. A
    flat image correlates 0 with everything. Raises ValueError for an empty source or one smaller than `size`.
    """
    if not len(source):
        raise ValueError("there is no source image to compare with")
    targets = thumbnails(target, size).to(device)
    turned = _unit(targets.flip(2)) if mirrored else None
    targets = _unit(targets)
    best = torch.full((len(target),), -torch.inf, device=device)
    index = torch.zeros(len(target), dtype=torch.int64, device=device)
    for start in range(0, len(source), block):
        against = _unit(thumbnails(source[start : start + block], size).to(device))
        correlation = targets @ against.T
        if turned is not None:
            correlation = torch.maximum(correlation, turned @ against.T)
        highest, position = correlation.max(1)
        better = highest > best
        best, index = torch.where(better, highest, best), torch.where(better, position + start, index)
    return best.clamp(-1, 1).cpu().numpy(), index.cpu().numpy()


def thumbnails(images: np.ndarray, size: int) -> Tensor:
    """float32 (N, size, size, 3) of uint8 (N, S, S, 3): means over equal areas, edges that cut a pixel share it."""
    shares = area_shares(images.shape[1], size)
    parts = [_reduced(images[start : start + CHUNK], shares) for start in range(0, len(images), CHUNK)]
    return torch.cat(parts) if parts else torch.empty(0, size, size, 3)


def area_shares(side: int, size: int) -> Tensor:
    """float32 (size, side), rows sum to 1: how much each of `side` pixels gives to each of `size` equal parts."""
    if side < size:
        raise ValueError(f"images of {side} pixels cannot be reduced to {size}")
    edges = np.linspace(0, side, size + 1)
    pixels = np.arange(side)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return torch.from_numpy((covered.clip(0) * size / side).astype(np.float32))


def _reduced(images: np.ndarray, shares: Tensor) -> Tensor:
    pixels = torch.from_numpy(images.astype(np.float32)).flatten(2)  # (B, S, S x 3)
    rows = torch.matmul(shares, pixels).view(len(images), len(shares), -1, 3)
    return torch.matmul(shares, rows)  # (B, size, size, 3)


def _unit(thumbnails: Tensor) -> Tensor:
    """(N, size x size x 3): mean 0 in every channel, length 1; 0 for a flat image. Products of rows are correlations.

    Channel by channel, for a common mean would let any two images of one colour, blue skies and seas, correlate. Raises
    NotFiniteError: a length that is NaN would count as a flat image's, and the image as one that stands nowhere else.
    """
    rows = (thumbnails - thumbnails.mean((1, 2), keepdim=True)).flatten(1)
    length = require_finite(rows.norm(dim=1, keepdim=True), "small copies")
    return torch.where(length > FLAT * rows.shape[1] ** 0.5, rows / length.clamp(min=1e-12), 0)
