"""Read a prepared data set: the one on-disk form that `prepare` writes and every later stage reads.

A folder holds
    manifest.json   data set, class names, splits, stored size, sha256 of the other files, what was skipped and why
    images.npy      uint8 (N, S, S, 3), RGB, all splits one after the other; memory-mapped
    index.npz       labels int64 (N,), boxes float32 (N, 4) x0 y0 x1 y1 in stored pixels (NaN = unknown), files str (N,);
                    where images have several classes, also presence int8 (N, classes)
    mean.npy        float32 (S, S, 3), mean image over the first split
    parts.csv       image,part,x0,y0,x1,y1 (image = position in images.npy); no rows where the set has no part boxes
    thumbnails16.npy (and so on, for every size asked for) float32 (N, 16, 16, 3), the same images shrunk, for the search for overlaps
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zfrepro.errors import UserError
from zfrepro.storage import artifacts
from zfrepro.storage.stored_images import OpenFile, StoredImages

if TYPE_CHECKING:
    import pandas as pd

FILES = ("images.npy", "index.npz", "mean.npy", "parts.csv")
# Of the manifest: all that later stages may read, besides which thumbnails there are. These follow from the images, so that a set which
# gets others trains no network again.
ESSENTIAL = ("dataset", "classes", "splits", "size", "sha256")


def thumbnails_file(size: int) -> str:
    return f"thumbnails{size}.npy"


def essential_manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    """Without where the images come from, what was left out and which libraries decoded them: `sha256` covers their outcome."""
    return {key: manifest[key] for key in ESSENTIAL if key in manifest}


class PreparedSet:
    """One prepared data set, opened by its manifest. `splits` maps a name to (first, one past last) image."""

    def __init__(self, manifest: Path):
        self.folder = Path(manifest).parent
        stored = artifacts.load_json(manifest)
        self.manifest = essential_manifest(stored)
        self._thumbnails: Collection[str] = stored.get("thumbnails", {})
        self.classes: list[str] = self.manifest["classes"]
        self.size: int = self.manifest["size"]
        self.splits: dict[str, tuple[int, int]] = {name: tuple(ends) for name, ends in self.manifest["splits"].items()}

    @cached_property
    def all_images(self) -> np.ndarray:
        """uint8 (N, S, S, 3), memory-mapped read-only. Raises UserError if the file is gone or cut short."""
        return self._mapped("images.npy", self.size, np.dtype(np.uint8))

    def _mapped(self, name: str, size: int, dtype: np.dtype) -> np.ndarray:
        """(N, size, size, 3) of all images, memory-mapped read-only."""
        path = self.folder / name
        try:
            images = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{path}: cannot be read ({error}); delete {self.folder} and run again") from error
        if images.shape != (self.count, size, size, 3) or images.dtype != dtype or not images.flags.c_contiguous:
            raise UserError(f"{path}: does not fit its manifest.json; delete {self.folder} and run again")
        return images

    def thumbnails(self, size: int, split: str | None) -> np.ndarray:
        """float32 (n, size, size, 3), memory-mapped. Raises UserError where the set was prepared without them, or the file is damaged."""
        name = thumbnails_file(size)
        if name not in self._thumbnails:
            raise UserError(
                f"{self.folder}: was prepared without thumbnails of {size} pixels ({name}), with which other sets are compared; "
                f"delete {self.folder} and run again; by hand, prepare it with `thumbnails: [{size}]`"
            )
        return self._mapped(name, size, np.dtype(np.float32))[self.where(split)]

    @cached_property
    def _index(self) -> dict[str, np.ndarray]:
        return artifacts.load_arrays(self.folder / "index.npz")

    @property
    def count(self) -> int:
        return max(end for _, end in self.splits.values())

    @property
    def digest(self) -> str:
        """Changes whenever images, labels or the mean image do."""
        return ":".join(self.manifest["sha256"][name][:16] for name in ("images.npy", "index.npz", "mean.npy"))

    def where(self, split: str | None) -> slice:
        """Places of a split's images, None: of all. Raises UserError for a split that the set does not have."""
        if split is None:
            return slice(0, self.count)
        if split not in self.splits:
            raise UserError(f"{self.folder}: has no split {split!r}; it has {', '.join(self.splits)}")
        return slice(*self.splits[split])

    def images(self, split: str | None) -> np.ndarray:
        """uint8 (n, S, S, 3), memory-mapped: for a look at some of them"""
        return self.all_images[self.where(split)]

    def reader(self, split: str | None) -> StoredImages:
        """The same images for reading them all, or many at random."""
        return self._stored.part(self.where(split))

    @cached_property
    def _stored(self) -> StoredImages:
        """All; opened once, so that a file put in its place does not count."""
        assert isinstance(self.all_images, np.memmap)
        return StoredImages(OpenFile(self.folder / "images.npy"), self.all_images.offset, self.count, self.size)

    def labels(self, split: str | None) -> np.ndarray:
        """int64 (n,), positions in `classes`"""
        return self._index["labels"][self.where(split)]

    @property
    def has_presence(self) -> bool:
        """Whether its images can have several classes."""
        return "presence" in self._index

    def presence(self, split: str | None) -> np.ndarray:
        """int8 (n, classes): 1 present, 0 absent, -1 present but marked difficult, which VOC leaves out of account.

        Raises UserError for a set whose images have one class each.
        """
        if not self.has_presence:
            raise UserError(
                f"{self.folder}: its images have one class each; use a set with several classes per image, such as voc2012"
            )
        return self._index["presence"][self.where(split)]

    def boxes(self, split: str | None) -> np.ndarray:
        """float32 (n, 4): x0, y0, x1, y1 of the object in stored pixels, NaN where unknown"""
        return self._index["boxes"][self.where(split)]

    def files(self, split: str | None) -> np.ndarray:
        """str (n,): where each image came from, relative to the data set's root"""
        return self._index["files"][self.where(split)]

    def mean(self) -> np.ndarray:
        """float32 (S, S, 3), 0-255"""
        return np.load(self.folder / "mean.npy", allow_pickle=False)

    def parts(self) -> pd.DataFrame:
        """Columns image, part, x0, y0, x1, y1: boxes of named parts in stored pixels"""
        import pandas as pd

        return pd.read_csv(self.folder / "parts.csv", dtype={"part": str})
