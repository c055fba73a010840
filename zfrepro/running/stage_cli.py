"""Turn a stage's `run` into a command line: its parameters are the options, --help explains the fields of its Spec."""

from __future__ import annotations

import argparse
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any

from pydantic import BaseModel, ValidationError

from zfrepro.errors import UserError
from zfrepro.running import stored_stage
from zfrepro.storage import paths


def run_stage(name: str, module: ModuleType, arguments: list[str]) -> None:
    """Parse `arguments` by the signature of `module.run` and call it, or take its result from the store."""
    options = vars(stage_parser(name, module).parse_args(arguments))
    stored_stage.run(name, module, {**options, "spec": _parse_spec(module.Spec, options["spec"])})


def stage_parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"zfrepro {name}",
        description=f"{module.__doc__}\n{module.run.__doc__ or ''}",
        epilog=_describe_settings(module.Spec),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    types = typing.get_type_hints(module.run)
    for parameter in inspect.signature(module.run).parameters.values():
        _add_option(parser, parameter, types[parameter.name])
    return parser


def _add_option(parser: argparse.ArgumentParser, parameter: inspect.Parameter, kind: Any) -> None:
    option = "--" + parameter.name.replace("_", "-")
    if parameter.name == "spec":
        parser.add_argument(option, required=True, metavar="JSON", help="settings as JSON, or a JSON file; see below")
    elif parameter.default is inspect.Parameter.empty:
        parser.add_argument(option, required=True, type=_parser_of(kind), metavar=_without_none(kind).__name__.upper())
    else:
        parser.add_argument(
            option,
            type=_parser_of(kind),
            default=parameter.default,
            metavar=_without_none(kind).__name__.upper(),
            help=f"default: {parameter.default}",
        )


def _parser_of(kind: Any) -> Callable[[str], Any]:
    """Path | None -> a function that also replaces ~ and variables, as wherever a user names a path."""
    plain = _without_none(kind)
    return paths.resolve if plain is Path else plain


def _without_none(kind: Any) -> type:
    """Path | None -> Path"""
    if isinstance(kind, UnionType) or typing.get_origin(kind) is typing.Union:
        return next(part for part in typing.get_args(kind) if part is not type(None))
    return kind


def _parse_spec(spec: type[BaseModel], text: str) -> BaseModel:
    if not text.lstrip().startswith("{"):
        if not paths.resolve(text).is_file():
            raise UserError(f"--spec {text}: is neither JSON nor a readable file")
        text = paths.read_text(paths.resolve(text))
    try:
        return spec.model_validate_json(text)
    except ValidationError as error:
        faults = [f"--spec: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise UserError("\n".join(faults)) from error


def _describe_settings(spec: type[BaseModel]) -> str:
    lines = ["settings (--spec):"]
    for name, field in spec.model_fields.items():
        default = "required" if field.is_required() else f"default {field.get_default(call_default_factory=True)}"
        lines.append(f"  {name}: {field.description or ''} ({default})")
    return "\n".join(lines)
