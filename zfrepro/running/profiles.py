"""Snakemake's profile for a run: its folder, and the executor that it names."""

from __future__ import annotations

import importlib.util
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from zfrepro.errors import UserError
from zfrepro.storage import paths
from zfrepro.storage.workflow_files import ROOT

FOLDER = ROOT / "workflow/profiles"
LOCAL = "local"  # Snakemake's own executor, on this computer
_FILE = re.compile(r"(?:profile|config)(?:\.v(\d+)\+)?\.yaml")


@dataclass(frozen=True)
class Profile:
    """path: folder or file, as Snakemake takes it; executor: `local`, `slurm`, `kubernetes`, ..."""

    path: Path
    executor: str = LOCAL

    @property
    def is_local(self) -> bool:
        return self.executor == LOCAL


DEFAULT = Profile(FOLDER / "default")


def find(name: str) -> Profile:
    """The profile workflow/profiles/NAME, or that of a path. Raises UserError if there is none, or its executor cannot work here."""
    path = next((path for path in (FOLDER / name, paths.resolve(name)) if _files(path)), None)
    if path is None:
        names = ", ".join(sorted(folder.name for folder in FOLDER.iterdir() if _files(folder)))
        raise UserError(
            f"--profile {name}: no such profile; choose one of {names}, or name a folder with a config.yaml of Snakemake"
        )
    profile = Profile(path.absolute(), _executor(_files(path)[-1]))
    _require_executor(name, profile.executor)
    return profile


def _files(path: Path) -> list[Path]:
    """The profile's files, the one that Snakemake takes last: it looks for the highest version."""
    if path.is_file():
        return [path]
    matches = [(match, file) for file in path.glob("*.yaml") if (match := _FILE.fullmatch(file.name))]
    return [file for _, file in sorted(matches, key=lambda pair: int(pair[0][1] or 0))]


def _executor(file: Path) -> str:
    try:
        content = yaml.safe_load(paths.read_text(file))
    except yaml.YAMLError as error:
        raise UserError(f"{file}: is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: must hold `key: value` lines, as workflow/profiles/slurm/config.yaml does")
    return str(content.get("executor", LOCAL))


def _require_executor(name: str, executor: str) -> None:
    if (
        executor != LOCAL
        and importlib.util.find_spec(f"snakemake_executor_plugin_{executor.replace('-', '_')}") is None
    ):
        package = '"zfrepro[cluster]"' if executor == "slurm" else f"snakemake-executor-plugin-{executor}"
        raise UserError(
            f"--profile {name}: its executor `{executor}` is not installed; run: python -m pip install {package}"
        )
    if executor == "slurm" and shutil.which("sbatch") is None:
        raise UserError(
            f"--profile {name}: sbatch is not on the PATH; start this run on a computer from which SLURM jobs are submitted"
        )
