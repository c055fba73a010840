"""Predict which jobs of a plan the result store has the results of, without running anything."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Collection
from pathlib import Path
from typing import Any

from zfrepro.errors import UserError
from zfrepro.experiment.config import Config
from zfrepro.graph import TRAINING, Job, out_of
from zfrepro.running import job_key
from zfrepro.storage import input_digest
from zfrepro.storage.result_store import Entry, ResultStore
from zfrepro.storage.source_code import Package


class Unknown(Exception):
    """A file that another job of the plan has to compute first."""


class JobKeys:
    """The key under which each job of an experiment looks for its result; digest: of a file that it reads."""

    def __init__(self, config: Config, package: Package, digest: job_key.Digest):
        self.config, self.package, self.digest = config, package, digest

    def key(self, job: Job) -> str:
        """Raises what `digest` raises."""
        stage = "train" if job[0] in TRAINING else job[0]
        module = importlib.import_module(f"zfrepro.stages.{stage}")
        parts = job_key.key_parts(stage, module, self._arguments(job, module), self.package, self.digest)
        return job_key.of_parts(parts)

    def _arguments(self, job: Job, module: Any) -> dict[str, Any]:
        """As the job's rule gives them to the stage's `run`."""
        results = self.config.results()
        parameters = inspect.signature(module.run).parameters.values()
        defaults = {
            parameter.name: parameter.default
            for parameter in parameters
            if parameter.default is not inspect.Parameter.empty
        }
        names = (
            {"name": job[1], "on_divergence": "fail" if job[0] == "train" else "record"} if job[0] in TRAINING else {}
        )
        inputs = {} if job[0] == "exhibits" else self.config.graph.inputs(job)
        spec = module.Spec.model_validate_json(self.config.slice(job))
        files = {label: results / file for label, file in inputs.items()}
        return {**defaults, **names, **files, "spec": spec, "out": results / out_of(job)}


class Prediction:
    """planned: the jobs that a run would start; all other files are taken to be there.

    taken: jobs whose results are in the store. unknown: jobs that read what has to be computed first: if that comes out as it
    was before, their results may be in the store too.
    """

    def __init__(self, config: Config, planned: Collection[Job], store: ResultStore):
        package = Package()
        self.config, self.planned, self.store = config, set(planned), store
        self.keys = JobKeys(config, package, self._digest)
        self.taken: dict[Job, Entry] = {}
        self.unknown: set[Job] = set()
        for job in config.graph.jobs():
            if job in self.planned and job[0] not in job_key.NOT_STORED:
                self._predict(job)
        package.kept.save()

    def _predict(self, job: Job) -> None:
        try:
            entry = self.store.entry(self.keys.key(job))
        except Unknown:
            self.unknown.add(job)
        except (OSError, UserError):
            return
        else:
            if entry is not None and self.store.has_files(entry):
                self.taken[job] = entry

    def _digest(self, path: Path, whole: bool = False) -> str:
        """Of an input file as it is, or as it will be once it has been taken from the store."""
        results = self.config.results()
        job = self.config.graph.job_of(path.relative_to(results).as_posix()) if path.is_relative_to(results) else None
        if job is None or job not in self.planned:
            return input_digest.of_file(path, whole)
        if job not in self.taken or path.name not in self.taken[job].files:
            raise Unknown
        digest = self.taken[job].files[path.name]
        if path.name == "manifest.json" and not whole:
            return input_digest.of_manifest(self.store.object_path(digest))
        return digest
