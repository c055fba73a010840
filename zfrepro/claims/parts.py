"""What a group of claims reads, where several sections of an experiment provide it and some may be left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zfrepro.claims.base import Finding, Unattempted

Needs = Callable[[Any], Mapping[str, str]]


def gathered(config: Any, parts: Mapping[str, tuple[str, Needs]]) -> dict[str, str]:
    """`part/label` -> file, of parts given as name -> (section of the config, its needs).

    A part is left out whose section names no run or whose needs raise LookupError; raises LookupError where all are.
    """
    files: dict[str, str] = {}
    for part, (section, needs) in parts.items():
        try:
            found = needs(config) if getattr(getattr(config, section), "runs", ()) else {}
        except LookupError:
            found = {}
        files |= {f"{part}/{label}": path for label, path in found.items()}
    if not files:
        raise LookupError(f"the experiment leaves out {', '.join(dict.fromkeys(name for name, _ in parts.values()))}")
    return files


def of(files: Mapping[str, Path], part: str, without: str) -> dict[str, Path]:
    """Label -> file of one part. Raises Unattempted with the reason `without` where it was left out."""
    found = {label.removeprefix(f"{part}/"): path for label, path in files.items() if label.startswith(f"{part}/")}
    if not found:
        raise Unattempted(without)
    return found


def told(finding: Finding, more: str) -> Finding:
    """The finding with another sentence in its reason."""
    return dataclasses.replace(finding, reason=f"{finding.reason} {more}".strip())
