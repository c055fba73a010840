"""Turn a data set into the one form that all stages read: square pictures, labels, boxes and the mean picture."""

from __future__ import annotations

import importlib
import io
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Literal

import numpy as np
import PIL
from PIL import features
from pydantic import Field

from zfrepro.datasets.base import Item, Listing
from zfrepro.datasets.parallel import Outcome, decode_all
from zfrepro.errors import UserError
from zfrepro.spec import Base
from zfrepro.storage import artifacts, guards
from zfrepro.storage.prepared_set import FILES

WORKERS = os.cpu_count() or 1
REPORT_EVERY = 5.0  # seconds between two lines of progress
NAMED = 20  # bad files that an error message names


class Spec(Base):
    dataset: Literal[
        "scenes", "imagenet", "imagenette", "tiny_imagenet", "imagefolder", "caltech101", "caltech256", "voc2012"
    ] = Field(description="a module of zfrepro/datasets")
    size: int = Field(gt=0, description="pixels; side of the stored square picture; the paper: 256")
    max_bad: int = Field(0, ge=0, description="unreadable files to leave out before the stage stops")
    options: dict[str, Any] = Field({}, description="settings of the data set, in zfrepro/datasets/<dataset>.py")


def parse_options(spec: Spec) -> Base:
    """The data set's own settings, checked. Raises pydantic.ValidationError."""
    return _module(spec).Spec.model_validate(spec.options)


def run(spec: Spec, out: Path, workers: int = WORKERS) -> None:
    """The result is the same for any number of `workers`, and appears whole: manifest.json is written last."""
    dataset, options = _module(spec), parse_options(spec)
    listing = dataset.listing(options)
    items = [item for found in listing.splits.values() for item in found]
    _check_classes(listing)
    _clear(out)
    pictures = f"{len(items)} pictures at {spec.size} x {spec.size}"
    guards.check_space(out, round(len(items) * spec.size**2 * 3 * 1.05), pictures)
    with guards.stopped_by_sigterm(), guards.full_disk_said(out), artifacts.atomic(out / "images.npy") as unfinished:
        outcomes = decode_all(dataset.load, options, items, spec.size, workers)
        with closing(outcomes), open(unfinished, "wb") as file:
            content = _write_images(file, spec, listing, zip(items, outcomes, strict=True))
        _check_content(content, listing, spec, out)
        (out / "manifest.json").unlink(missing_ok=True)  # from here on, an earlier result is no longer whole
    with guards.full_disk_said(out):
        _write_rest(out, content, len(listing.classes))
        artifacts.save_json(out / "manifest.json", _manifest(spec, options, listing, content, out))


@dataclass
class _Content:
    """What has been written to images.npy so far, or left out of it."""

    total: np.ndarray  # uint64 (S, S, 3), sum over the first split: exact, whatever the order
    items: list[Item] = field(default_factory=list)
    boxes: list[tuple[float, ...]] = field(default_factory=list)
    parts: list[tuple] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    splits: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, item: Item, outcome: Outcome) -> None:
        for name, box in outcome.parts.items():
            self.parts.append((len(self.items), name, *box))
        self.items.append(item)
        self.boxes.append(outcome.box or (float("nan"),) * 4)

    def mean(self) -> np.ndarray:
        """float32 (S, S, 3). Raises UserError where the first split has no picture."""
        split, (first, end) = next(iter(self.splits.items()))
        if end == first:
            raise UserError(
                f"split {split}: holds no picture, and there is no mean of none; check the data set's options"
            )
        return (self.total / (end - first)).astype(np.float32)

    def presence(self, classes: int) -> dict[str, np.ndarray]:
        """The array that prepared.py describes; nothing where every picture has its label alone."""
        if not any(item.present for item in self.items):
            return {}
        found = np.zeros((len(self.items), classes), np.int8)
        for row, item in zip(found, self.items, strict=True):
            row[list(item.difficult)] = -1
            row[list(item.shown)] = 1
        return {"presence": found}


def _write_images(file: BinaryIO, spec: Spec, listing: Listing, results: Iterator[tuple[Item, Outcome]]) -> _Content:
    """Stream the pictures to `file` as .npy. Not mapped: so a full disk is an error, and memory stays flat."""
    content = _Content(np.zeros((spec.size, spec.size, 3), np.uint64))
    tell = _progress(sum(map(len, listing.splits.values())))
    file.write(_header(0, spec.size))
    for split, listed in listing.splits.items():
        start = len(content.items)
        for _ in listed:
            item, outcome = next(results)
            if outcome.pixels is None:
                content.skipped.append({"file": item.key, "reason": outcome.reason, "split": split})
                _check_bad(content.skipped, spec.max_bad, patience=NAMED)
            else:
                content.add(item, outcome)
                file.write(outcome.pixels.data)
                if start == 0:
                    content.total += outcome.pixels
            tell(len(content.items), len(content.skipped))
        content.splits[split] = (start, len(content.items))
    file.seek(0)
    file.write(_header(len(content.items), spec.size))
    return content


