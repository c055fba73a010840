"""Imagenette, ten easy classes of ImageNet: imagenette2{,-320,-160}/{train,val}/<wnid>/*.JPEG."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from zfrepro.datasets import folders
from zfrepro.datasets.base import DecodedImage, Item, Listing
from zfrepro.datasets.decoding import decode
from zfrepro.datasets.walk import Walk
from zfrepro.storage import paths

EDITIONS = {"full": "imagenette2", "320px": "imagenette2-320", "160px": "imagenette2-160"}
TITLES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


class Spec(folders.SplitFolderSpec):
    edition: Literal["full", "320px", "160px"] = Field("320px", description="shorter side; 320 is enough for 256")
    download: bool = Field(False, description="download it into root through torchvision if root does not contain it")


def listing(spec: Spec) -> Listing:
    if spec.download:
        _download(spec)
    root = _require_root(spec)
    walk = Walk()
    names = folders.list_class_folders(walk, root / "train", _layout(spec))
    folders.list_class_folders(walk, root / "val", _layout(spec))
    titles = {name: TITLES.get(name, name) for name in names}
    classes = folders.choose_classes(names, spec.classes, root / "train", titles)
    splits = {s: folders.list_images(walk, root, root / s, classes, spec.limit(s)) for s in ("train", "val")}
    return Listing([titles[name] for name in classes], splits, dict(+walk.left_out))


def load(spec: Spec, item: Item) -> DecodedImage:
    return decode(_require_root(spec) / item.key)


def _require_root(spec: Spec) -> Path:
    return folders.require_folder_in(spec.root, EDITIONS[spec.edition], _layout(spec), "train")


def _layout(spec: Spec) -> str:
    return f"{EDITIONS[spec.edition]}/{{train,val}}/<wnid>/*.JPEG in `root`"


def _download(spec: Spec) -> None:
    target = paths.resolve(spec.root) / EDITIONS[spec.edition]
    if target.is_dir():
        return
    from zfrepro.models import torchvision_import

    torchvision_import.ensure()
    from torchvision.datasets import Imagenette

    folders.download(target, lambda temporary: Imagenette(temporary, size=spec.edition, download=True))
