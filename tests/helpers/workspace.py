"""A copy of the project in an empty folder, where tests may edit and run it as a user would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from zfrepro.running.snakemake_log import Job, Reader

ROOT = Path(__file__).parents[2]
COPIED = ("Snakefile", "workflow", "zfrepro", "config.yaml")


class Workspace:
    """`folder` holds the copy; the package in it is the one that its commands import."""

    def __init__(self, folder: Path, experiment: str):
        self.folder = folder
        for name in COPIED:
            source = ROOT / name
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored) if source.is_dir() else shutil.copy(
                source, folder / name
            )
        (folder / "experiment.yaml").write_text(experiment)

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        """`python -m zfrepro ...`, in a process group of its own so that a test never signals itself."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "zfrepro", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )

    def call(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output."""
        process = self.start(*arguments)
        out, _ = process.communicate(timeout=600)
        return process.returncode, out

    def run(self, *targets: str) -> str:
        """The whole experiment, or these files of it; must succeed."""
        code, out = self.call("run", "--config", "experiment.yaml", "--cores", "2", *targets)
        assert code == 0, out
        return out

    def planned(self) -> list[Job]:
        """Jobs that a run would start now."""
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--configfile",
            "experiment.yaml",
            "--workflow-profile",
            "workflow/profiles/default",
            "-n",
        ]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        events = Reader().events([*done.stdout.splitlines(), ""])
        return [event.job for event in events if event.kind == "start" and event.job.rule != "all"]
