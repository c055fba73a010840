"""Where a report comes from: versions, machine, commit, seeds, data, digests of the artifacts, time per stage."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zfrepro import graph
from zfrepro.report import lineage
from zfrepro.storage import artifacts, machine

LIBRARIES = (
    "torch", "torchvision", "numpy", "scipy", "pandas", "scikit-learn", "pillow", "matplotlib", "pydantic", "safetensors",
    "snakemake", "jinja2", "weasyprint",
)  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]


def gather(results: Path, config: Mapping[str, Any], exhibits: tuple[str, ...]) -> dict[str, Any]:
    """Everything at once. `results`: the experiment's folder; only what `config` names is read."""
    networks = {run: artifacts.load_json(path) for run, path in _networks(results, config)}
    data = {name: artifacts.load_json(path) for name, path in _manifests(results, config)}
    return {
        "made": moment().isoformat().replace("+00:00", "Z"),
        "versions": versions(),
        "hardware": hardware(),
        "git": git(ROOT),
        "config": dict(config),
        "seeds": {run: network["spec"]["seed"] for run, network in networks.items()},
        "networks": {run: _describe_network(network) for run, network in networks.items()},
        "data": data,
        "exhibits": {name: lineage.build_lineage(name, results, config, networks, data) for name in exhibits},
        "artifacts": dict(_digests(results, config, exhibits)),
        "time": spent(results / "benchmarks", _jobs(config, exhibits), networks),
    }


def moment() -> datetime:
    """Now, or what SOURCE_DATE_EPOCH says, so that equal inputs give equal bytes."""
    return datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())), UTC)


def versions() -> dict[str, str]:
    numbers = {"python": platform.python_version(), "system": platform.platform()}
    for name in LIBRARIES:
        try:
            numbers[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return numbers


def hardware() -> dict[str, Any]:
    """The machine that makes the report; networks.json says on what kind of device each network was trained."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": machine.cpu(), "cores": os.cpu_count(), "memory_gib": round(memory, 1), "gpus": _gpus()}


def _gpus() -> list[str]:
    lines = (
        _output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
        if shutil.which("nvidia-smi")
        else None
    )
    return lines.splitlines() if lines else []


def git(root: Path) -> dict[str, Any] | None:
    """Commit and whether the tree differs from it; None where the code does not lie in a repository of its own."""
    top = _output("git", "-C", str(root), "rev-parse", "--show-toplevel")
    commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
    if top is None or commit is None or Path(top).resolve() != root:
        return None
    return {"commit": commit, "dirty": bool(_output("git", "-C", str(root), "status", "--porcelain"))}


def _output(*command: str) -> str | None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _networks(results: Path, config: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    for run, stage in graph.runs(config).items():
        path = results / stage / run / "network.json"
        if path.is_file():
            yield run, path


def _describe_network(network: Mapping[str, Any]) -> dict[str, Any]:
    record = {
        key: network[key] for key in ("spec", "device", "precision", "classes", "images", "parameters", "seconds")
    }
    record |= {key: network.get(key) for key in ("hardware", "torch")}  # of the training; older files do not name them
    return {**record, "full_size_parameters": network["full_size"]["parameters"]}


def _manifests(results: Path, config: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    for name in graph.section(config, "prepare"):
        path = results / "prepare" / name / "manifest.json"
        if path.is_file():
            yield name, path


def _digests(results: Path, config: Mapping[str, Any], exhibits: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Path relative to the experiment -> sha256; of weights, the one that was written beside them."""
    for _, path in _networks(results, config):
        beside = path.with_name("model.safetensors.sha256")
        if beside.is_file():
            yield str(beside.with_suffix("").relative_to(results)), beside.read_text(encoding="utf-8").split()[0]
    runs = {run for run, _ in _networks(results, config)}
    for stage in graph.RUN_STAGES:
        for path in sorted((results / stage).glob("*/[!.]*")):
            if path.parent.name in runs and path.is_file():
                yield str(path.relative_to(results)), artifacts.sha256(path)
    for pattern in _transferred(config):
        for path in sorted(results.glob(pattern)):
            yield str(path.relative_to(results)), artifacts.sha256(path)
    for name in exhibits:
        for file in (f"{name}.csv", f"{name}.tex", f"{name}.png", "exhibit.json"):
            path = results / "exhibits" / name / file
            yield str(path.relative_to(results)), artifacts.sha256(path)


def _transferred(config: Mapping[str, Any]) -> Iterator[str]:
    """Patterns of what was measured on the sets that features are transferred to; the features themselves are too large."""
    for target in graph.section(config, "folds"):
        yield f"folds/{target}/[!.]*"
        yield from (f"probes/{target}/{name}.json" for name in graph.feature_names(config))
    yield from (f"scratch/{target}.json" for target in graph.section(config, "scratch").get("sets") or ())


def _jobs(config: Mapping[str, Any], exhibits: tuple[str, ...]) -> set[str]:
    """Names of the jobs that belong to this experiment as it is now; earlier ones may have left their times."""
    pairs = {f"{target}-{name}" for target in graph.section(config, "folds") for name in graph.feature_names(config)}
    return set(graph.runs(config)) | set(graph.section(config, "prepare")) | pairs | set(exhibits)


def spent(benchmarks: Path, names: set[str], networks: lineage.Facts) -> dict[str, dict[str, float]]:
    """Stage -> jobs, seconds (summed over its jobs) and the largest memory in MB, from Snakemake's benchmark files."""
    stages: dict[str, dict[str, float]] = {}
    for path in sorted(benchmarks.glob("*/*.tsv")):
        if path.stem in names:
            seconds, memory = lineage.cost(path, networks)
            stage = stages.setdefault(path.parent.name, {"jobs": 0, "seconds": 0.0, "memory_mb": 0.0})
            stage["jobs"] += 1
            stage["seconds"] = round(stage["seconds"] + seconds, 1)
            stage["memory_mb"] = max(stage["memory_mb"], memory)
    order = {stage: i for i, stage in enumerate(graph.STAGES)}
    return dict(sorted(stages.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))
