"""The jobs of an experiment, as in workflow/rules: which job creates a file, which jobs it depends on, which code it runs.

A job is its stage and the values of its rule's wildcards: `("probes", "caltech101", "improved")`. The experiment is given as plain
dictionaries, because stages must not import zfrepro/experiment/config.py.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

TRAINING = ("train", "ablate")
RUN_STAGES = ("evaluate", "deconvnet", "evolution", "occlusion", "invariance", "correspondence")
STAGES = ("prepare", *TRAINING, *RUN_STAGES, "folds", "features", "probes", "scratch", "exhibits")

Job = tuple[str, ...]
Config = Mapping[str, Any]


def job_of_file(path: str, config: Config) -> Job | None:
    """The job that creates a file, given relative to the experiment's folder; None if no job does."""
    stage, *names = PurePosixPath(path).parts or ("",)
    parts = 2 if stage in ("features", "probes") else 1
    job = (stage, *(name.removesuffix(".json") for name in names[:parts]))
    return job if stage in STAGES[:-1] and len(names) >= parts and _exists(job, config) else None


def _exists(job: Job, config: Config) -> bool:
    stage, *names = job
    if stage in TRAINING:
        return runs(config).get(names[0]) == stage
    if stage in RUN_STAGES:
        return names[0] in runs(config)
    return names[0] in section(config, "prepare") and set(names[1:]) <= set(feature_names(config))


def jobs_before(files: Iterable[str], config: Config) -> tuple[Job, ...]:
    """All jobs that the files depend on, directly or not, in the order of the stages."""
    jobs: set[Job] = set()
    waiting = [job for path in files if (job := job_of_file(path, config))]
    while waiting:
        job = waiting.pop()
        if job not in jobs:
            jobs.add(job)
            waiting.extend(_inputs(job, config))
    return tuple(sorted(jobs, key=lambda job: (STAGES.index(job[0]), job[1] != "source", job)))


def _inputs(job: Job, config: Config) -> Iterator[Job]:
    """The jobs that create the `input` of the job's rule, workflow/rules/<stage>.smk."""
    stage, *names = job
    if stage in ("folds", "features", "probes", "scratch"):
        yield "prepare", names[0]
    if stage in (*TRAINING, *RUN_STAGES, "folds"):
        yield "prepare", "source"
    if stage in ("probes", "scratch"):
        yield "folds", names[0]
    if stage == "probes":
        yield "features", *names
    run = network_of(job, config)
    if run in runs(config):
        yield runs(config)[run], run


def network_of(job: Job, config: Config) -> str | None:
    """The run whose network or settings a job uses."""
    stage, *names = job
    first = next(iter(section(config, "features").get("runs") or ()), None)
    if stage == "features":
        return {"random": first, "hog": None}.get(names[1], names[1])
    if stage == "scratch":
        return section(config, "scratch").get("run") or first
    return names[0] if stage in RUN_STAGES else None


def code_modules(job: Job, config: Config) -> tuple[str, ...]:
    """Modules whose digest is in the params of the job's rule: if they change, the job runs again."""
    stage, *names = job
    if stage == "prepare":
        return "stages.prepare", f"datasets.{config['prepare'][names[0]]['dataset']}"
    if stage == "exhibits":
        return "stages.exhibits", f"exhibits.{names[0]}"
    return (f"stages.{'train' if stage == 'ablate' else stage}",)


def section(config: Config, name: str) -> Mapping[str, Any]:
    """A section of the experiment; empty if it is left out."""
    return config.get(name) or {}


def runs(config: Config) -> dict[str, str]:
    """Name of every run -> the stage that trains it."""
    return {run: stage for stage in TRAINING for run in section(config, stage).get("runs") or ()}


def feature_names(config: Config) -> list[str]:
    """Names of all features that are computed for a target."""
    features = section(config, "features")
    return [*(features.get("runs") or ()), *(features.get("baselines") or ())]


def benchmark_path(benchmarks: Path, job: Job) -> Path:
    """File in which Snakemake writes how long a job took."""
    return benchmarks / job[0] / f"{'-'.join(job[1:])}.tsv"


def read_benchmark(path: Path) -> tuple[float, float]:
    """Seconds and MB of one job; 0 MB for a job too short to be measured."""
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    seconds, memory = ([_parse_float(line.get(column)) for line in lines] for column in ("s", "max_rss"))
    return sum(seconds), max(memory, default=0.0)


def _parse_float(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
