"""An experiment with one job or more of every stage, run in this process as its rules do, through the result store."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from helpers import opened_files

from zfrepro.experiment import loading
from zfrepro.experiment.config import Config
from zfrepro.experiment.prediction import JobKeys
from zfrepro.graph import FILE_STAGES, TRAINING, Job, out_of
from zfrepro.running import stage_cli
from zfrepro.storage import artifacts, input_digest, result_store
from zfrepro.storage.source_code import Kept, Package

CONTENT = {
    "experiment": "small",
    "title": "Small",
    "prepare": {
        "source": {"dataset": "scenes", "size": 72, "options": {"set": "source", "size": 72, "train_per_class": 1, "val_per_class": 2}},
        "caltech101": {"dataset": "scenes", "size": 72, "options": {"set": "caltech101", "size": 72, "per_class": 3}},
    },
    "train": {
        "recipe": {"width": 0.05, "input_size": 64, "epochs": 1, "batch": 32, "init": "he", "crops": "random", "schedule": "constant"},
        "runs": {"improved": {"base": "improved", "snapshots": [1]}},
    },
    "evaluate": {"views": [1, 10], "train_images": 12},
    "deconvnet": {"runs": ["improved"], "maps": {1: 1, 5: 1}, "top": 2},
    "evolution": {"runs": ["improved"], "maps": 1, "compared": 6},
    "occlusion": {"runs": ["improved"], "square": 20, "stride": 22, "pictures": 1, "scored": 2, "score_stride": 44},
    "invariance": {"runs": ["improved"], "shift": 8, "shift_step": 8, "scales": 2, "turn_step": 90, "pictures": 2, "average": 2},
    "correspondence": {"runs": ["improved"], "square": 9, "pictures": 2, "average": 3, "draws": 2},
    "folds": {"caltech101": {"per_class": [1, 2], "test_per_class": 1, "folds": 1}},
    "features": {"runs": ["improved"], "layers": [1, 7]},
    "probes": {"inner": 2, "softmax": [1.0], "svm": [1.0]},
    "scratch": {"steps": 1, "folds": 1, "sets": {"caltech101": [2]}},
    "report": {"exhibits": ["claims", "overlap"]},
}  # fmt: skip


def config(**changes: Any) -> Config:
    return loading.parse({**CONTENT, **changes}, "small.yaml")


def jobs(experiment: Config) -> Iterator[Job]:
    """All but the report, in the order of the stages."""
    return (job for job in experiment.graph.jobs() if job[0] != "report")


def module_of(job: Job) -> ModuleType:
    return importlib.import_module(f"zfrepro.stages.{stage_of(job)}")


def stage_of(job: Job) -> str:
    return "train" if job[0] in TRAINING else job[0]


def arguments(experiment: Config, job: Job) -> list[str]:
    """The command line that the job's rule makes."""
    out = experiment.results() / out_of(job)
    words = ["--spec", experiment.slice(job), "--out", str(out)]
    if job[0] != "exhibits":
        for label, file in experiment.graph.inputs(job).items():
            words += [f"--{label}", str(experiment.results() / file)]
    if job[0] in TRAINING:
        words += ["--name", job[1], "--on-divergence", "fail" if job[0] == "train" else "record"]
    options = inspect.signature(module_of(job).run).parameters
    return words + [
        word for name, value in (("workers", "1"), ("threads", "1")) if name in options for word in (f"--{name}", value)
    ]


def run(experiment: Config, job: Job) -> None:
    """In the current folder."""
    stage_cli.run_stage(stage_of(job), module_of(job), arguments(experiment, job))


def run_all(experiment: Config) -> dict[str, list[str]]:
    """`stage/name` -> files of other jobs that it read, relative to the experiment's folder."""
    opened = {}
    for job in jobs(experiment):
        artifacts._sha256.cache_clear()
        with opened_files.recorded(experiment.results()) as files:
            run(experiment, job)
        own = Path(out_of(job))
        own = own.parent if job[0] in FILE_STAGES else own
        opened["/".join(job)] = sorted(
            path.as_posix() for path in files if own not in path.parents and ".state" not in path.parts
        )
    return opened


def record(experiment: Config, job: Job) -> dict[str, Any]:
    """How the job's files came about."""
    return result_store.read_record(job[0], experiment.results() / out_of(job))


def keys(experiment: Config, package: Package | None = None) -> JobKeys:
    """As predicted from the files that are there."""
    return JobKeys(experiment, package or Package(kept=Kept(None)), input_digest.of_file)
