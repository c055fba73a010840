"""ImageNet (ILSVRC 2012) in torchvision's layout: root/{train,val}/<wnid>/*.JPEG.

If train/ or val/ is missing, torchvision unpacks the official archives in `root`: ILSVRC2012_img_train.tar,
ILSVRC2012_img_val.tar and the development kit ILSVRC2012_devkit_t12.tar.gz, which also gives the class names.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from types import ModuleType

from zfrepro.datasets import folders
from zfrepro.datasets.base import DecodedImage, Item, Listing
from zfrepro.datasets.decoding import decode
from zfrepro.datasets.walk import Walk
from zfrepro.errors import UserError
from zfrepro.storage import paths

LAYOUT = "train/<wnid>/*.JPEG and val/<wnid>/*.JPEG, or the archives ILSVRC2012_img_{train,val}.tar with the devkit"


class Spec(folders.SplitFolderSpec):
    pass


def listing(spec: Spec) -> Listing:
    root = folders.require_folder(spec.root, LAYOUT)
    for split in ("train", "val"):
        if not (root / split).is_dir():
            _unpack(root, split)
    walk = Walk()
    names = folders.list_class_folders(walk, root / "train", LAYOUT)
    folders.list_class_folders(walk, root / "val", LAYOUT)
    titles = _titles(root, names)
    classes = folders.choose_classes(names, spec.classes, root / "train", titles)
    splits = {s: folders.list_images(walk, root, root / s, classes, spec.limit(s)) for s in ("train", "val")}
    return Listing([titles[name] for name in classes], splits, dict(+walk.left_out))


def load(spec: Spec, item: Item) -> DecodedImage:
    return decode(paths.resolve(spec.root) / item.key)


def _titles(root: Path, names: list[str]) -> dict[str, str]:
    """Folder name -> class name from the devkit; without the devkit, the folder name."""
    synonyms = _meta(root)[0] if (root / "meta.bin").exists() or (root / _archive("devkit")).exists() else {}
    return folders.unique_titles({name: synonyms.get(name, (name,)) for name in names})


def _archive(split: str) -> str:
    return {"devkit": "ILSVRC2012_devkit_t12.tar.gz"}.get(split, f"ILSVRC2012_img_{split}.tar")


def _meta(root: Path) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Class names of each wnid, and the wnid of each validation image; meta.bin is created from the devkit if missing."""
    reader, path = _torchvision_reader(), root / "meta.bin"
    if not path.exists():
        _run_torchvision(reader.parse_devkit_archive, root, "devkit")
    try:
        return reader.load_meta_file(root)
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); delete it and place {_archive('devkit')} next to it"
        ) from error


def _unpack(root: Path, split: str) -> None:
    """Unpack into a temporary folder, then rename: the split's folder is never incomplete."""
    if (root / split).exists():
        folders.require_folder(root / split, LAYOUT)
    if not (root / _archive(split)).exists():
        raise UserError(
            f"{root}: contains neither {split}/ nor {_archive(split)}; set the option `root` to the folder of ImageNet, or place "
            f"the archive there (expected: {LAYOUT})"
        )
    print(json.dumps({"unpacking": str(root / _archive(split))}), flush=True)
    reader, temporary = _torchvision_reader(), f".{split}.unpacking"
    shutil.rmtree(root / temporary, ignore_errors=True)
    if split == "train":
        _run_torchvision(reader.parse_train_archive, root, split, folder=temporary)
    else:
        _run_torchvision(reader.parse_val_archive, root, split, wnids=_meta(root)[1], folder=temporary)
    os.replace(root / temporary, root / split)


def _torchvision_reader() -> ModuleType:
    """torchvision's own reader of ImageNet."""
    from zfrepro.models import torchvision_import

    torchvision_import.ensure()
    from torchvision.datasets import imagenet

    return imagenet


def _run_torchvision(parse, root: Path, split: str, **options) -> None:
    archive = folders.require_file(root / _archive(split), f"the official archive {_archive(split)}")
    try:
        parse(root, **options)
    except RuntimeError as error:  # torchvision's error for a wrong checksum
        raise UserError(f"{archive}: damaged or not the official archive ({error}); download it again") from error
