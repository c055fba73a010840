"""What jobs find in their environment, wherever they run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from zfrepro.running import manager

FOLDER = str(Path(sys.executable).parent)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager.os, "environ", {"PATH": "/usr/bin:/bin", "ZFREPRO_STORE": "/shared", "HOME": "/root"})


def test_the_python_of_a_plain_snakemake_is_that_of_its_jobs() -> None:
    """Also on a cluster's node, where Snakemake reads the Snakefile again to run one job."""
    for _ in range(2):
        manager.adopt_job_environment()
        assert os.environ["PATH"] == f"{FOLDER}:/usr/bin:/bin"
    assert manager.environment()["PATH"] == f"{FOLDER}:/usr/bin:/bin"


def test_the_stages_variables_are_passed_on() -> None:
    assert manager.passed_variables() == ["ZFREPRO_STORE"]
    assert manager.environment("cpu")["ZFREPRO_STORE"] == "/shared"
