"""Which images of one set also stand in another, by normalised correlation of small copies.

The paper finds images of the Caltechs in ImageNet's training set so and removes them (section 5.2); it states neither the
size nor the threshold.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from zfrepro.core.finite import require_finite
from zfrepro.core.shrinking import area_shares, thumbnails

WINDOW_BATCH = 32  # images whose windows are compared at once
CANDIDATES = 3  # source images per size whose windows are compared
PARTS = 0.95, 0.9, 0.8  # sides of the windows: copies that lost up to a fifth of their side, or got a frame
FLAT = 1e-2  # grey levels: a small copy that varies less has nothing to correlate


class Images(Protocol):
    """uint8 (N, S, S, 3): an array, or a file whose images are read one by one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, where: Any, /) -> np.ndarray: ...


def find(
    target: np.ndarray,
    source: Images,
    size: int = 16,
    block: int = 1024,
    mirrored: bool = False,
    crops: bool = False,
    device: torch.device | str = "cpu",
    small_source: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The largest correlation of every target image with a source image, float32 (N,), and which one, int64 (N,).

    target, source: uint8 (N, S, S, 3) and (M, T, T, 3), memory-mapped if need be; only `block` source images are held at a time.
    mirrored: a source image seen in a mirror counts too. crops: so does a part of either image (see `windows`), of the
    CANDIDATES source images that correlate most as wholes, at `size` and at half of it. small_source: the source's thumbnails of this
    size, float32 (M, size, size, 3), where they are there already: then only candidates are read. Of source images that are equal
    any one is named. A flat image correlates 0 with everything. Raises ValueError for an empty source or one smaller than `size`.
    """
    if not len(source):
        raise ValueError("there is no source image to compare with")
    sizes = (size, max(size // 2, 1)) if crops else (size,)
    small = _shrunk(source, size, block) if small_source is None else _blocks(small_source, block)
    ranked = _rank(target, small, sizes, CANDIDATES if crops else 1, mirrored, device)
    best, index = (ranking[:, :1] for ranking in ranked[0])
    if crops and len(target):
        candidates = torch.cat([index for _, index in ranked], 1)
        by_parts, place = _compare_parts(target, source, candidates.cpu(), size, mirrored, device).max(1)
        best, index = (
            torch.cat([best, by_parts[:, None]], 1),
            torch.cat([index, candidates.gather(1, place[:, None])], 1),
        )
    highest, place = best.max(1, keepdim=True)
    return highest[:, 0].clamp(-1, 1).cpu().numpy(), index.gather(1, place)[:, 0].cpu().numpy()


def _shrunk(source: Images, size: int, block: int) -> Iterator[Tensor]:
    return (thumbnails(source[start : start + block], size) for start in range(0, len(source), block))


def _blocks(small: np.ndarray, block: int) -> Iterator[Tensor]:
    return (torch.from_numpy(np.array(small[start : start + block])) for start in range(0, len(small), block))


def _rank(
    target: np.ndarray,
    small_source: Iterable[Tensor],
    sizes: tuple[int, ...],
    count: int,
    mirrored: bool,
    device: torch.device | str,
) -> list[tuple[Tensor, Tensor]]:
    """For every size, of every target image the `count` source images that correlate most with it as wholes: float32 and int64
    (N, count), highest first. small_source: its thumbnails of the first size, block by block; the other sizes are reduced from that."""
    copies = _reduced(thumbnails(target, sizes[0]).to(device), sizes)
    views = [[_unit_vectors(copy), *([_unit_vectors(copy.flip(2))] if mirrored else [])] for copy in copies]
    empty = torch.full((len(target), 0), -torch.inf, device=device), torch.zeros((len(target), 0), dtype=torch.int64)
    ranked = [(empty[0], empty[1].to(device)) for _ in sizes]
    start = 0
    for small in small_source:
        against = _reduced(small.to(device), sizes)
        for k in range(len(sizes)):
            ranked[k] = _merge(*ranked[k], _correlate(views[k], against[k]), start, count)
        start += len(small)
    return ranked


def _reduced(copies: Tensor, sizes: tuple[int, ...]) -> list[Tensor]:
    """Copies of the first size at all sizes."""
    shares = [area_shares(sizes[0], size).to(copies.device) for size in sizes[1:]]
    return [copies, *(torch.einsum("ij,bjkc,lk->bilc", share, copies, share) for share in shares)]


def _correlate(views: list[Tensor], against: Tensor) -> Tensor:
    """float32 (N, M): with the view that correlates most."""
    units = _unit_vectors(against).T
    return torch.stack([view @ units for view in views]).amax(0)


def _merge(best: Tensor, index: Tensor, correlation: Tensor, start: int, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest so far and of a block that begins with source image `start`."""
    highest, position = correlation.topk(min(count, correlation.shape[1]), 1)
    best, index = torch.cat([best, highest], 1), torch.cat([index, position + start], 1)
    best, order = best.topk(min(count, best.shape[1]), 1)
    return best, index.gather(1, order)


def windows() -> list[tuple[float, float, float]]:
    """(top, left, side) in shares of the image: the whole, and squares at its corners, sides and middle."""
    places = [(y, x) for y in (0, 0.5, 1) for x in (0, 0.5, 1)]
    return [(0.0, 0.0, 1.0), *(((1 - side) * y, (1 - side) * x, side) for side in PARTS for y, x in places)]


def _compare_parts(
    target: np.ndarray, source: Images, candidates: Tensor, size: int, mirrored: bool, device: torch.device | str
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
        images, place = torch.unique(chosen, return_inverse=True)
        originals = thumbnails(source[images.numpy()], side).to(device)
        of_source = _window_units(originals, size)[place.to(device)]  # (B, K, windows, values)
        best = torch.full(chosen.shape, -1.0, device=device)
        for view in (copies, copies.flip(2)) if mirrored else (copies,):
            of_target = _window_units(view, size)
            best = torch.maximum(best, torch.einsum("bwv,bkv->bkw", of_target, of_source[:, :, 0]).amax(2))
            best = torch.maximum(best, torch.einsum("bkwv,bv->bkw", of_source, of_target[:, 0]).amax(2))
        parts.append(best)
    return torch.cat(parts)


@functools.cache
def _window_shares(side: int, size: int) -> tuple[Tensor, Tensor]:
    """float32 (windows, size, side) each, along rows and along columns: see area_shares."""
    rows, columns = (
        torch.stack([area_shares(side, size, window[axis], window[2]) for window in windows()]) for axis in (0, 1)
    )
    return rows, columns


def _window_units(copies: Tensor, size: int) -> Tensor:
    """(B, windows, size x size x 3) of (B, side, side, 3): every window as a small copy of mean 0 and length 1."""
    count, side = copies.shape[:2]
    rows, columns = (shares.to(copies.device) for shares in _window_shares(side, size))
    pixels = copies.permute(1, 0, 3, 2).reshape(
        side, -1
    )  # (rows, B x 3 x columns), so that one product reduces all rows
    by_rows = torch.matmul(rows.flatten(0, 1), pixels).view(len(rows), -1, side)  # (windows, size x B x 3, columns)
    both = torch.bmm(by_rows, columns.mT).view(len(rows), size, count, 3, size)
    return _unit_vectors(both.permute(2, 0, 1, 4, 3).flatten(0, 1)).view(count, len(rows), -1)


def _unit_vectors(thumbnails: Tensor) -> Tensor:
    """(N, size x size x 3): mean 0 in every channel, length 1; 0 for a flat image. Products of rows are correlations.

    Channel by channel, for a common mean would let any two images of one colour, blue skies and seas, correlate. Raises
    NotFiniteError: a length that is NaN would count as a flat image's, and the image as one that stands nowhere else.
    """
    rows = (thumbnails - thumbnails.mean((1, 2), keepdim=True)).flatten(1)
    length = require_finite(rows.norm(dim=1, keepdim=True), "small copies")
    return torch.where(length > FLAT * rows.shape[1] ** 0.5, rows / length.clamp(min=1e-12), 0)
