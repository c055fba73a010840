"""Derive a complete experiment from another: another name, other seeds, another precision; its comments are kept."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from zfrepro.errors import UserError
from zfrepro.experiment import loading
from zfrepro.experiment.config import INSPECTIONS, Config
from zfrepro.stages import prepare

SEEDED = (*INSPECTIONS, "features", "probes")  # stages whose section may have a seed

Key = tuple[str, ...]  # ("train", "recipe", "seed")


@dataclass(frozen=True)
class Changes:
    """`seed` is added to the seeds of training, of splits and of random choices; `data_seed` to those of drawn data sets."""

    name: str
    seed: int = 0
    data_seed: int = 0
    precision: str | None = None


def vary(text: str, changes: Changes, file: str) -> str:
    """Return the text of the derived experiment. file: name of the source, for messages.

    Comments are lost only if the file cannot be edited in place. Raises UserError if the source is not a valid experiment or
    the changes do not fit it.
    """
    content = yaml.safe_load(text)
    config = loading.parse(content, file)
    _check(config, changes, file)
    new_values = dict(_new_values(config, content, changes))
    expected = copy.deepcopy(content)
    for key, value in new_values.items():
        _set(expected, key, value)
    _parse_derived(expected, changes)
    edited = _edit_in_place(text, new_values, expected)
    return edited or yaml.safe_dump(expected, sort_keys=False, allow_unicode=True, width=100)


def _edit_in_place(text: str, new_values: Mapping[Key, Any], expected: Mapping[str, Any]) -> str | None:
    """None if that is impossible, as with a mapping that two keys share through an anchor."""
    try:
        for key, value in new_values.items():
            text = _edit(text, key, value)
        return text if yaml.safe_load(text) == expected else None
    except yaml.YAMLError:
        return None


def _parse_derived(content: Mapping[str, Any], changes: Changes) -> None:
    try:
        loading.parse(content, "derived")
    except UserError as error:
        if "derived: experiment: " not in str(error):
            raise
        raise UserError(
            f"--name {changes.name}: a name consists of at most 61 lower-case letters, digits and hyphens and does not begin "
            "with a hyphen"
        ) from error


def _check(config: Config, changes: Changes, file: str) -> None:
    if changes.name == config.experiment:
        raise UserError(
            f"--name {changes.name}: {file} already has this name, and both would write to {config.results()}; choose another"
        )
    seeds = [config.training(run).seed for run in config.runs()]
    smallest = max(seeds) - min(seeds) + 1
    if 0 < changes.seed < smallest:
        raise UserError(
            f"--seed {changes.seed}: {file} uses the seeds {min(seeds)} to {max(seeds)}, so both experiments would share "
            f"networks; choose 0 or at least {smallest}"
        )
    if changes.data_seed and not _drawn_sets(config):
        raise UserError(f"--data-seed {changes.data_seed}: no data set of {file} has a seed; leave the option out")


def _new_values(config: Config, content: Mapping[str, Any], changes: Changes) -> Iterator[tuple[Key, Any]]:
    """Every key that changes, with its new value."""
    yield ("experiment",), changes.name
    if changes.seed:
        yield from _new_seeds(config, content, changes.seed)
    if changes.data_seed:
        for label, seed in _drawn_sets(config).items():
            yield ("prepare", label, "options", "seed"), seed + changes.data_seed
    if changes.precision:
        yield from _new_precisions(content, changes.precision)


def _drawn_sets(config: Config) -> dict[str, int]:
    """Set -> seed, of the sets whose images the program draws."""
    seeds = {label: getattr(prepare.parse_options(spec), "seed", None) for label, spec in config.prepare.items()}
    return {label: seed for label, seed in seeds.items() if seed is not None}


def _new_seeds(config: Config, content: Mapping[str, Any], seed: int) -> Iterator[tuple[Key, int]]:
    """Runs without a seed use the recipe's; sections that the experiment leaves out stay out."""
    recipe = config.train.recipe.get("seed", 0)
    yield ("train", "recipe", "seed"), recipe + seed
    for key, run_seed in _run_values(content, "seed"):
        yield key, run_seed + seed
    for target, spec in config.folds.items():
        yield ("folds", target, "seed"), spec.seed + seed
    for stage in SEEDED:
        spec = getattr(config, stage)
        if hasattr(spec, "seed") and (stage in content or (config.folds and config.features.runs)):
            yield (stage, "seed"), spec.seed + seed


def _new_precisions(content: Mapping[str, Any], precision: str) -> Iterator[tuple[Key, str]]:
    """Precision of training and of evaluation."""
    yield ("train", "recipe", "precision"), precision
    for key, _ in _run_values(content, "precision"):
        yield key, precision
    yield ("evaluate", "precision"), precision


def _run_values(content: Mapping[str, Any], setting: str) -> Iterator[tuple[Key, Any]]:
    """Key and value of a setting, of every run that sets it itself."""
    for stage in ("train", "ablate"):
        for run, settings in (content.get(stage) or {}).get("runs", {}).items():
            if setting in settings:
                yield (stage, "runs", run, setting), settings[setting]


def _set(content: dict[str, Any], key: Key, value: Any) -> None:
    *parents, last = key
    for part in parents:
        content = content.setdefault(part, {})
    content[last] = value


def _edit(text: str, key: Key, value: Any) -> str:
    """The YAML text with one key set and everything else unchanged. A new key comes first in its mapping."""
    node, missing = _find(yaml.compose(text, yaml.SafeLoader), key)
    if not missing:
        return text[: node.start_mark.index] + _inline(value) + text[node.end_mark.index :]
    for part in reversed(missing[1:]):
        value = {part: value}
    return _insert(text, node, f"{missing[0]}: {_inline(value)}")


def _insert(text: str, mapping: yaml.CollectionNode, entry: str) -> str:
    start = mapping.start_mark
    if mapping.flow_style:
        return f"{text[: start.index + 1]}{entry}{', ' if mapping.value else ''}{text[start.index + 1 :]}"
    if start.column == 0:
        return f"{text.rstrip(chr(10))}\n\n{entry}\n"  # a section that was left out: at the end
    return f"{text[: start.index]}{entry}\n{' ' * start.column}{text[start.index :]}"


def _find(node: yaml.Node | None, key: Key) -> tuple[Any, Key]:
    """The node of the key, or of its deepest parent that exists; and the rest of the key, which is missing there."""
    child = _child(node, key[0]) if key else None
    return (node, key) if child is None else _find(child, key[1:])


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _inline(value: Any) -> str:
    """`100`, `demo-2`, `{seed: 100}`"""
    text = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return re.sub(r"\n(\.\.\.\n)?$", "", text)
