"""Decode a data set's images into squares, in parallel and in order; yields one `Outcome` per item.

The order, and so every byte written from it, does not depend on the number of workers. Workers never outlive their parent.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np

from zfrepro.core.finite import NotFiniteError
from zfrepro.core.images import stored_box, stored_pixels
from zfrepro.datasets.base import Box, Item
from zfrepro.datasets.decoding import UnreadableImageError
from zfrepro.errors import UserError

CHUNK = 16  # images per task: 3 MB at 256 pixels, so that the results in flight stay small
AHEAD = 3  # tasks in flight per worker


@dataclass(frozen=True)
class Outcome:
    """An image as stored with its boxes in stored pixels, or the reason why it could not be read."""

    pixels: np.ndarray | None = None  # uint8 (S, S, 3)
    box: Box | None = None
    parts: dict[str, Box] = field(default_factory=dict)
    thumbnails: tuple[np.ndarray, ...] = ()  # float32 (s, s, 3) of every size s that was asked for
    reason: str = ""


def decode_all(
    load: Callable, options: Any, items: Sequence[Item], size: int, workers: int, small_sizes: Sequence[int] = ()
) -> Generator[Outcome, None, None]:
    """`load(options, item)` stored at `size` pixels, and shrunk to the small sizes, for each item in order."""
    task = partial(_decode_chunk, load, options, size, small_sizes)
    chunks = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
    for outcomes in map(task, chunks) if workers <= 1 else _map_in_order(task, chunks, workers):
        yield from outcomes


def _decode_item(load: Callable, options: Any, size: int, small_sizes: Sequence[int], item: Item) -> Outcome:
    try:
        decoded = load(options, item)
        pixels = stored_pixels(decoded.image, size)
    except UnreadableImageError as error:
        return Outcome(reason=error.reason)
    to_stored = partial(stored_box, width=decoded.image.width, height=decoded.image.height, size=size)
    try:
        parts = {name: to_stored(box) for name, box in decoded.parts.items()}
        box = to_stored(decoded.box) if decoded.box else None
    except NotFiniteError as error:
        return Outcome(reason=str(error))
    return Outcome(pixels, box, {name: box for name, box in parts.items() if box}, _shrink(pixels, small_sizes))


def _shrink(pixels: np.ndarray, sizes: Sequence[int]) -> tuple[np.ndarray, ...]:
    if not sizes:
        return ()
    thumbnails = _load_thumbnails()
    return tuple(thumbnails(pixels[None], size)[0].numpy() for size in sizes)


@cache
def _load_thumbnails() -> Callable:
    """With one thread: an image is small, and there is a worker per core. Snakemake's variables (MKL_NUM_THREADS) would give each as many
    threads as the job has, which then wait for each other."""
    import torch

    from zfrepro.core.shrinking import thumbnails

    torch.set_num_threads(1)
    return thumbnails


def _decode_chunk(
    load: Callable, options: Any, size: int, small_sizes: Sequence[int], items: Sequence[Item]
) -> list[Outcome]:
    return [_decode_item(load, options, size, small_sizes, item) for item in items]


def _map_in_order(task: Callable, chunks: Iterable, workers: int) -> Generator[list[Outcome], None, None]:
    """Like `map`, with a bounded number of tasks in flight. Closed early, it kills the workers without waiting."""
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_prepare_worker)
    before = set(multiprocessing.active_children())
    waiting: deque[Future] = deque()
    finished = False
    try:
        for chunk in chunks:
            waiting.append(pool.submit(task, chunk))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        finished = True
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died; if no message above says why, memory ran out: use fewer `workers`"
        ) from error
    finally:
        for worker in set() if finished else set(multiprocessing.active_children()) - before:
            worker.kill()
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """Ignore signals, which the parent handles, and exit when the parent does."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
    os._exit(1)
