"""Convert a data set into the one format that all stages read: square images, labels, boxes and the mean image."""

from __future__ import annotations

import importlib
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Literal

import numpy as np
import PIL
from PIL import features
from pydantic import Field, PositiveInt, field_validator, model_validator

from zfrepro.datasets import contents
from zfrepro.datasets.base import Item, Listing
from zfrepro.datasets.parallel import Outcome, decode_all
from zfrepro.errors import UserError
from zfrepro.spec import Base
from zfrepro.storage import artifacts, guards, machine
from zfrepro.storage.paths import printable
from zfrepro.storage.prepared_set import FILES, thumbnails_file

WORKERS = machine.cores()
REPORT_EVERY = 5.0  # seconds between two lines of progress
MAX_LISTED = 20  # unreadable files listed in an error message


class Spec(Base):
    dataset: Literal[
        "scenes", "imagenet", "imagenette", "tiny_imagenet", "imagefolder", "caltech101", "caltech256", "voc2012"
    ] = Field(description="a module of zfrepro/datasets")
    size: int = Field(gt=0, description="pixels; side of the stored square image; the paper: 256")
    max_bad: int = Field(0, ge=0, description="unreadable files that may be left out before the stage stops")
    options: dict[str, Any] = Field({}, description="options of the data set, see zfrepro/datasets/<dataset>.py")
    thumbnails: tuple[PositiveInt, ...] = Field(
        (),
        description="sides in pixels of the shrunk images that are written too; an experiment adds each `overlap_size` of `folds` to those "
        "of the source",
    )

    @field_validator("thumbnails")
    @classmethod
    def _once(cls, sides: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(sides)))

    @model_validator(mode="after")
    def _check_thumbnails(self) -> Spec:
        if max(self.thumbnails, default=0) > self.size:
            raise ValueError(
                f"thumbnails: {max(self.thumbnails)} pixels exceed the stored size of {self.size}; lower it"
            )
        return self

    def image_bytes(self) -> int:
        """Of one stored image."""
        return self.size**2 * 3

    def thumbnail_bytes(self) -> int:
        """Of all thumbnails of one image: float32."""
        return sum(side**2 * 3 * 4 for side in self.thumbnails)


def parse_options(spec: Spec) -> Base:
    """The data set's own options, checked. Raises pydantic.ValidationError."""
    return _module(spec).Spec.model_validate(spec.options)


def inputs(spec: Spec, digest: Callable[..., str]) -> dict[str, str]:
    """Digest of names, sizes and times of all files below the folders that the data set's options name."""
    roots = contents.roots(parse_options(spec))
    return {"data": str(contents.of_folders(roots, times=True))} if roots else {}


def run(spec: Spec, out: Path, workers: int = WORKERS) -> None:
    """The result does not depend on `workers`, and is complete once manifest.json exists: it is written last."""
    dataset, options = _module(spec), parse_options(spec)
    listing = dataset.listing(options)
    items = [item for split in listing.splits.values() for item in split]
    _check_classes(listing)
    if listing.left_out:
        print(json.dumps({"left_out": listing.left_out}), flush=True)
    _remove_leftovers(out)
    purpose = f"{len(items)} images at {spec.size} x {spec.size}"
    guards.check_space(out, round(len(items) * (spec.image_bytes() + spec.thumbnail_bytes()) * 1.05), purpose)
    with guards.stopped_by_sigterm(), guards.report_disk_full(out), _image_files(spec, out) as files:
        outcomes = decode_all(dataset.load, options, items, spec.size, workers, spec.thumbnails)
        with closing(outcomes):
            content = _write_images(files, spec, listing, zip(items, outcomes, strict=True))
        _check_content(content, listing, spec, out)
        (out / "manifest.json").unlink(missing_ok=True)  # from here on, an earlier result is incomplete
        _remove_thumbnails(out, spec)
    with guards.report_disk_full(out):
        _write_index(out, content, len(listing.classes))
        artifacts.save_json(out / "manifest.json", _manifest(spec, options, listing, content, out))


