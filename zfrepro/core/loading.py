"""Read stored images in threads, whole and ahead of the work that needs them, onto the device that computes.

Cropping, mirroring and mean subtraction come after, on the device (crops.MeanSubtraction.from_stored). So what the processor does
for an image is one read of its bytes, and what a disk has to give is the image's bytes and no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from zfrepro.core import crops, staging

READERS = {"cuda": 16, "cpu": 4}  # threads at most; a disk gives most when several images are asked for at once
FEW = {
    "cuda": 2,
    "cpu": 4,
}  # threads as long as they are fast enough: each takes Python from the thread that feeds the GPU
SLOTS = {"cuda": 4, "cpu": 2}  # mini-batches in memory: the one in use and those that are read ahead
MEAN_BATCH = 64  # images


class Images(Protocol):
    """Stored images, uint8 (S, S, 3) each, that several threads may read at once."""

    @property
    def size(self) -> int:
        """S, in pixels"""

    def __len__(self) -> int: ...

    def read(self, indices: np.ndarray, out: np.ndarray) -> None:
        """Fill `out`, uint8 (B, S, S, 3), with the images at these positions."""


@dataclass(frozen=True)
class ArrayImages:
    """Images in memory, uint8 (N, S, S, 3)."""

    array: np.ndarray

    @property
    def size(self) -> int:
        return int(self.array.shape[1])

    def __len__(self) -> int:
        return len(self.array)

    def read(self, indices: np.ndarray, out: np.ndarray) -> None:
        for row, index in enumerate(indices.tolist()):
            out[row] = self.array[index]


@dataclass(frozen=True)
class Subset:
    """Some of other images, by their positions there, in this order."""

    images: Images
    positions: np.ndarray

    @property
    def size(self) -> int:
        return self.images.size

    def __len__(self) -> int:
        return len(self.positions)

    def read(self, indices: np.ndarray, out: np.ndarray) -> None:
        self.images.read(self.positions[indices], out)


def as_images(images: Images | np.ndarray) -> Images:
    return ArrayImages(images) if isinstance(images, np.ndarray) else images


def read_ahead(images: Images, order: np.ndarray, batch: int, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
    """(where in `order`, whole images uint8 (B, S, S, 3) on the device) for the images in this order, `batch` at a time.

    Asking for the next mini-batch overwrites the tensor. What reading raises is raised here.
    """
    shape = (min(batch, len(order)), images.size, images.size, 3)
    kind = "cuda" if device.type == "cuda" else "cpu"
    slots, readers = [staging.slot(shape, device) for _ in range(SLOTS[kind])], READERS[kind]
    parts = (slice(start, min(start + batch, len(order))) for start in range(0, len(order), batch))
    pool, threads = ThreadPoolExecutor(readers, "images"), Threads(min(FEW[kind], readers), readers, len(slots))
    reading = (
        (part, slot, _start_reading(pool, threads.count, images, order[part], slot))
        for part, slot in zip(parts, cycle(slots), strict=False)
    )
    try:
        waiting = deque(islice(reading, len(slots)))
        while waiting:
            part, slot, pieces = waiting.popleft()
            threads.note(in_time=all(piece.done() for piece in pieces))
            for piece in pieces:
                piece.result()
            yield part, slot.upload(part.stop - part.start)
            slot.release()
            waiting.extend(islice(reading, 1))  # into the slot that has just become free
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass
class Threads:
    """How many threads share the reading of a mini-batch: twice as many as before whenever one is not there in time.

    The first `allowance` mini-batches may be late: nothing was read ahead of them.
    """

    count: int
    most: int
    allowance: int

    def note(self, in_time: bool) -> None:
        """Of each mini-batch when it is needed."""
        if self.allowance:
            self.allowance -= 1
        elif not in_time:
            self.count = min(2 * self.count, self.most)


def fixed_view_batches(
    images: Images | np.ndarray, subtract: crops.MeanSubtraction, view: crops.View, size: int, batch: int
) -> Iterator[tuple[slice, Tensor]]:
    """All images under one view, in order: (where, inputs (B, 3, size, size))."""
    images, position = as_images(images), view_on(subtract.device, view)
    for where, pixels in read_ahead(images, np.arange(len(images)), batch, subtract.device):
        yield where, subtract.from_stored(pixels, position.expand(len(pixels), 3), size)


def mean_image(images: Images) -> np.ndarray:
    """float32 (S, S, 3); the sums are exact, so the order of the images does not count."""
    total = np.zeros((images.size, images.size, 3))
    for _, pixels in read_ahead(images, np.arange(len(images)), MEAN_BATCH, torch.device("cpu")):
        total += pixels.numpy().sum(0, dtype=np.float64)
    return (total / len(images)).astype(np.float32)


def view_on(device: torch.device, view: crops.View) -> Tensor:
    """int64 (1, 3)"""
    return torch.tensor([[*map(int, view)]], device=device)


def _start_reading(
    pool: ThreadPoolExecutor, readers: int, images: Images, indices: np.ndarray, slot: staging.Slot
) -> list[Future[None]]:
    """One piece of the mini-batch for each thread."""
    out, length = slot.host.numpy(), -(-len(indices) // readers)
    pieces = [slice(start, min(start + length, len(indices))) for start in range(0, len(indices), length)]
    return [pool.submit(_read, images, indices[piece], slot, out[piece]) for piece in pieces]


def _read(images: Images, indices: np.ndarray, slot: staging.Slot, out: np.ndarray) -> None:
    slot.wait()
    images.read(indices, out)
