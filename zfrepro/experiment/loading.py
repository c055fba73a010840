"""Read an experiment file and check it whole, before any job: every fault is one line that names file and key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from zfrepro.core.architecture import describe
from zfrepro.errors import UserError
from zfrepro.experiment.config import SOURCE, Config
from zfrepro.stages import prepare


def load(path: Path) -> Config:
    """Read and check an experiment file. Raises UserError with one line a fault, each naming file and key."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give an experiment file with --config") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    return parse(content, str(path))


def parse(content: Any, name: str) -> Config:
    """Check a whole experiment given as nested dictionaries; `name` stands before every message."""
    if not isinstance(content, dict):
        raise UserError(f"{name}: must hold keys such as experiment, prepare, train; see config.yaml")
    try:
        config = Config.model_validate(content)
    except ValidationError as error:
        raise UserError("\n".join(_messages(error, name))) from error
    faults = list(_faults(config, name))
    if faults:
        raise UserError("\n".join(faults))
    return config


def check_folders(config: Config, name: str) -> None:
    """Every folder and file that is to be read must be there. Raises UserError naming the key."""
    for label, spec in config.prepare.items():
        root = getattr(prepare.options_of(spec), "root", None)
        if root is not None and not Path(root).exists() and not spec.options.get("download"):
            raise UserError(
                f"{name}: prepare.{label}.options.root: there is no folder {root}; put the data there or change the key"
            )
    marked = getattr(config.correspondence, "annotations", None)
    if marked is not None and not marked.is_file():
        raise UserError(f"{name}: correspondence.annotations: there is no file {marked}; see docs/annotations.md")


def _faults(config: Config, name: str) -> Iterator[str]:
    """What the sections' own types cannot see: data sets' options, each run's settings, sizes, exhibits."""
    for label, spec in config.prepare.items():
        try:
            prepare.options_of(spec)
        except ValidationError as error:
            yield from _messages(error, f"{name}: prepare.{label}.options", sep=".")
    in_runs = list(dict.fromkeys(fault for run in config.runs() for fault in _run_faults(config, run, name)))
    yield from in_runs
    if not in_runs:
        for exhibit in config.report.exhibits:
            yield from _exhibit_faults(config, exhibit, f"{name}: report.exhibits")
        yield from _size_faults(config, name)


def _run_faults(config: Config, run: str, name: str) -> Iterator[str]:
    stage = config.runs()[run]
    key = f"{name}: {stage}.runs.{run}"
    if not run.replace("-", "").replace("_", "").isalnum() or not run.isascii():
        yield f"{key}: a run's name is made of letters, digits, - and _"
        return
    try:
        spec = config.training(run)
    except ValidationError as error:
        own = getattr(config, stage).runs[run]
        for fault in error.errors():
            where = [str(part) for part in fault["loc"] if part != "network"]
            yield _message(fault, key if where[:1] == [] or where[0] in own else f"{name}: train.recipe", where, ".")
        return
    stored = config.prepare[SOURCE].size
    if spec.input_size > stored:
        yield f"{key}.input_size: {spec.input_size} pixels are more than the {stored} that prepare.{SOURCE}.size stores"
    try:
        describe(spec.network, spec.input_size, 1000, spec.width)
    except ValueError as error:
        yield f"{key}.input_size: {spec.input_size} pixels are too few: {error}"


def _size_faults(config: Config, name: str) -> Iterator[str]:
    """Squares that do not fit the input, runs without snapshots, sets too small for their network, unknown methods."""
    for stage in ("occlusion", "correspondence"):
        for run in config.inspected_runs(stage):
            square = getattr(config, stage).square
            if square > config.training(run).input_size:
                yield f"{name}: {stage}.square: {square} pixels do not fit the input of {run}"
    for run in config.inspected_runs("evolution"):
        if not config.training(run).snapshots:
            yield f"{name}: evolution.runs: {run} keeps no snapshots; give it some: {config.runs()[run]}.runs.{run}.snapshots"
    seeing = {*config.features.runs, *([config.scratch_run()] if config.scratch.sets else [])}
    needed = max((config.training(run).input_size for run in seeing), default=0)
    for target in config.folds:
        stored = config.prepare[target].size
        if stored < needed:
            yield f"{name}: prepare.{target}.size: {stored} pixels are fewer than the {needed} that the network sees"


def _exhibit_faults(config: Config, exhibit: str, key: str) -> Iterator[str]:
    try:
        config.needs(exhibit)
    except ModuleNotFoundError:
        yield f"{key}: there is no exhibit {exhibit!r}"
    except (KeyError, AttributeError, LookupError) as error:
        yield f"{key}: {exhibit} needs a stage that this experiment leaves out ({error})"


def _messages(error: ValidationError, prefix: str, sep: str = ": ") -> Iterator[str]:
    for fault in error.errors():
        yield _message(fault, prefix, [str(part) for part in fault["loc"]], sep)


def _message(fault: Mapping[str, Any], prefix: str, where: list[str], sep: str) -> str:
    """`my.yaml: train.recipe.epochs: Input should be a valid integer, not 'many'`"""
    said = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        said = "there is no such key"
    elif fault["type"] == "missing":
        said = "this key is missing"
    elif fault["type"] != "value_error":
        said = f"{said}, not {fault['input']!r}"
    return f"{prefix}{sep if where else ': '}{'.'.join(where)}{': ' if where else ''}{said}"
