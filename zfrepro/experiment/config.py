"""One experiment as checked settings: its sections, its runs, and the settings that each job gets.

Only the commands and the Snakefile import this module, never a stage: so no rule's code digest depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from zfrepro.core.architecture import Network
from zfrepro.datasets import part_annotations
from zfrepro.experiment import left_out, reductions
from zfrepro.experiment.sections import (
    BASELINES,
    Analysis,
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
from zfrepro.graph import SOURCE, TRAINING, Graph, Job
from zfrepro.spec import Base
from zfrepro.stages import evaluate as evaluate_stage
from zfrepro.stages import folds as folds_stage
from zfrepro.stages import prepare as prepare_stage
from zfrepro.stages import train as train_stage

RESULTS = Path("results")
INSPECTIONS = ("deconvnet", "evolution", "occlusion", "invariance", "correspondence")  # analyses of trained networks


class Config(Base):
    """The whole of one experiment file."""

    experiment: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$", description="names the folder under results/")
    title: str = Field(min_length=1)
    authors: tuple[str, ...] = Field((), description="who made the report, for its cover and for citing it")
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
        for target, split in self.folds.items():
            self._check_known("folds", target, {name: spec for name, spec in self.prepare.items() if name != SOURCE})
            smallest = min(self.prepare[target].size, self.prepare[SOURCE].size)
            if split.overlap_size > smallest:
                raise ValueError(
                    f"folds.{target}.overlap_size: {split.overlap_size} pixels exceed the {smallest} at which images are stored; lower it"
                )
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

    def preparation(self, name: str) -> prepare_stage.Spec:
        """Settings of the job that prepares a set: the source, with which targets are compared, gets the thumbnails for it."""
        spec = self.prepare[name]
        compared = {split.overlap_size for split in self.folds.values()} if name == SOURCE else set()
        return spec.model_copy(update={"thumbnails": tuple(sorted({*spec.thumbnails, *compared}))})

    @cached_property
    def graph(self) -> Graph:
        """The jobs of this experiment."""
        return Graph(self.model_dump(mode="json"), self._files_of_exhibit)

    def _files_of_exhibit(self, exhibit: str) -> dict[str, str]:
        """Label -> file that it reads, relative to the experiment's folder; none for one that is left out."""
        return left_out.files_of_exhibit(self, exhibit)

    @cached_property
    def unmeasurable(self) -> dict[str, str]:
        """Section, or `folds.<set>` -> why nothing can be measured for it on these data."""
        return left_out.unmeasurable(self)

    @cached_property
    def left_out(self) -> dict[str, str]:
        """Exhibits of the report whose data cannot be there -> why."""
        reasons = {exhibit: left_out.reason(self, exhibit) for exhibit in self.report.exhibits}
        return {exhibit: reason for exhibit, reason in reasons.items() if reason}

    def needs(self, exhibit: str) -> dict[str, Path]:
        """Label -> path of every file that an exhibit reads."""
        return {label: self.results() / file for label, file in self._files_of_exhibit(exhibit).items()}

    def scratch_run(self) -> str:
        """Name of the run whose network is trained from scratch on the targets."""
        return self.scratch.run or next(iter(self.features.runs), "")

    def network_of_features(self, features: str) -> str | None:
        """Name of the run whose network computes the named features; None for hand-crafted ones."""
        return self.graph.network_of(("features", "", features))

    def annotation_files(self) -> list[Path]:
        """The file of marked photographs for the correspondence measure, if one is named, and the photographs."""
        section = self.correspondence
        if section is None or section.annotations is None:
            return []
        return part_annotations.list_files(section.annotations, section.root)

    def results(self) -> Path:
        return RESULTS / self.experiment

    def slice(self, job: Job) -> str:
        """The settings of one job as canonical JSON, a text that Snakemake compares."""
        return json.dumps(self._settings(*job), sort_keys=True, ensure_ascii=False)

    def _settings(self, stage: str, name: str = "", features: str = "") -> dict[str, Any]:
        if stage in TRAINING:
            return self.training(name).model_dump(mode="json")
        if stage == "prepare":
            return self.preparation(name).model_dump(mode="json")
        if stage == "exhibits":
            reason = {"left_out": self.left_out[name]} if name in self.left_out else {}
            return {"name": name, "files": {label: str(path) for label, path in self.needs(name).items()}, **reason}
        if stage == "report":
            return self._report_settings()
        if isinstance(section := getattr(self, stage), Analysis):
            return section.of_job()
        if stage == "features":
            return self.features.of_job(features)
        if stage == "probes":
            return self.probes.of_job(curve=features not in self.features.runs[1:])
        if stage == "scratch":
            return self.scratch.of_job(name)
        settings: Base = section[name] if isinstance(section, dict) else section
        return settings.model_dump(mode="json")

    def _report_settings(self) -> dict[str, Any]:
        return {
            "experiment": self.experiment,
            "title": self.title,
            "authors": list(self.authors),
            "exhibits": list(self.report.exhibits),
            "config": self.model_dump(mode="json"),
            "reductions": self.reductions(),
        }

    def reductions(self) -> list[str]:
        """Sentences on what this experiment makes smaller than the paper did, or does otherwise."""
        return reductions.list_reductions(
            reductions.Settings(
                source=self.prepare[SOURCE],
                targets={role: spec for role, spec in self.prepare.items() if role != SOURCE},
                runs=[self.training(run) for run in self.runs()],
                sections=self._compared_sections(),
                folds=self.folds,
                scratch=self.scratch.sets,
            )
        )

    def _compared_sections(self) -> dict[str, Base]:
        """Stage -> settings, of the stages that run in this experiment."""
        running = {
            "evaluate": True,
            "features": bool(self.folds),
            "probes": bool(self.folds),
            "scratch": bool(self.scratch.sets),
        }
        running |= {stage: bool(self.inspected_runs(stage)) for stage in INSPECTIONS}
        return {stage: getattr(self, stage) for stage, runs in running.items() if runs}
