"""Read an experiment file and check all of it before any job starts: every fault is one line that names file and key."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from zfrepro import exhibits
from zfrepro.core.architecture import describe
from zfrepro.errors import UserError
from zfrepro.experiment import yaml_file
from zfrepro.experiment.config import Config
from zfrepro.experiment.folder_checks import check_folders
from zfrepro.graph import SOURCE
from zfrepro.stages import prepare

__all__ = ["check_folders", "load", "parse"]

Written = Callable[[Sequence[Any]], str | None]
ALTERNATIVE = re.compile(
    r"constrained-\w+|(list|tuple|dict)\[.*\]"
)  # names that pydantic gives the parts of `int | list[str]`
TEXT_FAULTS = ("string_type", "string_sub_type", "path_type", "literal_error")


def load(path: Path) -> Config:
    """Read and check an experiment file. Raises UserError with one line per fault, each naming file and key."""
    document = yaml_file.load(path)
    return parse(document.content, str(path), document.written)


def parse(content: Any, name: str, written: Written = lambda location: None) -> Config:
    """Check a whole experiment given as nested dictionaries; every message begins with `name`.

    written: text of the value at a location, as it stands in the file.
    """
    if not isinstance(content, dict):
        raise UserError(f"{name}: must be a mapping with keys such as experiment, prepare and train; see config.yaml")
    try:
        config = Config.model_validate(content)
    except ValidationError as error:
        raise UserError("\n".join(_messages(error, name, written))) from error
    faults = list(_faults(config, name, written))
    if faults:
        raise UserError("\n".join(faults))
    return config


def _faults(config: Config, name: str, written: Written) -> Iterator[str]:
    """Check what the types of the sections cannot: data sets' options, each run's settings, sizes, exhibits."""
    for label, spec in config.prepare.items():
        try:
            prepare.parse_options(spec)
        except ValidationError as error:
            yield from _messages(error, name, written, ("prepare", label, "options"))
    run_faults = list(dict.fromkeys(fault for run in config.runs() for fault in _run_faults(config, run, name)))
    yield from run_faults
    if not run_faults:
        unknown = [
            fault
            for exhibit in config.report.exhibits
            for fault in _exhibit_faults(config, exhibit, f"{name}: report.exhibits")
        ]
        yield from unknown
        yield from _size_faults(config, name)
        if not unknown and len(config.left_out) == len(config.report.exhibits):
            yield f"{name}: report.exhibits: all of them are left out: {next(iter(config.left_out.values()))}"


def _run_faults(config: Config, run: str, name: str) -> Iterator[str]:
    stage = config.runs()[run]
    key = f"{name}: {stage}.runs.{run}"
    if not run.replace("-", "").replace("_", "").isalnum() or not run.isascii():
        yield f"{key}: a run's name may contain only letters, digits, - and _"
        return
    try:
        spec = config.training(run)
    except ValidationError as error:
        settings = getattr(config, stage).runs[run]
        for fault in error.errors():
            location = [str(part) for part in fault["loc"] if part != "network"]
            section = key if not location or location[0] in settings else f"{name}: train.recipe"
            yield _message(fault, section, location, ".")
        return
    stored = config.prepare[SOURCE].size
    if spec.input_size > stored:
        yield f"{key}.input_size: {spec.input_size} pixels exceed the {stored} of prepare.{SOURCE}.size"
    try:
        describe(spec.network, spec.input_size, 1000, spec.width)
    except ValueError as error:
        yield f"{key}.input_size: {spec.input_size} pixels are not enough: {error}"


def _size_faults(config: Config, name: str) -> Iterator[str]:
    """Squares larger than the input, runs without snapshots, sets smaller than the input of their network."""
    for stage in ("occlusion", "correspondence"):
        for run in config.inspected_runs(stage):
            square = getattr(config, stage).square
            if square > config.training(run).input_size:
                yield f"{name}: {stage}.square: {square} pixels exceed the input size of {run}"
    for run in config.inspected_runs("evolution"):
        if not config.training(run).snapshots:
            yield f"{name}: evolution.runs: {run} saves no snapshots; set {config.runs()[run]}.runs.{run}.snapshots"
    transferred = {*config.features.runs, *([config.scratch_run()] if config.scratch.sets else [])}
    needed = max((config.training(run).input_size for run in transferred), default=0)
    for target in config.folds:
        stored = config.prepare[target].size
        if stored < needed:
            yield f"{name}: prepare.{target}.size: {stored} pixels are fewer than the network's input of {needed}"


def _exhibit_faults(config: Config, exhibit: str, key: str) -> Iterator[str]:
    try:
        config.needs(exhibit)
    except ModuleNotFoundError:
        yield f"{key}: unknown exhibit {exhibit!r}; choose from {', '.join(_exhibit_names())}"


def _exhibit_names() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(exhibits.__path__) if not module.ispkg]


def _messages(error: ValidationError, name: str, written: Written, above: tuple[str | int, ...] = ()) -> Iterator[str]:
    """above: location of what was validated."""
    faults = [(fault, _location(fault)) for fault in error.errors()]
    for fault, location in faults:
        if not _has_better(fault, [other for other, place in faults if place[: len(location)] == location]):
            full_location = (*above, *location)
            yield _message(fault, name, [str(part) for part in full_location], ": ", written(full_location))


def _location(fault: ErrorDetails) -> tuple[str | int, ...]:
    """Where the fault is, without the names of the alternatives that pydantic tried."""
    return tuple(part for part in fault["loc"] if not (isinstance(part, str) and ALTERNATIVE.fullmatch(part)))


def _has_better(fault: ErrorDetails, others: Sequence[ErrorDetails]) -> bool:
    """Whether another alternative explains the fault better: that of a list, if a list is given, else that of a number."""
    alternatives = [part for part in fault["loc"] if isinstance(part, str) and ALTERNATIVE.fullmatch(part)]
    if not alternatives or len(others) < 2:
        return False
    is_list = any(isinstance(other["input"], list) for other in others)
    return is_list == alternatives[0].startswith("constrained")


def _message(fault: ErrorDetails, prefix: str, location: Sequence[str], sep: str, text: str | None = None) -> str:
    """`my.yaml: train.recipe.epochs: Input should be a valid integer (got 'many')`"""
    if location and location[-1] == "[key]":
        return f"{prefix}{sep}{'.'.join(location[:-2])}: a key: {_explanation(fault)}"
    if not location:
        return f"{prefix}: {_explanation(fault, text)}"
    return f"{prefix}{sep}{'.'.join(location)}: {_explanation(fault, text)}"


def _explanation(fault: ErrorDetails, text: str | None = None) -> str:
    if fault["type"] == "extra_forbidden":
        return "unknown key"
    if fault["type"] == "missing":
        return "required key is missing"
    if fault["type"] in TEXT_FAULTS and (reason := yaml_file.explain_kind(fault["input"], text)):
        return reason
    if fault["type"] == "value_error":
        return fault["msg"].removeprefix("Value error, ")
    return f"{fault['msg']} (got {fault['input']!r})"
