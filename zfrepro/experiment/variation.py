"""A complete experiment derived from another: another name, other seeds, another precision; its comments are kept."""

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

CHOOSING = (*INSPECTIONS, "features", "probes")  # stages of one section that may have a seed

Key = tuple[str, ...]  # ("train", "recipe", "seed")


@dataclass(frozen=True)
class Changes:
    """`seed` is added to the seeds of training, of splits and of what the stages choose; `data_seed` to those of drawn sets."""

    name: str
    seed: int = 0
    data_seed: int = 0
    precision: str | None = None


def vary(text: str, changes: Changes, file: str) -> str:
    """The text of the derived experiment. file: name of the source, for messages.

    Comments are lost only where the file's form forbids editing it in place. Raises UserError where the source is not a valid
    experiment, or the changes do not fit it.
    """
    content = yaml.safe_load(text)
    config = loading.parse(content, file)
    _check(config, changes, file)
    wanted = dict(_changed(config, content, changes))
    expected = copy.deepcopy(content)
    for key, value in wanted.items():
        _put(expected, key, value)
    _parse_derived(expected, changes)
    edited = _edited_in_place(text, wanted, expected)
    return edited or yaml.safe_dump(expected, sort_keys=False, allow_unicode=True, width=100)


def _edited_in_place(text: str, wanted: Mapping[Key, Any], expected: Mapping[str, Any]) -> str | None:
    """None where the file's form forbids it, as with a mapping that two keys share through an anchor."""
    try:
        for key, value in wanted.items():
            text = _edited(text, key, value)
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
            f"--name {changes.name}: a name is made of lower-case letters, digits and hyphens, at most 61, and does not "
            "begin with a hyphen"
        ) from error


def _check(config: Config, changes: Changes, file: str) -> None:
    if changes.name == config.experiment:
        raise UserError(f"--name {changes.name}: is the name of {file} itself; both would write to {config.results()}")
    seeds = [config.training(run).seed for run in config.runs()]
    least = max(seeds) - min(seeds) + 1
    if 0 < changes.seed < least:
        raise UserError(
            f"--seed {changes.seed}: {file} trains from the seeds {min(seeds)} to {max(seeds)}, so that both experiments would "
            f"share networks; choose 0 or at least {least}"
        )
    if changes.data_seed and not _drawn(config):
        raise UserError(f"--data-seed {changes.data_seed}: no set of {file} is drawn from a seed; leave the option out")


def _changed(config: Config, content: Mapping[str, Any], changes: Changes) -> Iterator[tuple[Key, Any]]:
    """Key -> new value, of every key that changes."""
    yield ("experiment",), changes.name
    if changes.seed:
        yield from _seeds(config, content, changes.seed)
    if changes.data_seed:
        for label, own in _drawn(config).items():
            yield ("prepare", label, "options", "seed"), own + changes.data_seed
    if changes.precision:
        yield from _precisions(content, changes.precision)


def _drawn(config: Config) -> dict[str, int]:
    """Set -> seed, of the sets whose images the program draws."""
    options = {label: prepare.options_of(spec) for label, spec in config.prepare.items()}
    return {label: own.seed for label, own in options.items() if hasattr(own, "seed")}


def _seeds(config: Config, content: Mapping[str, Any], seed: int) -> Iterator[tuple[Key, int]]:
    """Runs without a seed follow the recipe's; sections that the experiment leaves out stay out."""
    recipe = config.train.recipe.get("seed", 0)
    yield ("train", "recipe", "seed"), recipe + seed
    for key, own in _of_runs(content, "seed"):
        yield key, own + seed
    for target, spec in config.folds.items():
        yield ("folds", target, "seed"), spec.seed + seed
    for stage in CHOOSING:
        spec = getattr(config, stage)
        if hasattr(spec, "seed") and (stage in content or (config.folds and config.features.runs)):
            yield (stage, "seed"), spec.seed + seed


def _precisions(content: Mapping[str, Any], precision: str) -> Iterator[tuple[Key, str]]:
    """Of training, and of the evaluation, which follows the machine as training does where nothing is named."""
    yield ("train", "recipe", "precision"), precision
    for key, _ in _of_runs(content, "precision"):
        yield key, precision
    yield ("evaluate", "precision"), precision


def _of_runs(content: Mapping[str, Any], setting: str) -> Iterator[tuple[Key, Any]]:
    """The runs that have a value of their own."""
    for stage in ("train", "ablate"):
        for run, own in (content.get(stage) or {}).get("runs", {}).items():
            if setting in own:
                yield (stage, "runs", run, setting), own[setting]


def _put(content: dict[str, Any], key: Key, value: Any) -> None:
    *way, last = key
    for part in way:
        content = content.setdefault(part, {})
    content[last] = value


def _edited(text: str, key: Key, value: Any) -> str:
    """The YAML text with one key set, everything else as it is. A new key comes first in the mapping that it belongs to."""
    node, rest = yaml.compose(text, yaml.SafeLoader), list(key)
    while rest and (found := _value(node, rest[0])) is not None:
        node, rest = found, rest[1:]
    if not rest:
        return text[: node.start_mark.index] + _plain(value) + text[node.end_mark.index :]
    for part in reversed(rest[1:]):
        value = {part: value}
    entry = f"{rest[0]}: {_plain(value)}"
    start = node.start_mark
    if node.flow_style:
        return f"{text[: start.index + 1]}{entry}{', ' if node.value else ''}{text[start.index + 1 :]}"
    if node.start_mark.column == 0:
        return f"{text.rstrip(chr(10))}\n\n{entry}\n"  # a section that was left out: at the end
    return f"{text[: start.index]}{entry}\n{' ' * start.column}{text[start.index :]}"


def _value(node: yaml.Node, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _plain(value: Any) -> str:
    """`100`, `demo-2`, `{seed: 100}`"""
    said = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return re.sub(r"\n(\.\.\.\n)?$", "", said)
