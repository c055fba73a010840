"""Turn a stage's `run` into a command line: its parameters are the options, its Spec's fields are explained in --help."""

from __future__ import annotations

import argparse
import inspect
import typing
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any

from pydantic import BaseModel, ValidationError

from zfrepro.errors import UserError


def run_stage(name: str, module: ModuleType, arguments: list[str]) -> None:
    """Parse `arguments` by the signature of `module.run` and call it."""
    given = vars(stage_parser(name, module).parse_args(arguments))
    module.run(
        **{parameter: _spec(module.Spec, value) if parameter == "spec" else value for parameter, value in given.items()}
    )


def stage_parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"zfrepro {name}",
        description=f"{module.__doc__}\n{module.run.__doc__ or ''}",
        epilog=_explain(module.Spec),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    types = typing.get_type_hints(module.run)
    for parameter in inspect.signature(module.run).parameters.values():
        _add(parser, parameter, types[parameter.name])
    return parser


def _add(parser: argparse.ArgumentParser, parameter: inspect.Parameter, kind: Any) -> None:
    option = "--" + parameter.name.replace("_", "-")
    if parameter.name == "spec":
        parser.add_argument(
            option, required=True, metavar="JSON", help="settings, as JSON or as a file of JSON; see below"
        )
    elif parameter.default is inspect.Parameter.empty:
        parser.add_argument(option, required=True, type=_plain(kind), metavar=_plain(kind).__name__.upper())
    else:
        parser.add_argument(
            option,
            type=_plain(kind),
            default=parameter.default,
            metavar=_plain(kind).__name__.upper(),
            help=f"default: {parameter.default}",
        )


def _plain(kind: Any) -> type:
    """Path | None -> Path"""
    if isinstance(kind, UnionType) or typing.get_origin(kind) is typing.Union:
        return next(part for part in typing.get_args(kind) if part is not type(None))
    return kind


def _spec(spec: type[BaseModel], text: str) -> BaseModel:
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"--spec {text}: neither JSON nor a file that can be read ({error.strerror})") from error
    try:
        return spec.model_validate_json(text)
    except ValidationError as error:
        faults = (f"--spec: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise UserError("\n".join(faults)) from error


def _explain(spec: type[BaseModel]) -> str:
    lines = ["settings (--spec):"]
    for name, field in spec.model_fields.items():
        default = "required" if field.is_required() else f"default {field.get_default(call_default_factory=True)}"
        lines.append(f"  {name}: {field.description or ''} ({default})")
    return "\n".join(lines)
