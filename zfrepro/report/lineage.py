"""The provenance of one exhibit: the jobs it depends on, and their code, settings, data, seeds and time."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zfrepro.graph import TRAINING, Graph, Job
from zfrepro.report import times
from zfrepro.report.html import duration
from zfrepro.storage import code_digest, workflow_files
from zfrepro.storage.source_code import Package

MAX_NAMES = 4  # names; of more, only the number is printed

Facts = Mapping[str, Mapping[str, Any]]


def build_lineage(
    name: str, results: Path, graph: Graph, networks: Facts, data: Facts, package: Package | None = None
) -> dict[str, Any]:
    """Everything about one exhibit. networks: run -> network.json; data: set -> manifest.json; package: read once for several.

    `summary`: the same as pairs of a label and a text, in which `words` between backticks are code.
    """
    files = graph.inputs(("exhibits", name))
    before = graph.before(files.values())
    record = {
        "files": files,
        "jobs": ["/".join(job) for job in before],
        "digest": digests((("exhibits", name), *before), graph, package or Package()),
        "config": settings(before, graph),
        "data": {key: _describe_data(data[key]) for key in _job_names(before, "prepare") if key in data},
        "seeds": {run: networks[run]["spec"]["seed"] for run in _job_names(before, *TRAINING) if run in networks},
        "seconds": sum_times(results, name, before),
        "command": command(name, graph.config.get("experiment", results.name)),
    }
    return {**record, "summary": [[label, text] for label, text in _summarise(record, before) if text]}


def digests(jobs: Sequence[Job], graph: Graph, package: Package) -> dict[str, str]:
    """Stage -> digest of its code, as in its rule's params; of `prepare`, a part of which is the data set's, by data set."""
    modules = {_label(job, graph): graph.code(job) for job in jobs}
    return {label: code_digest.digest(*names, package=package) for label, names in modules.items()}


def _label(job: Job, graph: Graph) -> str:
    return f"prepare ({graph.config['prepare'][job[1]]['dataset']})" if job[0] == "prepare" else job[0]


def settings(jobs: Sequence[Job], graph: Graph) -> dict[str, Any]:
    """The part of the experiment that the jobs see: their sections, without the runs and sets that are not among them."""
    sections: dict[str, Any] = {}
    for stage in dict.fromkeys(job[0] for job in jobs):
        used = {name for job in jobs if job[0] == stage for name in (*job[1:], graph.network_of(job))}
        section = graph.section(stage)
        if stage in ("prepare", "folds"):
            sections[stage] = _select(section, used)
        else:
            lists = {key: _select(section[key], used) for key in ("runs", "baselines", "sets") if section.get(key)}
            sections[stage] = {**section, **lists}
    if "ablate" in sections and "recipe" in graph.section("train"):
        sections["train"] = {"recipe": graph.section("train")["recipe"], **sections.get("train", {})}
    return sections


def _select(names: Any, used: set[str | None]) -> Any:
    if isinstance(names, Mapping):
        return {name: value for name, value in names.items() if name in used}
    return [name for name in names if name in used]


def _job_names(before: Sequence[Job], *stages: str) -> list[str]:
    return [job[1] for job in before if job[0] in stages]


def _describe_data(manifest: Mapping[str, Any]) -> dict[str, Any]:
    images = max(end for _, end in manifest["splits"].values())
    return {
        "dataset": manifest["dataset"],
        "images": images,
        "sha256": {"images.npy": manifest["sha256"]["images.npy"]},
    }


def sum_times(results: Path, name: str, jobs: Sequence[Job]) -> dict[str, float | int | None]:
    """Of the exhibit's own job, and summed over those before it; `measured`: how many of these Snakemake has timed."""
    own_cost = times.read_cost(results, ("exhibits", name))
    costs = [cost for job in jobs if (cost := times.read_cost(results, job))]
    return {
        "own": round(own_cost[0], 1) if own_cost else None,
        "before": round(sum(seconds for seconds, _ in costs), 1),
        "measured": len(costs),
    }


def command(name: str, experiment: str) -> str:
    """The command that rebuilds the exhibit, from the folder with the results; FILE stands for an experiment file we cannot locate."""
    program = "zfrepro" if workflow_files.is_packed() else ".venv/bin/zfrepro"
    config = experiment if experiment in workflow_files.experiments() else "FILE"
    target = f"results/{experiment}/exhibits/{name}/exhibit.json"
    return shlex.join([program, "run", "--config", config, "--force", target])


def _summarise(record: Mapping[str, Any], before: Sequence[Job]) -> Iterator[tuple[str, str]]:
    stages = {
        stage: [" ".join(job[1:]) for job in before if job[0] == stage]
        for stage in dict.fromkeys(job[0] for job in before)
    }
    yield "Depends on", "; ".join(f"{stage} ({_shorten(names, 'jobs')})" for stage, names in stages.items())
    yield "Code", ", ".join(f"{stage} {digest}" for stage, digest in record["digest"].items())
    yield "Settings", ", ".join(_keys(record["config"]))
    yield "Data", "; ".join(f"{name}: {_describe_set(manifest)}" for name, manifest in record["data"].items())
    yield "Seeds", "; ".join(_seeds(record["seeds"]))
    yield "Time", _time(record["seconds"], len(before))
    yield "Command", f"`{record['command']}`"


def _shorten(names: Sequence[str], noun: str) -> str:
    return ", ".join(names) if len(names) <= MAX_NAMES else f"{len(names)} {noun}"


def _keys(config: Mapping[str, Any]) -> Iterator[str]:
    """Keys of the experiment's file."""
    for stage, section in config.items():
        if stage in ("prepare", "folds"):
            yield from (f"{stage}.{name}" for name in section)
        elif stage in TRAINING:
            yield from [f"{stage}.recipe"] if section.get("recipe") else []
            yield from [f"{stage}.runs ({_shorten(list(section['runs']), 'runs')})"] if section.get("runs") else []
        else:
            yield stage


def _describe_set(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['dataset']}, {manifest['images']:,} images, sha256 {manifest['sha256']['images.npy'][:16]}"


def _seeds(seeds: Mapping[str, int]) -> Iterator[str]:
    """`0 (baseline, improved)`"""
    for seed in sorted(set(seeds.values())):
        yield f"{seed} ({_shorten([run for run, run_seed in seeds.items() if run_seed == seed], 'networks')})"


def _time(seconds: Mapping[str, Any], number: int) -> str:
    own_time = "not measured" if seconds["own"] is None else duration(seconds["own"])
    if not number:
        return own_time
    prefix = "at least " if seconds["measured"] < number else ""
    return f"{own_time}, after {prefix}{duration(seconds['before'])} for the {number} jobs it depends on, summed"
