"""Write an experiment file with comments into a folder, to be edited and run there."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from pathlib import Path

from zfrepro.errors import UserError
from zfrepro.experiment import loading
from zfrepro.experiment.variation import Changes, vary
from zfrepro.running.experiment_files import FILE, experiment_file
from zfrepro.storage import artifacts, paths, workflow_files
from zfrepro.storage.paths import printable

LONGEST = 61  # letters of an experiment's name


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    target = options.folder / FILE
    _check_target(options.folder, target)
    name = options.name or name_of(options.folder)
    command = " ".join(shlex.join(arguments).split())  # one line
    artifacts.save_text(target, f"# Written by: zfrepro init {command}\n{derive(options.source, name)}")
    print(f"experiment: {printable(target)}  (edit it, then: {next_command(options.folder)})")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("zfrepro init", description=__doc__)
    parser.add_argument(
        "folder", type=paths.resolve, metavar="DIR", help=f"folder to write {FILE} to; made if it does not exist"
    )
    names = workflow_files.experiments()
    parser.add_argument(
        "--from",
        dest="source",
        type=experiment_file,
        default=names[workflow_files.DEFAULT],
        metavar="EXPERIMENT",
        help=f"experiment to begin with: {', '.join(names)}, or a file; default: {workflow_files.DEFAULT}",
    )
    parser.add_argument("--name", help="name of the experiment, and of its folder in results/; default: the folder's")
    return parser


def _check_target(folder: Path, target: Path) -> None:
    """Raises UserError for a folder that cannot be one, and for a file that exists."""
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise UserError(f"{printable(existing)}: is not a folder; name another one")
    if os.path.lexists(target):
        raise UserError(f"{printable(target)}: already exists; delete it or name another folder")


def name_of(folder: Path) -> str:
    """`My photographs` -> `my-photographs`; `experiment` where nothing is left."""
    letters = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower())
    return letters.strip("-")[:LONGEST].rstrip("-") or "experiment"


def derive(source: Path, name: str) -> str:
    """The text of an experiment file under another name, with its comments. Raises UserError for a file or name that is not valid."""
    text = paths.read_text(source)
    return text if loading.load(source).experiment == name else vary(text, Changes(name), str(source))


def next_command(folder: Path) -> str:
    """What runs the experiment from the current folder."""
    here = folder.resolve() == Path.cwd().resolve()
    return "zfrepro run" if here else f"cd {shlex.quote(printable(folder))} && zfrepro run"
