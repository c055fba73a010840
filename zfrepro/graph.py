"""The jobs of an experiment: which job makes a file, which files it reads, which code it runs.

A job is its stage and the values of its rule's wildcards: `("probes", "caltech101", "improved")`. Files are given relative to the
experiment's folder. The experiment is given as plain dictionaries, because stages must not import zfrepro/experiment/config.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

TRAINING = ("train", "ablate")
RUN_STAGES = ("evaluate", "deconvnet", "evolution", "occlusion", "invariance", "correspondence")
TARGET_STAGES = ("folds", "features", "probes", "scratch")
STAGES = ("prepare", *TRAINING, *RUN_STAGES, *TARGET_STAGES, "exhibits", "report")
SOURCE = "source"  # the set of `prepare` that networks are trained on; the others are targets of transfer

WILDCARDS = {
    "prepare": ("set",),
    **dict.fromkeys((*TRAINING, *RUN_STAGES), ("run",)),
    "folds": ("set",),
    "features": ("set", "features"),
    "probes": ("set", "features"),
    "scratch": ("set",),
    "exhibits": ("exhibit",),
    "report": (),
}
FILE_STAGES = ("probes", "scratch")  # their jobs write one file, the others a folder
GPU_STAGES = (
    *TRAINING,
    *RUN_STAGES,
    "folds",
    "features",
    "probes",
    "scratch",
)  # their jobs compute on a GPU if there is one

_TRAINED = {
    "weights": "model.safetensors",
    "sha256": "model.safetensors.sha256",
    "snapshots": "snapshots.safetensors",
    "snapshots_sha256": "snapshots.safetensors.sha256",
    "history": "history.csv",
    "network": "network.json",
}
OUTPUTS = {  # label -> file in the job's folder; of features the summary alone, the layers' files lie beside it
    "prepare": {"manifest": "manifest.json", "images": "images.npy", "index": "index.npz", "mean": "mean.npy",
                "parts": "parts.csv"},
    "train": _TRAINED,
    "ablate": _TRAINED,
    "evaluate": {"errors": "errors.json", "scores": "scores.npz"},
    "deconvnet": {"arrays": "features.npz", "summary": "features.json"},
    "evolution": {"arrays": "evolution.npz", "summary": "evolution.json"},
    "occlusion": {"arrays": "occlusion.npz", "scores": "scores.npz", "summary": "occlusion.json"},
    "invariance": {"arrays": "invariance.npz", "summary": "invariance.json"},
    "correspondence": {"arrays": "correspondence.npz", "summary": "correspondence.json"},
    "folds": {"arrays": "folds.npz", "pairs": "overlap.npz", "summary": "folds.json"},
    "features": {"summary": "features.json"},
    "exhibits": {"text": "exhibit.json", "numbers": "{exhibit}.csv", "latex": "{exhibit}.tex", "picture": "{exhibit}.png"},
    "report": {"page": "index.html", "pdf": "report.pdf", "provenance": "provenance.json", "summary": "summary.json"},
}  # fmt: skip
INPUTS = {  # stage -> parameters of its `run` that are files of other jobs
    "prepare": (),
    **dict.fromkeys(TRAINING, ("images",)),
    **dict.fromkeys(RUN_STAGES, ("weights", "images")),
    "evaluate": ("weights", "network", "images"),
    "evolution": ("weights", "snapshots", "network", "images"),
    "folds": ("images", "source"),
    "features": ("images", "weights"),
    "probes": ("features", "folds", "images"),
    "scratch": ("network", "folds", "images"),
}

Job = tuple[str, ...]
Config = Mapping[str, Any]


def out_path(stage: str) -> str:
    """Folder or file that a job of the stage writes, with wildcards: `probes/{set}/{features}.json`."""
    path = "/".join([stage, *(f"{{{name}}}" for name in WILDCARDS[stage])])
    return f"{path}.json" if stage in FILE_STAGES else path


def out_of(job: Job) -> str:
    """Folder or file that the job writes."""
    return out_path(job[0]).format_map(dict(zip(WILDCARDS[job[0]], job[1:], strict=True)))


def output_patterns(stage: str) -> dict[str, str]:
    """Label -> file with wildcards, as a rule declares it."""
    if stage in FILE_STAGES:
        return {"summary": out_path(stage)}
    return {label: f"{out_path(stage)}/{file}" for label, file in OUTPUTS[stage].items()}


def uses_gpu(stage: str, inputs: Mapping[str, Any]) -> bool:
    """Whether a job computes on a GPU if there is one; inputs: its files by label. Features without a network are hand-crafted."""
    return stage in GPU_STAGES and (stage != "features" or bool(inputs.get("weights")))


class Graph:
    """The jobs of one experiment. files_of_exhibit: name -> label -> file that the exhibit reads."""

    def __init__(self, config: Config, files_of_exhibit: Callable[[str], Mapping[str, str]] | None = None):
        self.config = config
        self._files_of_exhibit = files_of_exhibit or (lambda exhibit: {})

    def outputs(self, job: Job) -> dict[str, str]:
        """Label -> file that the job makes."""
        names = dict(zip(WILDCARDS[job[0]], job[1:], strict=True))
        return {label: pattern.format_map(names) for label, pattern in output_patterns(job[0]).items()}

    def inputs(self, job: Job) -> dict[str, str]:
        """Parameter of the stage's `run` -> file of another job; of exhibits the labels of what they read."""
        stage, *names = job
        if stage == "exhibits":
            return dict(self._files_of_exhibit(names[0]))
        if stage == "report":
            return dict(self._report_inputs())
        files = {label: self._file(label, job) for label in INPUTS[stage]}
        return {label: file for label, file in files.items() if file}

    def _file(self, label: str, job: Job) -> str | None:
        stage, *names = job
        images = names[0] if stage in TARGET_STAGES else SOURCE
        if label in ("images", "source"):
            return self.outputs(("prepare", images if label == "images" else SOURCE))["manifest"]
        if label in TARGET_STAGES:
            return self.outputs((label, *names[: len(WILDCARDS[label])]))["summary"]
        run = self.network_of(job)
        return self.outputs((self.runs[run], run))[label] if run in self.runs else None

    def _report_inputs(self) -> Iterator[tuple[str, str]]:
        """What every exhibit makes, and the description of every network that one depends on."""
        exhibits = self.section("report").get("exhibits") or ()
        for exhibit in exhibits:
            for label, file in self.outputs(("exhibits", exhibit)).items():
                yield f"{exhibit}/{label}", file
        for job in self.before(file for exhibit in exhibits for file in self._files_of_exhibit(exhibit).values()):
            if job[0] in TRAINING:
                yield f"network/{job[1]}", self.outputs(job)["network"]

    def network_of(self, job: Job) -> str | None:
        """The run whose network or settings a job uses."""
        stage, *names = job
        first = next(iter(self.section("features").get("runs") or ()), None)
        if stage == "features":
            return {"random": first, "hog": None}.get(names[1], names[1])
        if stage == "scratch":
            return self.section("scratch").get("run") or first
        return names[0] if stage in RUN_STAGES else None

    def code(self, job: Job) -> tuple[str, ...]:
        """Modules whose digest is in the params of the job's rule: if they change, the job runs again."""
        stage, *names = job
        if stage == "prepare":
            return "stages.prepare", f"datasets.{self.config['prepare'][names[0]]['dataset']}"
        if stage == "exhibits":
            return "stages.exhibits", f"exhibits.{names[0]}"
        return (f"stages.{'train' if stage == 'ablate' else stage}",)

    def job_of(self, file: str) -> Job | None:
        """The job that makes a file; None if no job does."""
        stage, *names = PurePosixPath(file).parts or ("",)
        count = len(WILDCARDS.get(stage, ()))
        job = (stage, *(name.removesuffix(".json") for name in names[:count]))
        return job if len(names) >= count and self._exists(job) else None

    def _exists(self, job: Job) -> bool:
        stage, *names = job
        if stage in TRAINING:
            return self.runs.get(names[0]) == stage
        if stage in RUN_STAGES:
            return names[0] in self.runs
        if stage == "exhibits":
            return names[0] in (self.section("report").get("exhibits") or ())
        if stage not in STAGES:
            return False
        return not names or (names[0] in self.section("prepare") and set(names[1:]) <= set(self.feature_names))

    def before(self, files: Iterable[str]) -> tuple[Job, ...]:
        """All jobs that the files depend on, directly or not, in the order of the stages."""
        jobs: set[Job] = set()
        waiting = [job for file in files if (job := self.job_of(file))]
        while waiting:
            job = waiting.pop()
            if job not in jobs:
                jobs.add(job)
                waiting.extend(filter(None, map(self.job_of, self.inputs(job).values())))
        return tuple(sorted(jobs, key=lambda job: (STAGES.index(job[0]), job[1:2] != (SOURCE,), job)))

    def jobs(self) -> tuple[Job, ...]:
        """All jobs of the report, and it, in the order of the stages."""
        return self.before([self.outputs(("report",))["page"]])

    def section(self, name: str) -> Mapping[str, Any]:
        """A section of the experiment; empty if it is left out."""
        return self.config.get(name) or {}

    @property
    def runs(self) -> dict[str, str]:
        """Name of every run -> the stage that trains it."""
        return {run: stage for stage in TRAINING for run in self.section(stage).get("runs") or ()}

    @property
    def feature_names(self) -> list[str]:
        """Names of all features that are computed for a target."""
        features = self.section("features")
        return [*(features.get("runs") or ()), *(features.get("baselines") or ())]
