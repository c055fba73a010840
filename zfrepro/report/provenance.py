"""Where a report comes from: versions, machine, commit, seeds, data, digests of the artifacts, time per stage."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zfrepro.graph import RUN_STAGES, STAGES, TRAINING, Graph, Job
from zfrepro.report import lineage, times
from zfrepro.storage import artifacts, machine, workflow_files
from zfrepro.storage.source_code import Package

LIBRARIES = (
    "torch", "torchvision", "numpy", "scipy", "pandas", "scikit-learn", "pillow", "matplotlib", "pydantic", "safetensors",
    "snakemake", "jinja2", "weasyprint",
)  # fmt: skip
GIT_SECONDS = 20.0  # that a command of git may take: on a network's file system `git status` may take minutes
GIT_REASONS = {  # part of git's message -> why the commit is not known
    "not a git repository": "not in a git repository",
    "dubious ownership": "git refuses to read the repository, which belongs to another user (see safe.directory in git's manual)",
    "unsafe repository": "git refuses to read the repository, which belongs to another user (see safe.directory in git's manual)",
    "Needed a single revision": "the repository has no commit yet",
}


def gather(results: Path, config: Mapping[str, Any], exhibits: tuple[str, ...]) -> dict[str, Any]:
    """Everything at once. `results`: the experiment's folder; only what `config` names is read."""
    stored = {name: artifacts.load_json(results / "exhibits" / name / "exhibit.json") for name in exhibits}
    graph = Graph({**config, "report": {"exhibits": exhibits}}, lambda exhibit: stored[exhibit].get("files", {}))
    networks = {run: artifacts.load_json(path) for run, path in _networks(results, graph)}
    data = {name: artifacts.load_json(path) for name, path in _manifests(results, graph)}
    package = Package()
    return {
        "made": moment().isoformat().replace("+00:00", "Z"),
        "versions": versions(),
        "hardware": hardware(),
        "git": installed_commit() if workflow_files.is_packed() else git(workflow_files.ROOT),
        "config": dict(config),
        "seeds": {run: network["spec"]["seed"] for run, network in networks.items()},
        "networks": {
            run: _describe_network(network, results, (graph.runs[run], run)) for run, network in networks.items()
        },
        "data": data,
        "exhibits": {name: lineage.build_lineage(name, results, graph, networks, data, package) for name in exhibits},
        "artifacts": dict(_digests(results, graph)),
        "time": stage_times(results, graph.jobs()),
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
    return {"cpu": machine.cpu(), "cores": machine.cores(), "memory_gib": round(memory, 1), "gpus": _gpus()}


def _gpus() -> list[str]:
    lines = (
        _output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
        if shutil.which("nvidia-smi")
        else None
    )
    return lines.splitlines() if lines else []


def installed_commit() -> dict[str, Any]:
    """As `git`, of a package that was installed: pip keeps the commit of one that it got from a repository (PEP 610)."""
    distribution = importlib.metadata.distribution("zfrepro")
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if commit := origin.get("vcs_info", {}).get("commit_id"):
        return {"commit": commit, "dirty": False, "reason": ""}
    return {"commit": None, "dirty": None, "reason": f"installed as a package, zfrepro {distribution.version}"}


def git(root: Path) -> dict[str, Any]:
    """commit: None where it is not known; dirty: whether the tree differs from it, None where that is not known; reason: why
    something is not known, "" where all is."""
    try:
        top, commit = (_git(root, "rev-parse", *words) for words in (("--show-toplevel",), ("--verify", "HEAD")))
    except _NotKnown as error:
        return {"commit": None, "dirty": None, "reason": str(error)}
    if Path(top).resolve() != root.resolve():
        return {
            "commit": None,
            "dirty": None,
            "reason": f"not in a git repository of its own, but within that of {top}",
        }
    try:
        return {"commit": commit, "dirty": bool(_git(root, "status", "--porcelain")), "reason": ""}
    except _NotKnown as error:
        return {"commit": commit, "dirty": None, "reason": str(error)}


class _NotKnown(Exception):
    """Why git does not answer."""


def _git(root: Path, *words: str) -> str:
    """What a command of git prints. Raises _NotKnown."""
    command = ("git", "-C", str(root), *words)
    environment = {**os.environ, "LC_ALL": "C"}  # its messages in English
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=GIT_SECONDS,
            env=environment,
            check=False,
        )
    except FileNotFoundError as error:
        raise _NotKnown("git is not installed") from error
    except OSError as error:
        raise _NotKnown(f"git cannot be started ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise _NotKnown(f"git {words[0]} took longer than {GIT_SECONDS:g} s") from error
    if done.returncode:
        raise _NotKnown(_explain_git(words[0], done.stderr.strip()))
    return done.stdout.strip()


def _explain_git(verb: str, errors: str) -> str:
    for part, reason in GIT_REASONS.items():
        if part in errors:
            return reason
    return f"git {verb} fails: {errors.splitlines()[0].removeprefix('fatal: ')}" if errors else f"git {verb} fails"


def _output(*command: str) -> str | None:
    try:
        result = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _networks(results: Path, graph: Graph) -> Iterator[tuple[str, Path]]:
    for run, stage in graph.runs.items():
        path = results / graph.outputs((stage, run))["network"]
        if path.is_file():
            yield run, path


def _describe_network(network: Mapping[str, Any], results: Path, job: Job) -> dict[str, Any]:
    described = {key: network[key] for key in ("spec", "device", "precision", "classes", "images", "parameters")}
    described |= {
        key: network.get(key) for key in ("hardware", "torch")
    }  # of the training; older files do not name them
    seconds, _ = times.read_cost(results, job) or (None, None)
    return {**described, "seconds": seconds, "full_size_parameters": network["full_size"]["parameters"]}


def _manifests(results: Path, graph: Graph) -> Iterator[tuple[str, Path]]:
    for name in graph.section("prepare"):
        path = results / graph.outputs(("prepare", name))["manifest"]
        if path.is_file():
            yield name, path


def _digests(results: Path, graph: Graph) -> Iterator[tuple[str, str]]:
    """Path relative to the experiment -> sha256; of weights, the one that was written beside them. Images and features are
    left out: too large to read again."""
    for job in graph.jobs():
        files = graph.outputs(job)
        if job[0] in TRAINING:
            beside = results / files["sha256"]
            if beside.is_file():
                yield files["weights"], beside.read_text(encoding="utf-8").split()[0]
        elif job[0] in (*RUN_STAGES, "folds", "probes", "scratch", "exhibits"):
            yield from (
                (file, artifacts.sha256(results / file)) for file in files.values() if (results / file).is_file()
            )


def stage_times(results: Path, jobs: Sequence[Job]) -> dict[str, dict[str, float]]:
    """Stage -> jobs, seconds (summed over its jobs) and the largest memory in MB, of those jobs that were measured."""
    stages: dict[str, dict[str, float]] = {}
    for job in jobs:
        if cost := times.read_cost(results, job):
            stage = stages.setdefault(job[0], {"jobs": 0, "seconds": 0.0, "memory_mb": 0.0})
            stage["jobs"] += 1
            stage["seconds"] = round(stage["seconds"] + cost[0], 1)
            stage["memory_mb"] = max(stage["memory_mb"], cost[1])
    return dict(sorted(stages.items(), key=lambda item: STAGES.index(item[0])))
