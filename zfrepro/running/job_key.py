"""The key of a job in the result store: everything that can change what it computes, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from zfrepro.spec import Base
from zfrepro.storage import artifacts, computing_code, input_digest, machine
from zfrepro.storage.source_code import Package

NEUTRAL = frozenset({"spec", "out", "device", "workers", "save_every"})  # options that cannot change what is computed
NOT_STORED = frozenset({"report"})  # it names the moment, the commit and the digests of all code

Digest = Callable[..., str]  # of a path; whole: all its bytes


def key_parts(
    stage: str,
    module: ModuleType,
    arguments: Mapping[str, Any],
    package: Package,
    digest: Digest = input_digest.of_file,
) -> dict[str, Any]:
    """arguments: of the stage's `run`; digest: of an input file. Raises OSError or UserError where one cannot be read.

    A stage whose settings name files declares them in a function `inputs(spec, digest)`, label -> digest.
    """
    spec: Base = arguments["spec"]
    inputs = {name: digest(path) for name, path in sorted(arguments.items()) if _is_input(name, path)}
    named: Callable[[Base, Digest], dict[str, str]] | None = getattr(module, "inputs", None)
    settings = spec.model_dump(mode="json")
    code, libraries = computing_code.digest(list(_roots(stage, settings)), package)
    return {
        "stage": stage,
        "settings": _within_experiment(settings, stage, Path(arguments["out"])),
        "inputs": inputs | (named(spec, digest) if named else {}),
        "options": {name: value for name, value in sorted(arguments.items()) if _is_option(name, value)},
        "code": code,
        "libraries": libraries,
        "python": ".".join(map(str, sys.version_info[:2])),
        "format": artifacts.FORMAT,
        **(_device(arguments, settings) if "device" in arguments else {}),
    }


def of_parts(parts: Mapping[str, Any]) -> str:
    """Hex, 32 digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _roots(stage: str, settings: Mapping[str, Any]) -> Iterable[str]:
    """What a stage runs: its `run`, and what that calls of the module that its settings name."""
    yield f"stages.{stage}.run"
    if stage == "prepare":
        yield from (f"datasets.{settings['dataset']}.{name}" for name in ("Spec", "listing", "load"))
    if stage == "exhibits":
        yield from (f"exhibits.{settings['name']}.{name}" for name in ("TITLE", "PAPER", "build"))


def _is_input(name: str, value: Any) -> bool:
    return isinstance(value, Path) and name not in NEUTRAL


def _is_option(name: str, value: Any) -> bool:
    return name not in NEUTRAL and not isinstance(value, Path)


def _within_experiment(settings: dict[str, Any], stage: str, out: Path) -> dict[str, Any]:
    """Paths in the settings relative to the experiment's folder, so that experiments can share a result."""
    folder = next((parent.parent for parent in out.parents if parent.name == stage), None)
    if folder is None:
        return settings
    text = json.dumps(settings, ensure_ascii=False)
    return json.loads(text.replace(json.dumps(f"{folder}/", ensure_ascii=False)[1:-1], ""))


def _device(arguments: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Where it computes; for the precision `auto`, what decides it (models/devices.py)."""
    name = arguments["device"] if arguments["device"] != "auto" else os.environ.get("ZFREPRO_DEVICE", "auto")
    gpus = [] if name == "cpu" else machine.gpus()
    if gpus or name.startswith("cuda"):
        return {"device": "cuda", "gpus": sorted(set(gpus))}
    decides = settings.get("precision") == "auto"
    return {"device": "cpu", **({"bfloat16": machine.multiplies_bfloat16()} if decides else {})}
