"""Images with part boxes: from a prepared set, or from a CSV file of boxes annotated by hand in photographs.

docs/annotations.md describes the CSV file, whose header is image,part,x0,y0,x1,y1.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from zfrepro.core.images import Box, centre_square, stored_box, stored_pixels
from zfrepro.datasets.decoding import UnreadableImageError, decode
from zfrepro.errors import UserError
from zfrepro.storage import paths
from zfrepro.storage.prepared_set import PreparedSet

HEADER = ("image", "part", "x0", "y0", "x1", "y1")
PARTS = ("right eye", "left eye", "nose")
OBJECT = "object"  # optional
IMAGE = "image"  # optional: the whole photograph, as large as it was when its parts were marked
ROUNDING = 1e-3  # pixels by which an edge may exceed a limit
MINIMUM = 2  # images, since pairs are compared


@dataclass(frozen=True)
class AnnotatedImage:
    """An image as stored, boxes in stored pixels."""

    file: str
    label: str | None  # name of the class
    pixels: np.ndarray  # uint8 (S, S, 3)
    parts: dict[str, Box]  # some or all of PARTS
    object: Box | None

    def cut(self, view: Box) -> AnnotatedImage | None:
        """The image cropped to a view, in whole pixels; None if one of PARTS is missing or not entirely inside."""
        left, top, right, bottom = map(int, view)
        if set(self.parts) != set(PARTS) or not all(_inside(box, view) for box in self.parts.values()):
            return None
        parts = {part: _shift(box, left, top) for part, box in self.parts.items()}
        pixels = np.array(self.pixels[top:bottom, left:right])
        return AnnotatedImage(self.file, self.label, pixels, parts, self.object and _shift(self.object, left, top))


@dataclass
class _Annotation:
    """The rows of one image: boxes in its own pixels, and their line numbers."""

    line: int  # of its first row
    boxes: dict[str, Box] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)


def read_prepared(prepared: PreparedSet, split: str) -> list[AnnotatedImage]:
    """A split's images with a box of any of PARTS, in order."""
    first, end = prepared.splits[split]
    files, labels, boxes = prepared.files(split), prepared.labels(split), prepared.boxes(split)
    images = []
    for image, parts in sorted(_parts_by_image(prepared).items()):
        if first <= image < end:
            row = image - first
            box = boxes[row].tolist() if np.isfinite(boxes[row]).all() else None
            label, pixels = prepared.classes[labels[row]], prepared.all_images[image]
            images.append(
                AnnotatedImage(str(files[row]), label, pixels, parts, box and (box[0], box[1], box[2], box[3]))
            )
    return images


def _parts_by_image(prepared: PreparedSet) -> dict[int, dict[str, Box]]:
    """Position in all_images -> boxes of PARTS."""
    table = prepared.parts()
    images: dict[int, dict[str, Box]] = {}
    for image, part, x0, y0, x1, y1 in zip(*(table[name].tolist() for name in HEADER), strict=True):
        if part in PARTS:
            images.setdefault(image, {})[part] = (x0, y0, x1, y1)
    return images


def read_csv(path: Path, root: Path | None, size: int, view: Box) -> list[AnnotatedImage]:
    """The images in the order of the file: the largest centred square of each, stored at `size` pixels.

    Paths of images are relative to `root`, or to the file's own folder. Raises UserError with file and line; also if a
    part is not inside `view`, stored pixels.
    """
    path = paths.resolve(path)
    folder = path.parent if root is None else paths.resolve(root)
    annotations = _read_annotations(path)
    return [_load(path, name, annotation, folder / name, size, view) for name, annotation in annotations.items()]


def list_files(path: Path, root: Path | None) -> list[Path]:
    """The file itself and the photographs that it names and that exist: a plan needs no data.

    Of a file with faults, which `read_csv` reports, only itself.
    """
    return [paths.resolve(path), *filter(Path.is_file, _photographs(path, root))]


def missing_photographs(path: Path, root: Path | None) -> list[Path]:
    """Those that the file names and that do not exist; none of a file with faults."""
    return [photograph for photograph in _photographs(path, root) if not photograph.is_file()]


def _photographs(path: Path, root: Path | None) -> list[Path]:
    path = paths.resolve(path)
    folder = path.parent if root is None else paths.resolve(root)
    try:
        return [folder / name for name in dict.fromkeys(row[0] for _, row in _read_rows(path))]
    except UserError:
        return []


def _read_annotations(path: Path) -> dict[str, _Annotation]:
    """Image -> its rows, complete."""
    annotations: dict[str, _Annotation] = {}
    for line, (name, part, *numbers) in _read_rows(path):
        image = annotations.setdefault(name, _Annotation(line))
        if part not in (*PARTS, OBJECT, IMAGE):
            raise _error(path, line, f"unknown part {part!r}; use one of {', '.join((*PARTS, OBJECT, IMAGE))}")
        if part in image.boxes:
            raise _error(path, line, f"{name}: {part} is already in line {image.lines[part]}; remove one of the two")
        image.boxes[part], image.lines[part] = _parse_box(path, line, numbers), line
    _require_complete(path, annotations)
    return annotations