@dataclass
class _Content:
    """The images written to images.npy so far, and those left out."""

    total: np.ndarray  # uint64 (S, S, 3), sum over the first split; integers, so exact in any order
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
        """float32 (S, S, 3). Raises UserError if the first split has no image."""
        split, (first, end) = next(iter(self.splits.items()))
        if end == first:
            raise UserError(
                f"split {split}: contains no image, so there is no mean image; check the options of the data set"
            )
        return (self.total / (end - first)).astype(np.float32)

    def presence(self, classes: int) -> dict[str, np.ndarray]:
        """The array `presence` of storage/prepared_set.py; none if every image has one class."""
        if not any(item.present for item in self.items):
            return {}
        presence = np.zeros((len(self.items), classes), np.int8)
        for row, item in zip(presence, self.items, strict=True):
            row[list(item.difficult)] = -1
            row[list(item.positive)] = 1
        return {"presence": presence}


@dataclass
class _ImageFile:
    """A .npy of images that grows image by image. Not memory-mapped, so a full disk raises an error and memory stays constant."""

    file: BinaryIO
    side: int
    dtype: str  # `|u1`
    count: int = 0

    def add(self, image: np.ndarray) -> None:
        if not self.count:
            self.file.write(_header(0, self.side, self.dtype))
        self.file.write(image.data)
        self.count += 1

    def finish(self) -> None:
        """Write how many there are."""
        self.file.seek(0)
        self.file.write(_header(self.count, self.side, self.dtype))
        self.file.flush()


@contextmanager
def _image_files(spec: Spec, out: Path) -> Iterator[list[_ImageFile]]:
    """Of the stored images and of every size of thumbnails; they appear when the block ends, or none does."""
    kinds = [("images.npy", spec.size, "|u1"), *((thumbnails_file(side), side, "<f4") for side in spec.thumbnails)]
    with ExitStack() as stack:
        temporary = [stack.enter_context(artifacts.atomic(out / name)) for name, _, _ in kinds]
        with ExitStack() as opened:
            files = [opened.enter_context(open(path, "wb")) for path in temporary]
            yield [_ImageFile(file, side, dtype) for file, (_, side, dtype) in zip(files, kinds, strict=True)]


def _write_images(
    files: list[_ImageFile], spec: Spec, listing: Listing, results: Iterator[tuple[Item, Outcome]]
) -> _Content:
    """Stream the images and their thumbnails to the files, in this order."""
    content = _Content(np.zeros((spec.size, spec.size, 3), np.uint64))
    report = _progress_reporter(sum(map(len, listing.splits.values())))
    for split, items in listing.splits.items():
        start = len(content.items)
        for _ in items:
            item, outcome = next(results)
            if outcome.pixels is None:
                content.skipped.append({"file": item.key, "reason": outcome.reason, "split": split})
                _check_unreadable(content.skipped, spec.max_bad, tolerance=MAX_LISTED)
            else:
                content.add(item, outcome)
                for file, image in zip(files, (outcome.pixels, *outcome.thumbnails), strict=True):
                    file.add(image)
                if start == 0:
                    content.total += outcome.pixels
            report(len(content.items), len(content.skipped))
        content.splits[split] = (start, len(content.items))
    for file in files:
        file.finish()
    return content


def _header(count: int, size: int, dtype: str) -> bytes:
    """Header of a .npy of `count` images; numpy pads it to the same length for every count."""
    buffer = io.BytesIO()
    shape = (count, size, size, 3)
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _write_index(out: Path, content: _Content, classes: int) -> None:
    artifacts.save_arrays(
        out / "index.npz",
        labels=np.array([item.label for item in content.items], np.int64),
        boxes=np.array(content.boxes, np.float32).reshape(-1, 4),
        files=np.array([item.key for item in content.items], np.str_),
        **content.presence(classes),
    )
    with artifacts.atomic(out / "mean.npy") as temporary, open(temporary, "wb") as file:
        np.save(file, content.mean(), allow_pickle=False)
    artifacts.save_text(out / "parts.csv", "".join(_part_lines(content.parts)))


def _part_lines(parts: Iterable[tuple]) -> Iterator[str]:
    yield "image,part,x0,y0,x1,y1\n"
    for image, name, *edges in parts:
        yield f"{image},{name}," + ",".join(f"{edge:.3f}" for edge in edges) + "\n"


