"""Drawn images in the official layouts of ImageNet, Caltech-101, Caltech-256 and VOC 2012, with all classes of each, and annotated
photographs (docs/annotations.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from zfrepro.datasets import caltech101, caltech256, voc2012
from zfrepro.datasets.part_annotations import PARTS
from zfrepro.models import torchvision_import

WIDE, HIGH, BLOTCHES = 340, 272, 8  # pixels; colours along either side of an image
COMMON = 0.3  # share of a class in its images
CALTECH101, CALTECH256 = 101, 256  # categories, without BACKGROUND_Google and 257.clutter
MARK = 16  # pixels: side of the box of a part


class Painter:
    """Images of blotches: a share of each is common to its class, the rest its own, so that no two correlate as copies do."""

    def __init__(self, seed: int):
        self._rng = np.random.default_rng(seed)
        self._classes: dict[str, np.ndarray] = {}

    def paint(self, path: Path, name: str) -> None:
        """A JPEG of the class `name`."""
        common = self._classes.setdefault(name, self._blotches())
        colours = Image.fromarray((COMMON * common + (1 - COMMON) * self._blotches()).astype(np.uint8))
        large = colours.resize((WIDE, HIGH), Image.Resampling.BICUBIC)
        noise = Image.fromarray(self._rng.integers(0, 256, (HIGH // 4, WIDE // 4, 3), dtype=np.uint8)).resize(
            (WIDE, HIGH)
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.blend(large, noise, 0.2).save(path, "JPEG", quality=60)

    def _blotches(self) -> np.ndarray:
        return self._rng.integers(0, 256, (BLOTCHES, BLOTCHES, 3))


def imagenet_names() -> list[str]:
    """The names of ImageNet's 1,000 classes; two pairs share a name, as in the devkit."""
    torchvision_import.ensure()
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return list(_IMAGENET_CATEGORIES)


def write_imagenet(root: Path, train: int, val: int, names: list[str]) -> None:
    """`train` and `val` images per class, and meta.bin, which torchvision makes of the devkit."""
    import torch

    painter, synonyms, validation = Painter(0), {}, []
    for label, name in enumerate(names):
        wnid = f"n{1440764 + 1013 * label:08d}"
        synonyms[wnid] = (name, f"{name}, another word")
        for i in range(train):
            painter.paint(root / "train" / wnid / f"{wnid}_{i}.JPEG", wnid)
        for _ in range(val):
            validation.append(wnid)
            painter.paint(root / "val" / wnid / f"ILSVRC2012_val_{len(validation):08d}.JPEG", wnid)
    torch.save((synonyms, validation), root / "meta.bin")


def write_caltech101(root: Path, per_class: int, names: list[str]) -> None:
    painter = Painter(1)
    for name in (caltech101.BACKGROUND, *(name.replace(" ", "_") for name in names[:CALTECH101])):
        for i in range(per_class):
            painter.paint(root / caltech101.FOLDER / name / f"image_{i + 1:04d}.jpg", name)


def write_caltech256(root: Path, per_class: int, names: list[str]) -> None:
    painter = Painter(2)
    folders = [f"{n:03d}.{name.replace(' ', '-')}" for n, name in enumerate(names[:CALTECH256], 1)]
    for folder in (*folders, caltech256.CLUTTER):
        for i in range(per_class):
            painter.paint(root / caltech256.FOLDER / folder / f"{folder[:3]}_{i + 1:04d}.jpg", folder)


def write_voc2012(root: Path, per_split: int) -> None:
    """Every image shows two classes, every fifth a difficult object besides."""
    painter, home = Painter(3), root / voc2012.FOLDER
    for folder in ("Annotations", "ImageSets/Main"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    for year, split in ((2008, "train"), (2009, "val")):
        names = [f"{year}_{i:06d}" for i in range(per_split)]
        for i, name in enumerate(names):
            objects = list(_voc_objects(i))
            painter.paint(home / f"JPEGImages/{name}.jpg", objects[0][0])
            (home / f"Annotations/{name}.xml").write_text(f"<annotation>{''.join(map(_as_xml, objects))}</annotation>")
        (home / f"ImageSets/Main/{split}.txt").write_text("".join(f"{name}\n" for name in names))


def _voc_objects(i: int) -> Iterator[tuple[str, int, tuple[int, int, int, int]]]:
    """Class, difficult, box; the first is the largest."""
    classes = voc2012.CLASSES
    yield classes[i % 20], 0, (20, 20, 240, 220)
    yield classes[(7 * i + 3) % 20], 0, (200, 100, 320, 200)
    if i % 5 == 0:
        yield classes[(i + 11) % 20], 1, (5, 5, 60, 60)


def _as_xml(voc_object: tuple[str, int, tuple[int, int, int, int]]) -> str:
    name, difficult, box = voc_object
    edges = "".join(
        f"<{edge}>{value}</{edge}>" for edge, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{edges}</bndbox></object>"


def write_annotated(table: Path, count: int) -> None:
    """The CSV `table`, and beside it photographs with eyes above a nose."""
    painter, lines = Painter(4), ["image,part,x0,y0,x1,y1"]
    left, top = WIDE // 2, HIGH // 3
    for i in range(count):
        painter.paint(table.parent / f"dog{i}.jpg", "dog")
        for part, (x, y) in zip(PARTS, ((left - 40, top), (left + 40, top + i), (left, top + 50)), strict=True):
            lines.append(f"dog{i}.jpg,{part},{x},{y},{x + MARK},{y + MARK}")
    table.write_text("\n".join(lines) + "\n")