def _header(count: int, size: int) -> bytes:
    """Start of a uint8 .npy of `count` pictures; numpy pads it to one length whatever the count."""
    buffer = io.BytesIO()
    shape = (count, size, size, 3)
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _write_rest(out: Path, content: _Content, classes: int) -> None:
    artifacts.save_arrays(
        out / "index.npz",
        labels=np.array([item.label for item in content.items], np.int64),
        boxes=np.array(content.boxes, np.float32).reshape(-1, 4),
        files=np.array([item.key for item in content.items], np.str_),
        **content.presence(classes),
    )
    with artifacts.atomic(out / "mean.npy") as unfinished, open(unfinished, "wb") as file:
        np.save(file, content.mean(), allow_pickle=False)
    artifacts.save_text(out / "parts.csv", "".join(_part_lines(content.parts)))


def _part_lines(parts: Iterable[tuple]) -> Iterator[str]:
    yield "image,part,x0,y0,x1,y1\n"
    for image, name, *edges in parts:
        yield f"{image},{name}," + ",".join(f"{edge:.3f}" for edge in edges) + "\n"


def _manifest(spec: Spec, options: Base, listing: Listing, content: _Content, out: Path) -> dict[str, Any]:
    return {
        "dataset": spec.dataset,
        "options": options.model_dump(mode="json"),
        "size": spec.size,
        "classes": listing.classes,
        "splits": {name: list(ends) for name, ends in content.splits.items()},
        "counts": _counts(listing.classes, content),
        "object_boxes": sum(box[0] == box[0] for box in content.boxes),
        "part_boxes": len(content.parts),
        "skipped": content.skipped,
        "sha256": {name: artifacts.sha256(out / name) for name in FILES},
        "versions": {"pillow": PIL.__version__, "libjpeg_turbo": _turbo(), "numpy": np.__version__},
    }


def _counts(classes: list[str], content: _Content) -> dict[str, dict[str, int]]:
    """Pictures of each class in each split; one with several classes counts for each"""
    found = {split: _shown(content.items[slice(*ends)]) for split, ends in content.splits.items()}
    return {split: {name: number[label] for label, name in enumerate(classes)} for split, number in found.items()}


def _shown(items: Iterable[Item]) -> Counter[int]:
    return Counter(label for item in items for label in item.shown)


def _turbo() -> str | None:
    """Different decoders give pixels that differ by 1 or 2."""
    return features.version_feature("libjpeg_turbo") if features.check_feature("libjpeg_turbo") else None


def _module(spec: Spec) -> ModuleType:
    # By name only: one data set's reader then is no part of the code that another's result depends on.
    return importlib.import_module(f"zfrepro.datasets.{spec.dataset}")


def _check_classes(listing: Listing) -> None:
    for split, items in listing.splits.items():
        shown = _shown(items)
        if empty := [name for label, name in enumerate(listing.classes) if not shown[label]]:
            raise UserError(f"split {split}: no picture of class {', '.join(empty[:10])} ({len(empty)} such classes)")


def _check_bad(skipped: list[dict[str, str]], allowed: int, patience: int) -> None:
    """Raise UserError with the list of bad files. With patience, more than allowed are read, so as to name them all."""
    if len(skipped) <= allowed + patience:
        return
    lines = [f"  {bad['file']}: {bad['reason']}" for bad in skipped[:NAMED]]
    more = [f"  and {len(skipped) - NAMED} more"] if len(skipped) > NAMED else []
    count = f"at least {len(skipped)}" if patience else f"{len(skipped)}"
    head = f"{count} files cannot be read, and max_bad allows {allowed}:"
    raise UserError("\n".join([head, *lines, *more, "mend or remove them, or raise `max_bad` to leave them out"]))


def _check_content(content: _Content, listing: Listing, spec: Spec, out: Path) -> None:
    _check_bad(content.skipped, spec.max_bad, patience=0)
    for split, numbers in _counts(listing.classes, content).items():
        if empty := [name for name, number in numbers.items() if not number]:
            raise UserError(
                f"{out}: split {split}: every file of class {', '.join(empty[:10])} is unreadable; mend them"
            )


def _clear(out: Path) -> None:
    """Remove what a killed run has left: it may be as large as the result."""
    out.mkdir(parents=True, exist_ok=True)
    for name in (*FILES, "manifest.json"):
        for leftover in out.glob(f".{name}.*.tmp"):
            leftover.unlink()


def _progress(of: int):
    """A function that prints a JSON line every few seconds and one at the end."""
    started = last = time.monotonic()

    def tell(done: int, skipped: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_EVERY or done + skipped == of:
            last = now
            print(
                json.dumps({"done": done, "of": of, "seconds": round(now - started, 1), "skipped": skipped}), flush=True
            )

    return tell
