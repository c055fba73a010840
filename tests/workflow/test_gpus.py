"""What the rules ask of Snakemake on a machine with three GPUs and twelve cores."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from helpers.workspace import ROOT

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int, float]]:
    """`train run=improved` -> its threads, GPUs and priority, as Snakemake prints them in a dry run."""
    command = [
        sys.executable, "-m", "snakemake", "--dry-run",
        "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(ROOT / "tests/smoke.yaml"),
        "--workflow-profile", str(ROOT / "workflow/profiles/default"), "--cores", "12", "--resources", "gpu=3",
    ]  # fmt: skip
    gpus = {"ZFREPRO_GPUS": "0,1,2", "ZFREPRO_JOBS_PER_GPU": "1", "ZFREPRO_DEVICE": "auto", "PYTHONPATH": str(ROOT)}
    folder = tmp_path_factory.mktemp("dry")
    done = subprocess.run(command, cwd=folder, env=os.environ | gpus, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    parts = re.split(r"^(?:local)?rule ", done.stdout + done.stderr, flags=re.MULTILINE)[1:]
    return {
        f"{part.partition(':')[0]} {_word('wildcards', part, '.*')}": (
            int(_word("threads", part) or 1), int(_word("resources", part, r".*gpu=(\d)")[-1:] or 0), float(_word("priority", part) or 0)
        )
        for part in parts
    }  # fmt: skip


def _word(key: str, text: str, pattern: str = r"\S+") -> str:
    found = re.search(rf"^    {key}: ({pattern})$", text, re.MULTILINE)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("job", "threads", "gpus"),
    [
        ("train run=improved", 4, 1),
        ("ablate run=improved-wide", 4, 1),
        ("features set=caltech101, features=improved", 4, 1),
        ("features set=caltech101, features=hog", 1, 0),
        ("probes set=caltech101, features=hog", 4, 1),
        ("exhibits exhibit=overlap", 1, 0),
    ],
)
def test_jobs_on_a_gpu_have_their_share_of_the_cores(jobs, job, threads, gpus):
    assert jobs[job][:2] == (threads, gpus)


def test_the_longest_training_starts_first_and_every_training_before_the_rest(jobs):
    priority = {job: numbers[2] for job, numbers in jobs.items()}
    trainings = sorted((job for job in jobs if job.split()[0] in ("train", "ablate")), key=priority.__getitem__)
    assert trainings[-2:] == ["train run=improved", "ablate run=improved-wide"]
    assert trainings[0] == "ablate run=baseline-without-3-4-6-7"
    assert priority["evaluate run=improved"] < priority[trainings[0]]
    assert priority[trainings[-1]] < priority["folds set=caltech101"]
