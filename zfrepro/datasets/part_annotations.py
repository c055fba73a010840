"""Pictures whose parts are known: from a prepared set, or from a file of boxes marked by hand in photographs.

That file is a CSV with the header image,part,x0,y0,x1,y1; docs/annotations.md describes it for those who write one.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from zfrepro.core.images import Box, centre_square, stored_box, stored_pixels
from zfrepro.datasets.decoding import UnreadableImageError, decode
from zfrepro.errors import UserError
from zfrepro.storage.prepared_set import PreparedSet

HEADER = ("image", "part", "x0", "y0", "x1", "y1")
PARTS = ("right eye", "left eye", "nose")
OBJECT = "object"  # may be left out
ROUNDING = 1e-3  # pixels that an edge may stand out by
LEAST = 2  # pictures: one alone has nothing to be compared with


@dataclass(frozen=True)
class AnnotatedImage:
    """One picture as it is stored, boxes in stored pixels."""

    file: str
    label: str | None  # name of its class
    pixels: np.ndarray  # uint8 (S, S, 3)
    parts: dict[str, Box]  # some or all of PARTS
    object: Box | None

    def cut(self, view: Box) -> AnnotatedImage | None:
        """The same picture under a view in whole pixels; None where one of PARTS is missing or not wholly in it."""
        left, top, right, bottom = map(int, view)
        if set(self.parts) != set(PARTS) or not all(_inside(box, view) for box in self.parts.values()):
            return None
        parts, whole = {part: _moved(box, left, top) for part, box in self.parts.items()}, self.object
        pixels = np.array(self.pixels[top:bottom, left:right])
        return AnnotatedImage(self.file, self.label, pixels, parts, whole and _moved(whole, left, top))


@dataclass
class _Marks:
    """What the file says of one picture: boxes in its own pixels and the lines they stand on."""

    line: int
    boxes: dict[str, Box] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)


def read_prepared(prepared: PreparedSet, split: str) -> list[AnnotatedImage]:
    """A split's pictures that have boxes of any of PARTS, in order."""
    first, last = prepared.splits[split]
    table = prepared.parts()
    table = table[table["part"].isin(PARTS) & table["image"].between(first, last - 1)]
    files, labels, boxes = (getattr(prepared, what)(split) for what in ("files", "labels", "boxes"))
    found = []
    for image, rows in table.groupby("image"):
        parts = {row.part: (row.x0, row.y0, row.x1, row.y1) for row in rows.itertuples()}
        index, whole = image - first, boxes[image - first]
        label = prepared.classes[labels[index]]
        known = tuple(whole.tolist()) if np.isfinite(whole).all() else None
        found.append(AnnotatedImage(str(files[index]), label, prepared.all_images[image], parts, known))
    return found


def read_csv(path: Path, root: Path | None, size: int, view: Box) -> list[AnnotatedImage]:
    """The pictures in the order of the file: each one's largest centred square, stored at `size` pixels.

    All three parts lie in `view`, stored pixels.

    Names of pictures are relative to `root`, or to the file's own folder. Raises UserError naming file and line.
    """
    marks = _marks(Path(path))
    base = Path(path).parent if root is None else Path(root)
    return [_annotated(Path(path), name, found, base / name, size, view) for name, found in marks.items()]


def _marks(path: Path) -> dict[str, _Marks]:
    marks: dict[str, _Marks] = {}
    for line, cells in _lines(path):
        name, part, *numbers = cells
        found = marks.setdefault(name, _Marks(line))
        if part not in (*PARTS, OBJECT):
            raise _fault(path, line, f"unknown part {part!r}; known are {', '.join((*PARTS, OBJECT))}")
        if part in found.boxes:
            raise _fault(
                path, line, f"{name}: {part} was given before, in line {found.lines[part]}; remove one of the two"
            )
        found.boxes[part], found.lines[part] = _box(path, line, numbers), line
    for name, found in marks.items():
        if missing := [part for part in PARTS if part not in found.boxes]:
            raise _fault(
                path, found.line, f"{name}: no box of its {' and '.join(missing)}; add it or remove the picture"
            )
    if len(marks) < LEAST:
        raise UserError(
            f"{path}: marks {len(marks)} pictures, but pairs are compared; mark {LEAST} at least, the paper has 5"
        )
    return marks


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, six cells) of every line below the header that is not empty."""
    if not path.is_file():
        raise UserError(f"{path}: no such annotation file; docs/annotations.md describes it")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            if (header := _cells(next(reader, []))) != list(HEADER):
                raise _fault(path, 1, f"the header is {','.join(header)!r}; it must be {','.join(HEADER)}")
            for row in map(_cells, reader):
                if any(row):
                    if len(row) != len(HEADER):
                        raise _fault(
                            path, reader.line_num, f"{len(row)} values; it must be {len(HEADER)}: {','.join(HEADER)}"
                        )
                    yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error


def _cells(row: list[str]) -> list[str]:
    return [cell.strip() for cell in row]


def _box(path: Path, line: int, texts: list[str]) -> Box:
    try:
        x0, y0, x1, y1 = map(float, texts)
    except ValueError:
        raise _fault(path, line, f"{','.join(texts)!r} is not four numbers x0,y0,x1,y1") from None
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        raise _fault(path, line, f"{','.join(texts)!r} is not four numbers x0,y0,x1,y1")
    if x1 <= x0 or y1 <= y0:
        raise _fault(path, line, "the box is empty; x1 must be larger than x0, and y1 than y0")
    return x0, y0, x1, y1


def _annotated(path: Path, name: str, marks: _Marks, file: Path, size: int, view: Box) -> AnnotatedImage:
    image = _image(path, marks.line, file)
    seen = _in_picture(view, *image.size, size)
    for part, box in marks.boxes.items():
        if not _inside(box, (0, 0, *image.size)):
            raise _fault(
                path,
                marks.lines[part],
                f"{name}: {part} lies outside the picture, {image.width} x {image.height} pixels",
            )
        if part in PARTS and not _inside(box, seen):
            x0, y0, x1, y1 = (round(edge, 1) for edge in seen)
            raise _fault(
                path, marks.lines[part],
                f"{name}: {part} lies outside what the network sees, x {x0:g} to {x1:g} and y {y0:g} to {y1:g}; crop the picture",
            )  # fmt: skip
    placed = {part: stored_box(box, *image.size, size) for part, box in marks.boxes.items()}
    return AnnotatedImage(
        name, None, stored_pixels(image, size), {part: placed[part] for part in PARTS}, placed.get(OBJECT)
    )


def _image(path: Path, line: int, file: Path) -> Image.Image:
    """The upright image: boxes are marked in what a viewer shows."""
    try:
        return decode(file).image
    except UnreadableImageError as error:
        raise _fault(path, line, str(error)) from error


def _in_picture(box: Box, width: int, height: int, size: int) -> Box:
    """Stored pixels as pixels of a (width, height) picture; the way back from core.images.stored_box."""
    left, top, side = centre_square(width, height)
    x0, y0, x1, y1 = (edge * side / size for edge in box)
    return left + x0, top + y0, left + x1, top + y1


def _moved(box: Box, left: float, top: float) -> Box:
    return box[0] - left, box[1] - top, box[2] - left, box[3] - top


def _inside(box: Box, outer: Box) -> bool:
    low, high = outer[:2] * 2, outer[2:] * 2
    return all(a - ROUNDING <= edge <= b + ROUNDING for a, edge, b in zip(low, box, high, strict=True))


def _fault(path: Path, line: int, said: str) -> UserError:
    return UserError(f"{path}, line {line}: {said}")
