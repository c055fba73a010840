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

from zfrepro import graph
from zfrepro.spec import Base
from zfrepro.storage import artifacts, computing_code, input_digest, machine
from zfrepro.storage.source_code import Package

NEUTRAL = frozenset({"spec", "out", "device", "workers", "save_every"})  # options that cannot change what is computed
NOT_STORED = frozenset({"report"})  # it names the moment, the commit and the digests of all code
# Of the environment: what makes libraries compute with other kernels or in other precision. Numbers of threads are not among them:
# stages set them by their option `threads`.
NUMERIC = ("ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG", "DNNL_DEFAULT_FPMATH_MODE", "DNNL_MAX_CPU_ISA", "MKL_CBWR",
           "MKL_ENABLE_INSTRUCTIONS", "NPY_DISABLE_CPU_FEATURES", "NVIDIA_TF32_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE",
           "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")  # fmt: skip

SELECTING = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")  # which of several different GPUs is used

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
    inputs = {name: digest(path) for name, path in sorted(_inputs(arguments).items())}
    digests_of_settings: Callable[[Base, Digest], dict[str, str]] | None = getattr(module, "inputs", None)
    settings = spec.model_dump(mode="json")
    code, libraries = computing_code.digest(list(_roots(stage, settings)), package)
    place = _device(stage, arguments, settings)
    return {
        "stage": stage,
        "settings": _within_experiment(settings, stage, Path(arguments["out"])),
        "inputs": inputs | (digests_of_settings(spec, digest) if digests_of_settings else {}),
        "options": {name: value for name, value in sorted(arguments.items()) if _is_option(name, value, place)},
        "code": code,
        "libraries": libraries,
        "python": ".".join(map(str, sys.version_info[:2])),
        "format": artifacts.FORMAT,
        "environment": {name: os.environ[name] for name in NUMERIC if name in os.environ},
        **_file(stage, Path(arguments["out"])),
        **place,
    }


def of_parts(parts: Mapping[str, Any]) -> str:
    """Hex, 32 digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _roots(stage: str, settings: Mapping[str, Any]) -> Iterable[str]:
    """What a stage runs: its `run`, and what that calls of the module that its settings name."""
    yield from (f"stages.{stage}.run", f"stages.{stage}.Spec")
    if stage == "prepare":
        yield from (f"datasets.{settings['dataset']}.{name}" for name in ("Spec", "listing", "load"))
    if stage == "exhibits":
        yield from (f"exhibits.{settings['name']}.{name}" for name in ("TITLE", "PAPER", "build"))


def input_paths(arguments: Mapping[str, Any]) -> list[Path]:
    """Files that a stage is given by its options."""
    return list(_inputs(arguments).values())


def _inputs(arguments: Mapping[str, Any]) -> dict[str, Path]:
    return {name: value for name, value in arguments.items() if isinstance(value, Path) and name not in NEUTRAL}


def _is_option(name: str, value: Any, place: Mapping[str, Any]) -> bool:
    """Threads count where they divide sums, on the CPU; beside a GPU they read images, and their number follows from that of the GPUs."""
    return name not in NEUTRAL and not isinstance(value, Path) and (name != "threads" or place["device"] == "cpu")


def _within_experiment(settings: dict[str, Any], stage: str, out: Path) -> dict[str, Any]:
    """Paths in the settings relative to the experiment's folder, so that experiments can share a result."""
    folder = next((parent.parent for parent in out.parents if parent.name == stage), None)
    if folder is None:
        return settings
    text = json.dumps(settings, ensure_ascii=False)
    return json.loads(text.replace(json.dumps(f"{folder}/", ensure_ascii=False)[1:-1], ""))


def _file(stage: str, out: Path) -> dict[str, str]:
    """The name of a result that is one file: it is stored under it."""
    return {"file": out.name} if stage in graph.FILE_STAGES else {}


def _device(stage: str, arguments: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Where it computes; for the precision `auto`, what decides it (models/devices.py)."""
    name = device_name(stage, arguments)
    gpus = [] if name == "cpu" else sorted(set(machine.gpus()))
    if name.startswith("cuda") or gpus:
        several = [name, *(os.environ.get(variable) for variable in SELECTING)] if len(gpus) > 1 else []
        return {"device": "cuda", "gpus": gpus, **({"which": several} if several else {})}
    decides = settings.get("precision") == "auto"
    bfloat16 = {"bfloat16": machine.multiplies_bfloat16()} if decides else {}
    return {"device": "cpu", "instructions": machine.instruction_set(), **bfloat16}


def device_name(stage: str, arguments: Mapping[str, Any]) -> str:
    """`cpu`, `cuda`, `cuda:1`, or `auto`: a GPU if there is one."""
    name = str(arguments["device"]) if graph.uses_gpu(stage, arguments) else "cpu"
    return os.environ.get("ZFREPRO_DEVICE", "auto") if name == "auto" else name


def is_device_right(arguments: Mapping[str, Any], parts: Mapping[str, Any]) -> bool:
    """Once a job is done: whether torch has computed where the key says, which was worked out without loading torch."""
    torch = sys.modules.get("torch")
    if torch is None or "device" not in arguments:
        return True
    name = device_name(parts["stage"], arguments)
    used = name.partition(":")[0] if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    return bool(used == parts["device"])
