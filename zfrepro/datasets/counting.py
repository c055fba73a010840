"""Count the images of a data set in its folder, for plans: without decoding, unpacking or downloading anything."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from zfrepro.datasets import contents
from zfrepro.datasets.base import Listing
from zfrepro.datasets.published import Counts
from zfrepro.errors import UserError
from zfrepro.storage import paths

MAX_ENTRIES = 200_000  # files and folders; a larger tree, such as all of ImageNet, takes too long to list for a plan


def count_in_folder(dataset: str, options: Any) -> Counts | None:
    """Counts of what the data set's reader would take now; None where it has to unpack first, or the folder is too large."""
    root = getattr(options, "root", None)
    if root is None or not _is_in_place(dataset, options, paths.resolve(root)):
        return None
    return _count(dataset, options.model_dump_json()) if _is_small(contents.roots(options)) else None


def _is_in_place(dataset: str, options: Any, root: Path) -> bool:
    """Whether reading it only reads."""
    if getattr(options, "download", False) or getattr(options, "archive", None):
        return False
    unpacked = all((root / split).is_dir() for split in ("train", "val"))
    has_class_names = (root / "meta.bin").exists() or not any(
        root.glob("*devkit*")
    )  # else the reader unpacks the names of classes
    return root.is_dir() and (dataset != "imagenet" or (unpacked and has_class_names))


def _is_small(roots: Iterable[Path]) -> bool:
    folders, entries = [os.fspath(root) for root in roots if root.is_dir()], 0
    while folders and entries <= MAX_ENTRIES:
        try:
            with os.scandir(folders.pop()) as listed:
                for entry in listed:
                    entries += 1
                    if entries > MAX_ENTRIES:
                        break
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:
            continue  # the reader says what it cannot read
    return entries <= MAX_ENTRIES


@cache
def list_images(dataset: str, options: str) -> Listing:
    """Once in a command, see forget_listings. options: the data set's Spec as JSON. Raises UserError."""
    reader = importlib.import_module(f"zfrepro.datasets.{dataset}")
    listing: Listing = reader.listing(reader.Spec.model_validate_json(options))
    return listing


def forget_listings() -> None:
    """Before folders are looked at, which may have changed."""
    list_images.cache_clear()


def _count(dataset: str, options: str) -> Counts | None:
    try:
        listing = list_images(dataset, options)
    except UserError:
        return None  # `run` reports it before its first job
    return Counts(len(listing.classes), {split: len(items) for split, items in listing.splits.items()})
