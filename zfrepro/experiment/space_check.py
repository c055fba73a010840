"""Check, before the first job, that the disk has room for all that a run will write."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from zfrepro import graph
from zfrepro.errors import UserError
from zfrepro.experiment import cost
from zfrepro.experiment.config import Config
from zfrepro.storage.result_store import ResultStore
from zfrepro.storage.store_folder import store_folder

TIGHT = 0.9  # of the free space; a run that needs more gets a warning


def check_space(config: Config) -> Iterator[str]:
    """Yield a warning where it becomes tight. Raises UserError where the jobs without outputs need more than is free.

    Sets of unknown size are left out, as are results that lie in the store on the same disk.
    """
    jobs, free = unfinished_jobs(config), free_bytes(config.results())
    needs = needed_bytes(config, jobs)
    if sum(needs.values()) > free:
        needs = needed_bytes(config, set(jobs) - _stored(config, jobs))
    total = sum(needs.values())
    if total > free:
        raise UserError(
            f"{config.results()}: {_size(total - free)} more disk space needed: {_list(needs)} are to be written, {_size(free)} are "
            "free; delete files, use another disk or reduce the settings"
        )
    if total > TIGHT * free:
        yield f"{config.results()}: disk space is tight: {_list(needs)} are to be written, {_size(free)} are free"


def unfinished_jobs(config: Config) -> list[graph.Job]:
    """Jobs of which a file is missing. Those that run again replace their files, which takes little besides."""
    files = {job: config.graph.outputs(job).values() for job in config.graph.jobs()}
    return [job for job, names in files.items() if not all((config.results() / name).is_file() for name in names)]


def needed_bytes(config: Config, jobs: Collection[graph.Job]) -> dict[str, int]:
    """Purpose -> bytes, as in `zfrepro plan`."""
    return cost.estimate_cost(config, jobs).bytes


def free_bytes(folder: Path) -> int:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(existing).free


def _stored(config: Config, jobs: Collection[graph.Job]) -> set[graph.Job]:
    """Jobs whose results take no room: they are links to files of the store."""
    folder = store_folder()
    if folder is None or not folder.is_dir():
        return set()
    from zfrepro.experiment.prediction import Prediction  # here: it takes a second to import all stages

    return set(Prediction(config, jobs, ResultStore(folder)).taken)


def _list(needs: dict[str, int]) -> str:
    return ", ".join(f"{purpose} {_size(count)}" for purpose, count in needs.items())


def _size(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
