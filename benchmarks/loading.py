"""How fast stored images come from a file to where they are used, at the paper's size: ours, and the crops that were cut before.

`ours` is what the processor does for an image that a GPU then crops, mirrors and subtracts the mean from: one read of the whole image.
The peer cuts and mirrors the crop in numpy from a memory map, as this project did before. From memory (warm), and from the disk after
the file's pages have been dropped from the page cache (cold).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

COUNT, STORED, SIZE, BATCH = 4096, 256, 224, 128  # images in the file (0.8 GB), pixels, pixels, images
ROUNDS, COLD_ROUNDS, COLD_PART = 5, 3, 1024  # rounds and images of one; from memory all images are read in each
READERS = 16  # threads that read on a GPU's machine


def loader() -> dict[str, Any]:
    """Images per second of one core's time, from memory, with one reading thread: other work on the machine counts little in it. The
    rest beside it, also by the clock."""
    import torch

    from zfrepro.core import loading
    from zfrepro.storage import machine

    torch.set_num_threads(1)
    threads = {"one": 1, "all": machine.cores(), "many": READERS}
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", Path.cwd())) as folder:
        path = Path(folder) / "images.npy"
        _write(path)
        kept = [np.load(path, mmap_mode="r")]
        warm = _alternate(_ways(path, loading, threads, lambda: kept[0]), lambda: None, COUNT, ROUNDS)
        kept.clear()  # the pages of a map cannot be dropped
        ways = _ways(path, loading, threads, lambda: np.load(path, mmap_mode="r"))
        ways = {name: ways[name] for name in ("ours one", "ours many", "peer one")}
        cold = _alternate(ways, lambda: drop(path), COLD_PART, COLD_ROUNDS)
    warm, cold = ({name: _summarise(found) for name, found in rounds.items()} for rounds in (warm, cold))
    ours, peer = (warm[name]["images_per_core_second"] for name in ("ours one", "peer one"))
    return {
        "ours": ours, "peer": peer, "peer_name": "crops cut in numpy from a memory map", "unit": "images/s", "ratio": ours / peer,
        "threads": threads, "warm": warm, "cold": cold,
    }  # fmt: skip


def cut(images: np.ndarray, indices: np.ndarray, views: np.ndarray, size: int) -> np.ndarray:
    """The cutter that was: uint8 (B, size, size, 3)."""
    out = np.empty((len(indices), size, size, 3), dtype=np.uint8)
    for row, (index, (top, left, mirrored)) in enumerate(zip(indices, views, strict=True)):
        window = images[index, top : top + size, left : left + size]
        out[row] = window[:, ::-1] if mirrored else window
    return out


def _write(path: Path) -> None:
    random = np.random.default_rng(0)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (COUNT, STORED, STORED, 3))
    for start in range(0, COUNT, BATCH):
        images[start : start + BATCH] = random.integers(0, 256, (BATCH, STORED, STORED, 3), dtype=np.uint8)


def _ways(
    path: Path, loading: Any, threads: dict[str, int], mapped: Callable[[], np.ndarray]
) -> dict[str, Callable[[np.ndarray], None]]:
    """Name -> what reads the images at some positions; mapped: gives the memory map that the peer cuts from."""
    import torch

    from zfrepro.core import crops
    from zfrepro.storage.stored_images import OpenFile, StoredImages

    cpu, offset = torch.device("cpu"), np.load(path, mmap_mode="r").offset
    views = crops.training_views("ten", COUNT, STORED, SIZE, 0, 0)
    subtract = crops.MeanSubtraction(np.full((STORED, STORED, 3), 120, np.float32), cpu)

    def ours(readers: int) -> Callable[[np.ndarray], None]:
        def read(order: np.ndarray) -> None:
            images = StoredImages(OpenFile(path), offset, COUNT, STORED)
            with _readers(loading, readers):
                for _ in loading.read_ahead(images, order, BATCH, cpu):
                    pass

        return read

    def peer(readers: int) -> Callable[[np.ndarray], None]:
        def read(order: np.ndarray) -> None:
            images = mapped()
            with ThreadPoolExecutor(readers) as pool:
                list(pool.map(lambda part: cut(images, part, views[part], SIZE), _batches(order)))

        return read

    def ours_on_a_cpu(order: np.ndarray) -> None:
        images = StoredImages(OpenFile(path), offset, COUNT, STORED)
        with _readers(loading, 1):
            for where, pixels in loading.read_ahead(images, order, BATCH, cpu):
                subtract.from_stored(pixels, torch.from_numpy(views[order[where]]), SIZE)

    def peer_on_a_cpu(order: np.ndarray) -> None:
        images = mapped()
        for part in _batches(order):
            subtract(cut(images, part, views[part], SIZE), views[part])

    ways = {f"ours {name}": ours(count) for name, count in threads.items()}
    ways |= {f"peer {name}": peer(count) for name, count in threads.items() if name != "many"}
    return ways | {"ours to inputs on a CPU": ours_on_a_cpu, "peer to inputs on a CPU": peer_on_a_cpu}


@contextmanager
def _readers(loading: Any, count: int) -> Iterator[None]:
    """So many reading threads."""
    before = loading.READERS
    loading.READERS = {"cpu": count}
    try:
        yield
    finally:
        loading.READERS = before


def _batches(order: np.ndarray) -> list[np.ndarray]:
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]


def drop(path: Path) -> None:
    """The file's pages from the page cache, those written to the disk; pages that a memory map still holds would stay."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


Round = tuple[float, float, float]  # seconds by the clock and of all cores, bytes read from the disk; for an image


def _alternate(
    ways: dict[str, Callable[[np.ndarray], None]], prepare: Callable[[], None], part: int, rounds: int
) -> dict[str, list[Round]]:
    """Every round of every way, taking turns; one round to warm up. part: images of a round."""
    found: dict[str, list[Round]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        order = np.random.default_rng(number).permutation(COUNT)[:part]
        for name, read in ways.items():
            prepare()
            before = _clocks()
            read(order)
            if number:
                clock, cores, size = (now - then for now, then in zip(_clocks(), before, strict=True))
                found[name].append((clock / part, cores / part, size / part))
    return found


def _clocks() -> Round:
    return time.perf_counter(), time.process_time(), _bytes_read()


def _bytes_read() -> int:
    """By this process from disks, as Linux counts it."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["read_bytes"])


def _summarise(rounds: list[Round]) -> dict[str, float]:
    """Of the fastest round, since other work on the machine only makes one slower; the bytes are the median's."""
    clocks, cores, sizes = zip(*rounds, strict=True)
    return {
        "images_per_second": round(1 / min(clocks)),
        "images_per_core_second": round(1 / min(cores)),
        "kB_from_disk_per_image": round(statistics.median(sizes) / 1000, 1),
    }
