"""Which jobs an edit reruns, answered without Snakemake: those whose settings or code digest change, and all that read from them."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from helpers.workspace import ROOT

from zfrepro import graph
from zfrepro.experiment import loading
from zfrepro.experiment.config import Config
from zfrepro.storage import code_digest

REPORT = ("report",)


class Project:
    """A copy of the package and one experiment, in which files are edited and digests follow."""

    def __init__(self, folder: Path, experiment: str, patch: pytest.MonkeyPatch):
        self.folder = folder
        shutil.copytree(ROOT / "zfrepro", folder / "zfrepro", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "experiment.yaml").write_text(experiment)
        patch.setattr(code_digest, "ROOT", folder / "zfrepro")
        self._caches = _replace_caches(code_digest, patch)
        config = self._read()
        self.before = self._params(config, Jobs(config))

    def reruns(self, file: str, edit: Callable[[str], str]) -> set[graph.Job]:
        """The jobs that a run would start after an edit of one file, which is then undone."""
        path = self.folder / file
        text = path.read_text()
        path.write_text(edit(text))
        self._forget(file)
        try:
            config = self._read()
            jobs = Jobs(config)
            after = self._params(config, jobs)
        finally:
            path.write_text(text)
            self._forget(file)
        changed = {job for job, params in after.items() if self.before.get(job) != params}
        return {job for job, before in jobs.items() if job in changed or changed & before}

    def _read(self) -> Config:
        return loading.parse(yaml.safe_load((self.folder / "experiment.yaml").read_text()), "experiment.yaml")

    def _params(self, config: Config, jobs: Jobs) -> dict[graph.Job, tuple[str, str]]:
        """Job -> its settings and the digest of its code: the params of its rule."""
        return {
            job: (
                config.slice(job[0], job[-1] if job[1:] else None),
                code_digest.digest(*graph.code_modules(job, jobs.plain)),
            )
            for job in jobs
        }

    def _forget(self, file: str) -> None:
        name = file.removeprefix("zfrepro/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for cache in self._caches:
            cache.pop(name, None)


class Jobs(dict[graph.Job, set[graph.Job]]):
    """Each job that the report needs, and the report -> the jobs before it, at any depth."""

    def __init__(self, config: Config):
        self.plain = config.model_dump(mode="json")
        exhibits = {
            ("exhibits", name): self._before(config, config.needs(name).values()) for name in config.report.exhibits
        }
        stages = set().union(*exhibits.values())
        before_report = set(exhibits) | stages | self._before(config, config.report_networks())
        super().__init__({job: self._inputs(job) for job in sorted(stages)} | exhibits | {REPORT: before_report})

    def _before(self, config: Config, files: Iterable[Path]) -> set[graph.Job]:
        within = [path.relative_to(config.results()).as_posix() for path in files]
        return set(graph.jobs_before(within, self.plain))

    def _inputs(self, job: graph.Job) -> set[graph.Job]:
        output = "/".join(job) + (".json" if job[0] in ("probes", "scratch") else "/file")
        return set(graph.jobs_before([output], self.plain)) - {job}


def _replace_caches(module: ModuleType, patch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Give the module's cached functions caches of which one name can be forgotten."""
    caches: list[dict[str, object]] = []
    for name, function in list(vars(module).items()):
        if hasattr(function, "cache_clear"):
            caches.append({})
            patch.setattr(module, name, functools.partial(_cached, function.__wrapped__, caches[-1]))
    return caches


def _cached(function: Callable[[str], object], cache: dict[str, object], name: str) -> object:
    if name not in cache:
        cache[name] = function(name)
    return cache[name]
