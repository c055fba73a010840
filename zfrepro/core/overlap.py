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
WINDOW_BATCH = 32  # images whose windows are compared at once
CANDIDATES = 3  # source images per size whose windows are compared
PARTS = 0.95, 0.9, 0.8  # sides of the windows: copies that lost up to a fifth of their side, or got a frame
FLAT = 1e-2  # grey levels: a small copy that varies less has nothing to correlate


def find(
    target: np.ndarray,
    source: np.ndarray,
    size: int = 16,
    block: int = 1024,
    mirrored: bool = False,
    crops: bool = False,
    device: torch.device | str = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """The largest correlation of every target image with a source image, float32 (N,), and which one, int64 (N,).

    target, source: uint8 (N, S, S, 3) and (M, T, T, 3), memory-mapped if need be; only `block` source images are held at
    a time. mirrored: a source image seen in a mirror counts too. crops: so does a part of either image (see `windows`), of the
    CANDIDATES source images that correlate most as wholes, at `size` and at half of it. Of source images that are equal any one is
    named. A flat image correlates 0 with everything. Raises ValueError for an empty source or one smaller than `size`.
    """
    if not len(source):
        raise ValueError("there is no source image to compare with")
    best, index = _rank(target, source, size, 1, block, mirrored, device)
    if crops and len(target):
        sizes = (size, max(size // 2, 1))
        ranked = [_rank(target, source, side, CANDIDATES, block, mirrored, device)[1] for side in sizes]
        candidates = torch.cat(ranked, 1)
        by_parts, place = _compare_parts(target, source, candidates.cpu(), size, mirrored, device).max(1)
        best, index = (
            torch.cat([best, by_parts[:, None]], 1),
            torch.cat([index, candidates.gather(1, place[:, None])], 1),
        )
    highest, place = best.max(1, keepdim=True)
    return highest[:, 0].clamp(-1, 1).cpu().numpy(), index.gather(1, place)[:, 0].cpu().numpy()


def _rank(
    target: np.ndarray,
    source: np.ndarray,
    size: int,
    count: int,
    block: int,
    mirrored: bool,
    device: torch.device | str,
) -> tuple[Tensor, Tensor]:
    """Of every target image the `count` source images that correlate most with it as wholes: float32 and int64 (N, count)."""
    copies = thumbnails(target, size).to(device)
    views = [_unit_vectors(copies), *([_unit_vectors(copies.flip(2))] if mirrored else [])]
    best = torch.full((len(target), 0), -torch.inf, device=device)
    index = torch.zeros((len(target), 0), dtype=torch.int64, device=device)
    for start in range(0, len(source), block):
        against = _unit_vectors(thumbnails(source[start : start + block], size).to(device)).T
        correlation = torch.stack([view @ against for view in views]).amax(0)
        highest, position = correlation.topk(min(count, correlation.shape[1]), 1)
        best, index = torch.cat([best, highest], 1), torch.cat([index, position + start], 1)
        best, order = best.topk(min(count, best.shape[1]), 1)
        index = index.gather(1, order)
    return best, index


def windows() -> list[tuple[float, float, float]]:
    """(top, left, side) in shares of the image: the whole, and squares at its corners, sides and middle."""
    places = [(y, x) for y in (0, 0.5, 1) for x in (0, 0.5, 1)]
    return [(0.0, 0.0, 1.0), *(((1 - side) * y, (1 - side) * x, side) for side in PARTS for y, x in places)]


def _compare_parts(
    target: np.ndarray, source: np.ndarray, candidates: Tensor, size: int, mirrored: bool, device: torch.device | str
) -> Tensor:
    """float32 (N, K): the largest correlation of a window of one image with the whole of the other.

    candidates: int64 (N, K), positions in the source. A cropped copy equals a window of its original; of a framed copy a window
    equals the original.
    """
    side = min(2 * size, target.shape[1], source.shape[1])
    parts = []
    for start in range(0, len(target), WINDOW_BATCH):
        chosen = candidates[start : start + WINDOW_BATCH]
        copies = thumbnails(target[start : start + WINDOW_BATCH], side).to(device)
        originals = thumbnails(source[chosen.flatten().numpy()], side).to(device)
        of_source = _window_units(originals, size)
        of_source = of_source.view(*chosen.shape, *of_source.shape[1:])  # (B, K, windows, values)
        best = torch.full(chosen.shape, -1.0, device=device)
        for view in (copies, copies.flip(2)) if mirrored else (copies,):
            of_target = _window_units(view, size)
            best = torch.maximum(best, torch.einsum("bwv,bkv->bkw", of_target, of_source[:, :, 0]).amax(2))
            best = torch.maximum(best, torch.einsum("bkwv,bv->bkw", of_source, of_target[:, 0]).amax(2))
        parts.append(best)
    return torch.cat(parts)


def _window_units(copies: Tensor, size: int) -> Tensor:
    """(B, windows, size x size x 3) of (B, side, side, 3): every window as a small copy of mean 0 and length 1."""
    count, side = copies.shape[:2]
    rows, columns = (
        torch.stack([area_shares(side, size, window[axis], window[2]) for window in windows()]).to(copies.device)
        for axis in (0, 1)
    )
    by_rows = torch.matmul(rows.flatten(0, 1), copies.flatten(2))  # (B, windows x size, side x 3)
    by_rows = by_rows.view(count, len(rows), size, side, 3).permute(0, 1, 4, 2, 3)  # (B, windows, 3, size, side)
    both = torch.matmul(by_rows.flatten(2, 3), columns.mT).view(count * len(rows), 3, size, size)
    return _unit_vectors(both.permute(0, 2, 3, 1)).view(count, len(rows), -1)


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


def _unit_vectors(thumbnails: Tensor) -> Tensor:
    """(N, size x size x 3): mean 0 in every channel, length 1; 0 for a flat image. Products of rows are correlations.

    Channel by channel, for a common mean would let any two images of one colour, blue skies and seas, correlate. Raises
    NotFiniteError: a length that is NaN would count as a flat image's, and the image as one that stands nowhere else.
    """
    rows = (thumbnails - thumbnails.mean((1, 2), keepdim=True)).flatten(1)
    length = require_finite(rows.norm(dim=1, keepdim=True), "small copies")
    return torch.where(length > FLAT * rows.shape[1] ** 0.5, rows / length.clamp(min=1e-12), 0)
