"""What the wheel and the source distribution hold, and that a wheel needs nothing else. test_dag.py runs an experiment with it."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest
from helpers.installed_wheel import VERSION, InstalledWheel
from helpers.workspace import ROOT

pytestmark = pytest.mark.workflow

PACKED = "zfrepro/_workflow/"
FOR_MAKE = "workflow/envs/system-packages.sh"  # of no use without the Makefile


def repository_files(folder: str) -> set[str]:
    """Files below a folder, relative to the repository."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in found}


def test_the_wheel_holds_the_package_and_one_copy_of_the_workflow(installed_wheel: InstalledWheel) -> None:
    workflow = {"Snakefile", "config.yaml", *repository_files("workflow")} - {FOR_MAKE}
    with zipfile.ZipFile(installed_wheel.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert names == repository_files("zfrepro") | {PACKED + name for name in workflow}
        assert all(archive.read(PACKED + name) == (ROOT / name).read_bytes() for name in workflow)
        assert archive.read(f"zfrepro-{VERSION}.dist-info/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_the_source_distribution_holds_what_builds_and_tests(installed_wheel: InstalledWheel) -> None:
    with tarfile.open(installed_wheel.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {
        name for folder in ("tests", "zfrepro", "workflow", ".github", "docs") for name in repository_files(folder)
    }
    loose = {"pyproject.toml", "hatch_build.py", "Makefile", "requirements.lock", "Snakefile", "config.yaml", "LICENSE", ".ci/run",
             "README.md", "CITATION.cff", ".snakemake-workflow-catalog.yml"}  # fmt: skip
    assert needed | loose <= names
    assert not any(name.startswith(("reports", "results", ".git/")) for name in names)


def test_the_program_is_the_installed_one(installed_wheel: InstalledWheel, tmp_path: Path) -> None:
    code = "import sys, zfrepro; from zfrepro.storage import workflow_files as w; print(zfrepro.__file__, w.ROOT, *sys.path)"
    package, workflow, *path = installed_wheel.execute(tmp_path, code).split()
    home = str(installed_wheel.environment.resolve())
    assert package.startswith(home)
    assert workflow.startswith(home)
    assert workflow.endswith("/zfrepro/_workflow")
    assert str(ROOT) not in path
    assert installed_wheel.call(tmp_path, "--version") == f"zfrepro {VERSION}\n"


def test_an_experiment_by_name_finds_its_files(installed_wheel: InstalledWheel, tmp_path: Path) -> None:
    """Snakemake plans every job; the table of faces lies beside the experiment, in the package."""
    assert "correspondence  1 of 1" in installed_wheel.call(tmp_path, "plan", "--config", "tiny-imagenet")


def test_a_new_experiment_is_the_packed_default(installed_wheel: InstalledWheel, tmp_path: Path) -> None:
    output = installed_wheel.call(tmp_path, "init", "mine")
    assert output == "experiment: mine/config.yaml  (edit it, then: cd mine && zfrepro run)\n"
    text = (tmp_path / "mine/config.yaml").read_text(encoding="utf-8")
    default = (ROOT / "config.yaml").read_text(encoding="utf-8")
    assert text.partition("\n")[2] == default.replace("experiment: demo", "experiment: mine", 1)
