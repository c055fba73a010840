"""Which file a user means by an experiment: a file, or the name of one that comes with the program."""

from __future__ import annotations

import difflib
from pathlib import Path

from zfrepro.errors import UserError
from zfrepro.storage import paths, workflow_files

FILE = Path("config.yaml")  # in the current folder, the experiment where none is named


def default_file() -> Path:
    return FILE if FILE.is_file() else workflow_files.experiments()[workflow_files.DEFAULT]


def experiment_file(text: str) -> Path:
    """The file that a user means: a file, or the name of an experiment that comes with the program. Raises UserError for a name that
    is neither; a path that does not exist is left to whoever reads it."""
    path = paths.resolve(text)
    if path.is_file() or not _is_name(text):
        return path
    experiments = workflow_files.experiments()
    if text not in experiments:
        raise UserError(_explain_unknown(path, text, list(experiments)))
    return experiments[text]


def _is_name(text: str) -> bool:
    return "/" not in text and not text.endswith((".yaml", ".yml"))


def _explain_unknown(path: Path, text: str, names: list[str]) -> str:
    """With the likeliest meaning: the file in a folder of this name, or a name that is nearly the same."""
    near = [str(path / FILE)] if (path / FILE).is_file() else difflib.get_close_matches(text, names, 1)
    meant = f" (perhaps {paths.printable(near[0])})" if near else ""
    return (
        f"{paths.printable(text)}: neither a file nor an experiment that comes with zfrepro{meant}; choose a file, or one of "
        f"{', '.join(names)}"
    )
