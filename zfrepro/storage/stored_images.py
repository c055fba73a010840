"""Read images of an images.npy by their position in the file, from any number of threads.

A memory map reads a megabyte from a cold disk for an image of 197 kB, stops the thread that touches it in the middle of other
work, and kills the process where the file has become shorter. Here an image is one call, and an error is a message.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zfrepro.errors import UserError


class OpenFile:
    """A file that stays open, and the same, as long as something holds this object: `number` is its descriptor."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.number = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); check the disk and run again") from error
        weakref.finalize(self, os.close, self.number)
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):
                os.posix_fadvise(self.number, 0, 0, os.POSIX_FADV_RANDOM)  # else a fifth more than asked for is read


@dataclass(frozen=True)
class StoredImages:
    """`count` images from number `first` on, of a file of uint8 (N, size, size, 3), C order, whose data begin at byte `offset`."""

    file: OpenFile
    offset: int
    count: int
    size: int
    first: int = 0

    def __len__(self) -> int:
        return self.count

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.count, self.size, self.size, 3

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        """uint8 (B, size, size, 3)"""
        images = np.empty((len(indices), *self.shape[1:]), np.uint8)
        self.read(indices, images)
        return images

    def part(self, where: slice) -> StoredImages:
        return replace(self, first=self.first + where.start, count=where.stop - where.start)

    def read(self, indices: np.ndarray, out: np.ndarray) -> None:
        """Fill uint8 (B, size, size, 3) with these images. Raises UserError where the file cannot be read or has become shorter."""
        if not len(indices):
            return
        if not 0 <= indices.min() <= indices.max() < self.count:
            raise IndexError(f"images {indices.min()} to {indices.max()} of {self.count}")
        buffer, length = out.data.cast("B"), 3 * self.size**2
        numbers = (self.first + indices).tolist()
        if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            self._fill(buffer, numbers[0], length)
            return
        for row, number in enumerate(numbers):
            self._fill(buffer[row * length : (row + 1) * length], number, length)

    def _fill(self, buffer: memoryview, number: int, length: int) -> None:
        """With the file's images from `number` on; length: bytes of an image."""
        start = self.offset + number * length
        while buffer:
            try:
                count = _read_at(self.file.number, buffer, start)
            except OSError as error:
                raise UserError(
                    f"{self.file.path}: cannot be read ({error.strerror}); check the disk and run again"
                ) from error
            if not count:
                raise UserError(
                    f"{self.file.path}: has become shorter while it was read, or its header is wrong: it ends before image "
                    f"{number + 1}; delete {self.file.path.parent} and run again"
                )
            buffer, start = buffer[count:], start + count


def _read_at(file: int, buffer: memoryview, start: int) -> int:
    """Bytes read, 0 at the end of the file; a system may return fewer than asked for."""
    if hasattr(os, "preadv"):
        return os.preadv(file, [buffer], start)
    data = os.pread(file, len(buffer), start)  # macOS before 11: one copy more
    buffer[: len(data)] = data
    return len(data)
