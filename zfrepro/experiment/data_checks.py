"""Check, before the first job, that the data can give what the stages ask of them: splits, images, classes.

What is certain from a listing, from a manifest or from published counts is decided now; what is not known is left to the stages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zfrepro.datasets.base import Listing
from zfrepro.datasets.counting import list_images
from zfrepro.errors import UserError
from zfrepro.experiment.config import INSPECTIONS, Config
from zfrepro.experiment.cost import count_images
from zfrepro.graph import SOURCE
from zfrepro.stages import occlusion, prepare
from zfrepro.stages.folds import OWN_SPLITS
from zfrepro.storage import artifacts, paths

TRAINED_ON = ("train", "val")  # splits of the source that every network needs
LISTED = 5  # names in a message


@dataclass(frozen=True)
class Contents:
    """What a set holds. splits: name -> images; classes: name -> images of all splits, None where that is not known."""

    splits: Mapping[str, int]
    classes: Mapping[str, int] | None = None


def check_data(config: Config, name: str) -> Iterator[str]:
    """Yield what is left out, a line each. Raises UserError, a line a fault, for what would certainly fail later."""
    source = contents(config, SOURCE)
    faults = [*_split_faults(config, source), *_fold_faults(config)]
    if faults:
        raise UserError("\n".join(f"{name}: {fault}" for fault in faults))
    for exhibit, reason in config.left_out.items():
        yield f"left out: {exhibit}: {reason}"
    yield from _too_few_images(config, source)
    yield from _unknown_classes(config, source)


def contents(config: Config, label: str) -> Contents | None:
    """Of the prepared set, else of its listing, else as published; None where its folder would have to be read whole."""
    spec = config.prepare[label]
    if manifest := _manifest(config, label):
        return _of_manifest(manifest)
    options = prepare.parse_options(spec)
    root = getattr(options, "root", None)
    if spec.dataset == "scenes" or (spec.dataset == "imagefolder" and root and paths.resolve(root).is_dir()):
        return _of_listing(list_images(spec.dataset, options.model_dump_json()))
    counts = count_images(config, label)
    return Contents(counts.splits) if counts else None


def _manifest(config: Config, label: str) -> Mapping[str, Any]:
    """Of the set as it is prepared; empty if it is not, or with other settings."""
    spec, path = config.prepare[label], config.results() / "prepare" / label / "manifest.json"
    manifest: dict[str, Any] = artifacts.load_json(path) if path.is_file() else {}
    wanted = {
        "dataset": spec.dataset,
        "size": spec.size,
        "options": prepare.parse_options(spec).model_dump(mode="json"),
    }
    return manifest if all(manifest.get(key) == value for key, value in wanted.items()) else {}


def _of_manifest(manifest: Mapping[str, Any]) -> Contents:
    counts: Counter[str] = Counter(dict.fromkeys(manifest["classes"], 0))
    for split in manifest.get("counts", {}).values():
        counts.update(split)
    return Contents({split: end - first for split, (first, end) in manifest["splits"].items()}, counts)


def _of_listing(listing: Listing) -> Contents:
    labels = Counter(label for items in listing.splits.values() for item in items for label in item.positive)
    classes = {name: labels[label] for label, name in enumerate(listing.classes)}
    return Contents({split: len(items) for split, items in listing.splits.items()}, classes)


def _split_faults(config: Config, source: Contents | None) -> Iterator[str]:
    if source is None:
        return
    there = f"prepare.{SOURCE} has {', '.join(source.splits)}"
    if missing := [split for split in TRAINED_ON if not source.splits.get(split)]:
        yield f"prepare.{SOURCE}: networks need images of the split {' and '.join(missing)}, and {there}"
    for section in _running(config):
        split = getattr(config, section).split
        if split not in source.splits and split not in missing:
            yield f"{section}.split: there is no split {split}: {there}"


def _too_few_images(config: Config, source: Contents | None) -> Iterator[str]:
    """Analyses that ask for more images than a split has: they are left out, see storage/not_measured.py."""
    for section in _running(config):
        spec = getattr(config, section)
        count = source.splits.get(spec.split) if source else None
        if not count:
            continue
        for key, wanted in _images_wanted(section, spec).items():
            if wanted > count:
                yield (
                    f"left out: {section}: {section}.{key} asks for {wanted} images, and split {spec.split} of prepare.{SOURCE} has {count}"
                )


def _images_wanted(section: str, spec: Any) -> dict[str, int]:
    """Key of a section -> images that it asks for at least."""
    if section == "deconvnet":
        return {"top": spec.top}
    if section not in ("occlusion", "invariance"):
        return {}
    pictures = spec.pictures if isinstance(spec.pictures, int) else max(spec.pictures, default=0) + 1
    return {"pictures": max(pictures, occlusion.COMPANIONS + 1) if section == "occlusion" else pictures}


def _fold_faults(config: Config) -> Iterator[str]:
    for target, spec in config.folds.items():
        found = contents(config, target)
        if found is None or found.classes is None or spec.small != "stop" or set(OWN_SPLITS) <= set(found.splits):
            continue
        largest = max(spec.per_class)
        small = [f"{name} ({count})" for name, count in found.classes.items() if count <= largest]
        if small:
            more = f" and {len(small) - LISTED} more" if len(small) > LISTED else ""
            yield (
                f"folds.{target}: these classes have fewer than {largest} training images and one test image: "
                f"{', '.join(small[:LISTED])}{more}; lower `per_class`, or set `small: drop`"
            )


def _unknown_classes(config: Config, source: Contents | None) -> Iterator[str]:
    """Classes that an experiment names and its source does not have: usually those of the experiment that was copied."""
    if source is None or source.classes is None:
        return
    for section, field in (("invariance", "symmetric"), ("correspondence", "classes")):
        key, names = (
            f"{section}.{field}",
            getattr(getattr(config, section), field, ()) if section in _running(config) else (),
        )
        unknown = [name for name in names if name not in source.classes]
        if unknown:
            yield f"left out: {key}: prepare.{SOURCE} has no class {', '.join(unknown)}"


def _running(config: Config) -> list[str]:
    """Sections of analyses that run: they name a run, and their data can be there."""
    return [section for section in INSPECTIONS if config.inspected_runs(section) and section not in config.unmeasurable]
