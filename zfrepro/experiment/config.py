"""One experiment as checked settings: its sections, its runs, and the settings that each job gets.

Only the commands and the Snakefile import this module, never a stage: so no rule's code digest depends on it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from zfrepro import graph
from zfrepro.core.architecture import Network
from zfrepro.experiment import reductions
from zfrepro.experiment.sections import (
    BASELINES,
    Correspondence,
    Deconvnet,
    Evolution,
    Features,
    Invariance,
    Occlusion,
    Probes,
    Report,
    Scratch,
    Training,
    Variants,
)
from zfrepro.spec import Base
from zfrepro.stages import evaluate as evaluate_stage
from zfrepro.stages import folds as folds_stage
from zfrepro.stages import prepare as prepare_stage
from zfrepro.stages import train as train_stage

RESULTS = Path("results")
SOURCE = "source"  # the set of `prepare` that networks are trained on; the others are targets of transfer
INSPECTIONS = ("deconvnet", "evolution", "occlusion", "invariance", "correspondence")  # analyses of trained networks


class Config(Base):
    """The whole of one experiment file."""

    experiment: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$", description="names the folder under results/")
    title: str = Field(min_length=1)
    prepare: dict[str, prepare_stage.Spec] = Field(min_length=1)
    train: Training
    ablate: Variants = Variants()
    evaluate: evaluate_stage.Spec = evaluate_stage.Spec()
    deconvnet: Deconvnet | None = None
    evolution: Evolution | None = None
    occlusion: Occlusion | None = None
    invariance: Invariance | None = None
    correspondence: Correspondence | None = None
    folds: dict[str, folds_stage.Spec] = Field({}, description="sets to transfer to -> how they are split")
    features: Features = Features()
    probes: Probes = Probes()
    scratch: Scratch = Scratch()
    report: Report

    @field_validator("prepare")
    @classmethod
    def _has_source(cls, sets: dict[str, prepare_stage.Spec]) -> dict[str, prepare_stage.Spec]:
        if SOURCE not in sets:
            raise ValueError(f"the set `{SOURCE}`, which the networks are trained on, is missing")
        return sets

    @model_validator(mode="after")
    def _check_names(self) -> Config:
        duplicates = set(self.train.runs) & set(self.ablate.runs)
        if duplicates:
            raise ValueError(f"ablate.runs: {', '.join(sorted(duplicates))} is already a name in train.runs")
        for section in INSPECTIONS:
            for run in self.inspected_runs(section):
                self._check_known(f"{section}.runs", run, self.runs())
        self._check_transfer()
        return self

    def _check_transfer(self) -> None:
        for target in self.folds:
            self._check_known("folds", target, {name: spec for name, spec in self.prepare.items() if name != SOURCE})
        for run in self.features.runs:
            self._check_known("features.runs", run, self.runs())
        for target in self.scratch.sets:
            self._check_known("scratch.sets", target, self.folds)
        if self.scratch.sets:
            self._check_known("scratch.run", self.scratch_run(), self.runs())
        clash = set(self.runs()) & set(BASELINES)
        if clash:
            raise ValueError(f"train.runs: {', '.join(sorted(clash))} is the name of a baseline of `features`")

    @staticmethod
    def _check_known(key: str, name: str, choices: Mapping[str, Any]) -> None:
        if name not in choices:
            raise ValueError(f"{key}: unknown name {name!r}; choose from {', '.join(choices)}")

    def runs(self) -> dict[str, str]:
        """Name of every run -> the stage that trains it, `train` or `ablate`."""
        return {**dict.fromkeys(self.train.runs, "train"), **dict.fromkeys(self.ablate.runs, "ablate")}

    def inspected_runs(self, stage: str) -> tuple[str, ...]:
        """Names of the runs that a stage of INSPECTIONS analyses."""
        runs: tuple[str, ...] = getattr(getattr(self, stage), "runs", ())
        return runs

    def training(self, run: str) -> train_stage.Spec:
        """Settings of one run: the recipe, overridden by the run's own."""
        merged = {**self.train.recipe, **getattr(self, self.runs()[run]).runs[run]}
        network = {field: merged.pop(field) for field in Network.model_fields if field in merged}
        return train_stage.Spec.model_validate({"network": network, **merged})

    def required_transfers(self, stage: str) -> set[tuple[str, ...]]:
        """Jobs of `folds`, `probes` or `scratch` that the exhibits need: (target,); for probes (target, name of features)."""
        parts = 2 if stage == "probes" else 1
        return {path.with_suffix("").parts[1 : 1 + parts] for path in self._exhibit_files() if path.parts[0] == stage}

    def _exhibit_files(self) -> set[Path]:
        """Every file that an exhibit of the report reads, relative to the experiment's results folder."""
        return {path.relative_to(self.results()) for name in self.report.exhibits for path in self.needs(name).values()}

    def scratch_run(self) -> str:
        """Name of the run whose network is trained from scratch on the targets."""
        return self.scratch.run or next(iter(self.features.runs), "")

    def network_of_features(self, features: str) -> str | None:
        """Name of the run whose network computes the named features; None for hand-crafted ones."""
        return {"hog": None, "random": next(iter(self.features.runs), None)}.get(features, features)

    def results(self) -> Path:
        return RESULTS / self.experiment

    def slice(self, stage: str, name: str | None = None) -> str:
        """The settings of one job as canonical JSON, a text that Snakemake compares; name: its run, set, features or exhibit."""
        return json.dumps(self._settings(stage, name or ""), sort_keys=True, ensure_ascii=False)

    def _settings(self, stage: str, name: str) -> dict[str, Any]:
        if stage == "prepare":
            return self.prepare[name].model_dump(mode="json")
        if stage in ("train", "ablate"):
            return self.training(name).model_dump(mode="json")
        if stage in INSPECTIONS:
            return self._section(stage, exclude={"runs"})
        if stage == "folds":
            return self.folds[name].model_dump(mode="json")
        if stage == "features":
            return self._feature_settings(name)
        if stage == "probes":
            return {**self._section("probes"), "curve": name not in self.features.runs[1:]}
        if stage == "scratch":
            shared, per_class = self._section("scratch", exclude={"run", "sets", "per_class"}), self.scratch.sets[name]
            return {**shared, **({"per_class": per_class} if per_class else {})}
        if stage == "exhibits":
            return {"name": name, "files": {label: str(path) for label, path in self.needs(name).items()}}
        if stage == "report":
            return self._report_settings()
        return self._section(stage)

    def _section(self, stage: str, exclude: Collection[str] = ()) -> dict[str, Any]:
        section: Base = getattr(self, stage)
        return section.model_dump(mode="json", exclude=set(exclude))

    def _feature_settings(self, name: str) -> dict[str, Any]:
        unused = {"runs", "baselines", *(("layers",) if name in BASELINES else ())}
        return {**self._section("features", exclude=unused), "kind": name if name in BASELINES else "network"}

    def needs(self, exhibit: str) -> dict[str, Path]:
        """Label -> path of every file that an exhibit reads."""
        module = importlib.import_module(f"zfrepro.exhibits.{exhibit}")
        return {label: self.results() / path for label, path in module.needs(self).items()}

    def report_networks(self) -> list[Path]:
        """network.json of every network that an exhibit depends on; the report's first page says how they were trained."""
        jobs = graph.jobs_before((path.as_posix() for path in self._exhibit_files()), self.model_dump(mode="json"))
        return [self.results().joinpath(*job, "network.json") for job in jobs if job[0] in graph.TRAINING]

    def _report_settings(self) -> dict[str, Any]:
        return {
            "experiment": self.experiment,
            "title": self.title,
            "exhibits": list(self.report.exhibits),
            "config": self.model_dump(mode="json"),
            "reductions": self.reductions(),
        }

    def reductions(self) -> list[str]:
        """Sentences on what this experiment makes smaller than the paper did."""
        targets = {role: spec for role, spec in self.prepare.items() if role != SOURCE}
        return reductions.list_reductions(
            self.prepare[SOURCE], targets, [self.training(run) for run in self.train.runs]
        )
