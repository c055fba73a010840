"""Which jobs an edit reruns and which of them compute, answered without Snakemake and without running anything.

A job reruns if its settings or the digest of all its code change, or if it reads from one that reruns. It computes if its key in
the result store changes; what it computes is taken to differ, so the keys of those that read it change too.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml
from helpers.workspace import ROOT

from zfrepro.experiment import loading
from zfrepro.experiment.config import Config
from zfrepro.experiment.prediction import JobKeys
from zfrepro.graph import Job
from zfrepro.running import job_key
from zfrepro.storage import code_digest
from zfrepro.storage.source_code import Kept, Package

Edits = Mapping[str, Callable[[str], str]]


class Project:
    """A copy of the package and one experiment, in which files are edited and digests follow."""

    def __init__(self, folder: Path, experiment: str):
        self.folder, self.kept = folder, Kept(None)
        shutil.copytree(ROOT / "zfrepro", folder / "zfrepro", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "experiment.yaml").write_text(experiment)
        config = self._read()
        self.params = self._params(config)
        self.keys, _ = self._keys(config, {}, ())

    def reruns(self, edits: Edits) -> set[Job]:
        """The jobs that a run would start after edits of these files, which are then undone."""
        with self._edited(edits) as config:
            after = self._params(config)
        changed = {job for job, params in after.items() if self.params.get(job) != params}
        return {job for job in after if job in changed or changed & set(_before(config, job))}

    def recomputes(self, edits: Edits, same_bytes: Collection[str] = ()) -> set[Job]:
        """The jobs that compute; same_bytes: stages of which the results turn out as they were."""
        with self._edited(edits) as config:
            _, computing = self._keys(config, self.keys, same_bytes)
        return computing

    def _read(self) -> Config:
        return loading.parse(yaml.safe_load((self.folder / "experiment.yaml").read_text()), "experiment.yaml")

    @contextmanager
    def _edited(self, edits: Edits) -> Iterator[Config]:
        texts = {file: (self.folder / file).read_text() for file in edits}
        try:
            for file, edit in edits.items():
                (self.folder / file).write_text(edit(texts[file]))
            yield self._read()
        finally:
            for file, text in texts.items():
                (self.folder / file).write_text(text)

    def _package(self) -> Package:
        return Package(self.folder / "zfrepro", self.kept)

    def _params(self, config: Config) -> dict[Job, tuple[str, str]]:
        """Job -> its settings and the digest of its code: the params of its rule."""
        package, digests = self._package(), {}
        for job in config.graph.jobs():
            modules = config.graph.code(job)
            if modules not in digests:
                digests[modules] = code_digest.digest(*modules, package=package)
        return {job: (config.slice(job), digests[config.graph.code(job)]) for job in config.graph.jobs()}

    def _keys(
        self, config: Config, earlier: Mapping[Job, str], same_bytes: Collection[str]
    ) -> tuple[dict[Job, str], set[Job]]:
        """Job -> key; the jobs whose key differs from the earlier one."""
        computing: set[Job] = set()

        def digest(path: Path, whole: bool = False) -> str:
            file = path.relative_to(config.results()).as_posix()
            job = config.graph.job_of(file)
            return f"{file} anew" if job in computing and job[0] not in same_bytes else file

        job_keys, keys = JobKeys(config, self._package(), digest), {}
        for job in config.graph.jobs():
            if job[0] not in job_key.NOT_STORED:
                keys[job] = job_keys.key(job)
                if earlier.get(job, keys[job]) != keys[job]:
                    computing.add(job)
        return keys, computing


def _before(config: Config, job: Job) -> tuple[Job, ...]:
    return config.graph.before(config.graph.inputs(job).values())