def _manifest(spec: Spec, options: Base, listing: Listing, content: _Content, out: Path) -> dict[str, Any]:
    thumbnails = [thumbnails_file(side) for side in spec.thumbnails]
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
        **({"left_out": dict(listing.left_out)} if listing.left_out else {}),
        **({"data": asdict(contents.of_folders(roots))} if (roots := contents.roots(options)) else {}),
        "sha256": {name: artifacts.sha256(out / name) for name in FILES},
        **({"thumbnails": {name: artifacts.sha256(out / name) for name in thumbnails}} if thumbnails else {}),
        "versions": {"pillow": PIL.__version__, "libjpeg_turbo": _turbo(), "numpy": np.__version__},
    }


def _counts(classes: list[str], content: _Content) -> dict[str, dict[str, int]]:
    """Images of each class in each split; an image with several classes counts for each."""
    counts = {split: _count_labels(content.items[slice(*ends)]) for split, ends in content.splits.items()}
    return {split: {name: count[label] for label, name in enumerate(classes)} for split, count in counts.items()}


def _count_labels(items: Iterable[Item]) -> Counter[int]:
    return Counter(label for item in items for label in item.positive)


def _turbo() -> str | None:
    """Version of the JPEG decoder: pixels differ by 1 or 2 between decoders."""
    return features.version_feature("libjpeg_turbo") if features.check_feature("libjpeg_turbo") else None


def _module(spec: Spec) -> ModuleType:
    # Imported by name, so the code digest of one data set does not include the readers of the others.
    return importlib.import_module(f"zfrepro.datasets.{spec.dataset}")


def _check_classes(listing: Listing) -> None:
    for split, items in listing.splits.items():
        counts = _count_labels(items)
        if empty := [name for label, name in enumerate(listing.classes) if not counts[label]]:
            raise UserError(
                f"split {split}: no image of class {', '.join(empty[:10])} ({len(empty)} such classes); "
                "add images or leave the class out with the option `classes`"
            )


def _check_unreadable(skipped: list[dict[str, str]], allowed: int, tolerance: int) -> None:
    """Raise UserError with a list if more than `allowed` + `tolerance` files are unreadable.

    With a tolerance, reading goes on for some files past the limit, so that the message can list them all.
    """
    if len(skipped) <= allowed + tolerance:
        return
    lines = [f"  {printable(bad['file'])}: {printable(bad['reason'])}" for bad in skipped[:MAX_LISTED]]
    more = [f"  and {len(skipped) - MAX_LISTED} more"] if len(skipped) > MAX_LISTED else []
    count = f"at least {len(skipped)}" if tolerance else f"{len(skipped)}"
    head = f"{count} files cannot be read, and max_bad allows {allowed}:"
    raise UserError("\n".join([head, *lines, *more, "fix or remove them, or raise `max_bad` to leave them out"]))


def _check_content(content: _Content, listing: Listing, spec: Spec, out: Path) -> None:
    _check_unreadable(content.skipped, spec.max_bad, tolerance=0)
    for split, numbers in _counts(listing.classes, content).items():
        if empty := [name for name, number in numbers.items() if not number]:
            raise UserError(
                f"{out}: split {split}: every file of class {', '.join(empty[:10])} is unreadable; fix them"
            )


def _remove_leftovers(out: Path) -> None:
    """Remove temporary files of a killed run, which may be as large as the result."""
    out.mkdir(parents=True, exist_ok=True)
    for name in (*FILES, "manifest.json", "thumbnails*.npy"):
        for leftover in out.glob(f".{name}.*.tmp"):
            leftover.unlink()


def _remove_thumbnails(out: Path, spec: Spec) -> None:
    """Of sizes that an earlier result had and this one lacks."""
    for path in set(out.glob("thumbnails*.npy")) - {out / thumbnails_file(side) for side in spec.thumbnails}:
        path.unlink()


def _progress_reporter(total: int) -> Callable[[int, int], None]:
    """A function of (done, skipped) that prints a JSON line every few seconds and one at the end."""
    started = last = time.monotonic()

    def report(done: int, skipped: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_EVERY or done + skipped == total:
            last = now
            print(
                json.dumps({"done": done, "of": total, "seconds": round(now - started, 1), "skipped": skipped}),
                flush=True,
            )

    return report
