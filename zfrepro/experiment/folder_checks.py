"""Check, before the first job, the folders and files that an experiment reads: they exist, and their layout can be right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zfrepro.datasets import part_annotations, walk
from zfrepro.datasets.counting import forget_listings, list_images
from zfrepro.errors import UserError
from zfrepro.experiment.config import Config
from zfrepro.experiment.data_checks import TRAINED_ON
from zfrepro.graph import SOURCE
from zfrepro.stages import prepare
from zfrepro.storage import paths


def check_folders(config: Config, name: str) -> None:
    """Raises UserError, naming the key, for a folder or file that does not exist or a layout that cannot be right.

    Prints what is left out of one's own images. Sets that are prepared already are not looked at again.
    """
    forget_listings()
    for label, spec in config.prepare.items():
        _require_root(spec, f"{name}: prepare.{label}.options.root")
        if line := _check_layout(config, label, name):
            print(line, flush=True)
    if config.correspondence is not None and config.correspondence.annotations is not None:
        _check_annotations(config.correspondence.annotations, config.correspondence.root, f"{name}: correspondence")


def _check_annotations(file: Path, root: Path | None, section: str) -> None:
    """The file of marked photographs, and the photographs."""
    if not paths.resolve(file).is_file():
        raise UserError(f"{section}.annotations: file {file} does not exist; see docs/annotations.md")
    if missing := part_annotations.missing_photographs(file, root):
        others = f" and {len(missing) - 1} more that {file} names do" if missing[1:] else f", which {file} names, does"
        raise UserError(f"{section}.root: {missing[0]}{others} not exist; put the photographs there or change the key")


def check_layouts(config: Config, name: str) -> Iterator[str]:
    """The layout of the sets whose folders are there, for a plan; yields what is left out. Raises UserError naming the key."""
    forget_listings()
    for label, spec in config.prepare.items():
        root = getattr(prepare.parse_options(spec), "root", None)
        present = root is None or paths.resolve(root).exists()
        if present and (line := _check_layout(config, label, name)):
            yield line


def _require_root(spec: prepare.Spec, key: str) -> None:
    root = getattr(prepare.parse_options(spec), "root", None)
    if root is None or paths.resolve(root).exists() or spec.options.get("download"):
        return
    hint = paths.explain_missing(root)
    raise UserError(
        f"{key}: folder {root} does not exist{f' ({hint})' if hint else ''}; put the data there or change the key"
    )


def _check_layout(config: Config, label: str, name: str) -> str:
    """What is left out of a set of one's own images; empty if nothing, or if the set is prepared or of another kind."""
    spec = config.prepare[label]
    prepared = config.results() / "prepare" / label / "manifest.json"
    if spec.dataset != "imagefolder" or prepared.is_file():
        return ""
    try:
        listing = list_images(spec.dataset, prepare.parse_options(spec).model_dump_json())
    except UserError as error:
        raise UserError(f"{name}: prepare.{label}: {error}") from error
    if label == SOURCE and (missing := [split for split in TRAINED_ON if split not in listing.splits]):
        root = paths.resolve(Path(spec.options["root"]))
        raise UserError(
            f"{name}: prepare.{label}.options: {root} contains classes but no {' and no '.join(f'{split}/' for split in missing)}, "
            "and the networks need both; set `val_fraction`, for example 0.2, to divide each class, or name the folders of both "
            "with `train` and `val`"
        )
    return f"prepare.{label}: {walk.describe(listing.left_out)}" if listing.left_out else ""