def _require_complete(path: Path, annotations: dict[str, _Annotation]) -> None:
    for name, image in annotations.items():
        if missing := [part for part in PARTS if part not in image.boxes]:
            raise _error(path, image.line, f"{name}: no box for {' and '.join(missing)}; add it or remove the image")
    if len(annotations) < MINIMUM:
        raise UserError(
            f"{path}: annotates {len(annotations)} images, but pairs are compared; annotate at least {MINIMUM}, the paper has 5"
        )


def _read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, six cells) of every non-empty line below the header."""
    if not path.is_file():
        raise UserError(f"{path}: no such annotation file; check the path (docs/annotations.md describes the file)")
    try:
        reader = csv.reader(io.StringIO(paths.read_text(path)), strict=True)
        if (header := _cells(next(reader, []))) != list(HEADER):
            raise _error(path, 1, f"the header is {','.join(header)!r}; it must be {','.join(HEADER)}")
        for row in map(_cells, reader):
            if any(row):
                if len(row) != len(HEADER):
                    raise _error(
                        path, reader.line_num, f"{len(row)} values instead of {len(HEADER)}: {','.join(HEADER)}"
                    )
                yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not CSV ({error}); save it again as CSV") from error


def _cells(row: list[str]) -> list[str]:
    return [cell.strip() for cell in row]


def _parse_box(path: Path, line: int, texts: list[str]) -> Box:
    try:
        x0, y0, x1, y1 = map(float, texts)
    except ValueError:
        raise _error(path, line, f"{','.join(texts)!r} is not four numbers x0,y0,x1,y1") from None
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        raise _error(path, line, f"{','.join(texts)!r} is not four numbers x0,y0,x1,y1")
    if x1 <= x0 or y1 <= y0:
        raise _error(path, line, "the box is empty; x1 must be larger than x0, and y1 than y0")
    return x0, y0, x1, y1


def _load(path: Path, name: str, annotation: _Annotation, file: Path, size: int, view: Box) -> AnnotatedImage:
    image = _decode(path, annotation.line, file)
    if (whole := annotation.boxes.get(IMAGE)) and whole != (0, 0, *image.size):
        raise _error(
            path,
            annotation.lines[IMAGE],
            f"{name}: has {image.width} x {image.height} pixels, but its parts were marked in an image of {whole[2]:g} x {whole[3]:g}; use "
            "that copy of the photograph, or mark the parts again",
        )
    visible = _to_image_pixels(view, *image.size, size)
    for part, box in annotation.boxes.items():
        if not _inside(box, (0, 0, *image.size)):
            raise _error(
                path,
                annotation.lines[part],
                f"{name}: {part} lies outside the image, {image.width} x {image.height} pixels; fix the box",
            )
        if part in PARTS and not _inside(box, visible):
            x0, y0, x1, y1 = (round(edge, 1) for edge in visible)
            raise _error(
                path, annotation.lines[part],
                f"{name}: {part} lies outside what the network sees, x {x0:g} to {x1:g} and y {y0:g} to {y1:g}; crop the image",
            )  # fmt: skip
    stored = {part: stored_box(box, *image.size, size) for part, box in annotation.boxes.items()}
    parts = {part: edges for part in PARTS if (edges := stored[part])}
    return AnnotatedImage(name, None, stored_pixels(image, size), parts, stored.get(OBJECT))


def _decode(path: Path, line: int, file: Path) -> Image.Image:
    """The upright image: boxes are annotated in what a viewer shows."""
    try:
        return decode(file).image
    except UnreadableImageError as error:
        raise _error(path, line, str(error)) from error


def _to_image_pixels(box: Box, width: int, height: int, size: int) -> Box:
    """A box in stored pixels as one in a (width, height) image; the inverse of core.images.stored_box."""
    left, top, side = centre_square(width, height)
    x0, y0, x1, y1 = (edge * side / size for edge in box)
    return left + x0, top + y0, left + x1, top + y1


def _shift(box: Box, left: float, top: float) -> Box:
    return box[0] - left, box[1] - top, box[2] - left, box[3] - top


def _inside(box: Box, outer: Box) -> bool:
    low, high = outer[:2] * 2, outer[2:] * 2
    return all(a - ROUNDING <= edge <= b + ROUNDING for a, edge, b in zip(low, box, high, strict=True))


def _error(path: Path, line: int, message: str) -> UserError:
    return UserError(f"{path}, line {line}: {message}")
