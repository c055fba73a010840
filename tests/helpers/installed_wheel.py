"""The wheel as a user installs it: built from the source distribution, in an environment outside the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

from helpers.workspace import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


@dataclass(frozen=True)
class InstalledWheel:
    """base: the folder that `make` filled."""

    base: Path

    @property
    def sdist(self) -> Path:
        return self.base / f"dist/zfrepro-{VERSION}.tar.gz"

    @property
    def wheel(self) -> Path:
        return self.base / f"dist/zfrepro-{VERSION}-py3-none-any.whl"

    @property
    def environment(self) -> Path:
        return self.base / "env"

    def files(self) -> set[str]:
        """All that lies in the environment, without compiled modules."""
        return {str(path) for path in self.environment.resolve().rglob("*") if "__pycache__" not in path.parts}

    def call(self, folder: Path, *arguments: str) -> str:
        """Output of `zfrepro ...` in a folder; must succeed."""
        return self._call(folder, "zfrepro", *arguments)

    def execute(self, folder: Path, code: str) -> str:
        """Output of Python code; -P: the folder itself is not on the path."""
        return self._call(folder, "python", "-P", "-c", code)

    def _call(self, folder: Path, program: str, *arguments: str) -> str:
        """Nothing of the repository is on its paths."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [self.environment / "bin" / program, *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


def make(base: Path) -> None:
    installed = InstalledWheel(base)
    _build(ROOT, "sdist", base / "dist")
    with tarfile.open(installed.sdist) as archive:
        archive.extractall(base / "source", filter="data")
    _build(base / f"source/zfrepro-{VERSION}", "wheel", base / "dist")
    _install(installed.wheel, installed.environment)


def _build(source: Path, target: str, out: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)


def _install(wheel: Path, environment: Path) -> None:
    """By pip, in a new environment, which then borrows the libraries of this one: their folder comes on its path, but .pth files in
    it, such as that of an editable installation, are not read."""
    venv.create(environment, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin/python"), "--quiet"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", str(wheel)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    borrowed = [path for path in sys.path if path.endswith("-packages")]
    (packages / "borrowed.pth").write_text("\n".join(borrowed), encoding="utf-8")
