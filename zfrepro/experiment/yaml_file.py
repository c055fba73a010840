"""Read a YAML file strictly: its bytes are checked, a key that stands twice is an error, and how a value was written is kept."""

from __future__ import annotations

import datetime
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zfrepro.errors import UserError
from zfrepro.storage import paths

KINDS = {
    bool: "boolean",
    int: "number",
    float: "number",
    datetime.date: "date",
    datetime.datetime: "date",
    type(None): "value null",
}


@dataclass(frozen=True)
class Document:
    """The content of a YAML file, and its nodes, which keep the text of each value."""

    content: Any
    root: yaml.Node | None = None

    def written(self, location: Sequence[Any]) -> str | None:
        """The text of the value at a location (keys, and positions in lists); None where there is none."""
        node = self.root
        for part in location:
            node = _child(node, part)
        return node.value if isinstance(node, yaml.ScalarNode) else None


def load(path: Path) -> Document:
    """Raises UserError, naming file and line, for another encoding, for no YAML, and for a key that stands twice."""
    return parse(paths.read_text(paths.resolve(path)), str(path))


def parse(text: str, name: str) -> Document:
    """As `load`; every message begins with `name`."""
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        if root is not None:
            _check(root, name, set(), set())
        return Document(yaml.safe_load(text), root)
    except yaml.YAMLError as error:
        raise UserError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise UserError(f"{name}: not valid YAML: nested too deeply") from error
    except (ValueError, OverflowError) as error:  # a date or a number that does not exist, such as 2024-13-01
        raise UserError(f"{name}: not valid YAML: {error}; write the value in quotes") from error


def explain_kind(value: Any, written: str | None) -> str | None:
    """Why a value is no text though it looks like one; None if it does not look like one."""
    kind = KINDS.get(type(value))
    if kind is None:
        return None
    if value is None and not written:
        return "there is no value; write one"
    result = kind if value is None else f"{kind} {str(value).lower()}"
    if written is None and isinstance(value, bool):
        words = "yes, on or true" if value else "no, off or false"
        return f"YAML reads an unquoted {words} as the {result}; write it in quotes"
    text = written or str(value)
    return f'YAML reads {text} as the {result}; write it in quotes, as "{text}"'


def _child(node: yaml.Node | None, part: Any) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item: yaml.Node = node.value[part]
        return item
    pairs: list[tuple[yaml.Node, yaml.Node]] = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for key, value in pairs if isinstance(key, yaml.ScalarNode) and key.value == str(part)), None)


def _check(node: yaml.Node, name: str, above: set[int], checked: set[int]) -> None:
    """Raises UserError for a key that stands twice, and for an alias to what contains it."""
    if id(node) in above:
        raise UserError(f"{name}, line {node.start_mark.line + 1}: contains itself through an alias; remove the alias")
    if id(node) in checked or isinstance(node, yaml.ScalarNode):
        return
    checked.add(id(node))
    if isinstance(node, yaml.MappingNode):
        _check_keys(node, name)
    for part in node.value:
        for child in part if isinstance(part, tuple) else (part,):
            _check(child, name, above | {id(node)}, checked)


def _check_keys(node: yaml.MappingNode, name: str) -> None:
    lines: dict[Hashable, int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            line, value = key.start_mark.line + 1, _value(key)
            if value in lines:
                raise UserError(
                    f"{name}, line {line}: the key `{key.value}` is there twice, first in line {lines[value]}; remove or rename one"
                )
            lines[value] = line


def _value(key: yaml.ScalarNode) -> Hashable:
    """What the key means: 1, 01 and 0x1 are the same."""
    plain = key.style is None and key.tag != "tag:yaml.org,2002:str"
    return key.tag, yaml.safe_load(key.value) if plain else key.value
