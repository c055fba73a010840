"""Read images of an images.npy by their position in the file, from any number of threads.

A memory map reads a megabyte from a cold disk for an image of 197 kB, stops the thread that touches it in the middle of other
work, and kills the process where the file has become shorter. Here an image is one call, and an error is a message.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path

import numpy as np

from zfrepro.errors import UserError


class StoredImages:
    """Images `first` to `end` (exclusive) of a file of uint8 (N, S, S, 3), C order, whose data begin at byte `offset`."""

    def __init__(self, path: Path, offset: int, first: int, end: int, size: int):
        self.path, self.size = path, size
        self._first, self._count, self._bytes = first, end - first, 3 * size**2  # of an image
        self._start = offset + first * self._bytes
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); check the disk and run again") from error
        weakref.finalize(self, os.close, self._file)
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):
                os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_RANDOM)  # else a fifth more than asked for is read

    def __len__(self) -> int:
        return self._count

    def read(self, indices: np.ndarray, out: np.ndarray) -> None:
        """Fill uint8 (B, S, S, 3) with these images. Raises UserError where the file cannot be read or has become shorter."""
        buffer = out.reshape(-1).data
        positions = indices.tolist()
        if positions == list(range(positions[0], positions[0] + len(positions))):
            self._fill(buffer, positions[0])
            return
        for row, position in enumerate(positions):
            self._fill(buffer[row * self._bytes : (row + 1) * self._bytes], position)

    def _fill(self, buffer: memoryview, position: int) -> None:
        """From the image at `position` on."""
        start = self._start + position * self._bytes
        while buffer:
            try:
                count = _read_at(self._file, buffer, start)
            except OSError as error:
                raise UserError(
                    f"{self.path}: cannot be read ({error.strerror}); check the disk and run again"
                ) from error
            if not count:
                raise UserError(
                    f"{self.path}: has become shorter while it was read, or its header is wrong: it ends before image "
                    f"{self._first + position + 1}; delete {self.path.parent} and run again"
                )
            buffer, start = buffer[count:], start + count


def _read_at(file: int, buffer: memoryview, start: int) -> int:
    """Bytes read, 0 at the end of the file; a system may return fewer than asked for."""
    if hasattr(os, "preadv"):
        return os.preadv(file, [buffer], start)
    data = os.pread(file, len(buffer), start)  # macOS before 11: one copy more
    buffer[: len(data)] = data
    return len(data)
