"""What a machine lacks for the PDF, found before anything is installed or run; and what `make` does about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import without_fonts

from zfrepro.report import system_libraries

ROOT = Path(__file__).parents[2]
SCRIPT = [sys.executable, "-I", system_libraries.__file__]


def test_nothing_is_missing_here() -> None:
    assert system_libraries.missing_packages() == []
    assert system_libraries.explain_missing() is None


def test_a_machine_without_fonts_lacks_a_font(tmp_path: Path) -> None:
    done = subprocess.run(SCRIPT, env=without_fonts.environment(tmp_path), capture_output=True, text=True, check=True)
    assert done.stdout == "fonts-dejavu-core\n"


def test_a_bitmap_font_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for formats, usable in (([b"PCF", b"Type 1"], False), ([b"PCF", b"CFF"], True), ([b""], False), ([], False)):
        monkeypatch.setattr(system_libraries, "_font_formats", lambda _, formats=formats: formats)
        assert system_libraries.has_font() is usable


def test_a_missing_library_is_named_by_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    load = system_libraries._load
    monkeypatch.setattr(system_libraries, "_load", lambda name: None if "pangoft2" in name else load(name))
    assert system_libraries.missing_packages() == ["libpangoft2-1.0-0"]
    assert system_libraries.explain_missing() == (
        "the PDF needs the system libraries libpangoft2-1.0-0; install with: apt-get install libpangoft2-1.0-0"
    )


def test_a_library_that_only_saves_time_stops_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    load = system_libraries._load
    monkeypatch.setattr(system_libraries, "_load", lambda name: None if "subset" in name else load(name))
    assert system_libraries.missing_packages() == ["libharfbuzz-subset0"]
    assert system_libraries.explain_missing() is None


def test_a_python_without_ensurepip_lacks_its_venv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_libraries.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert system_libraries._venv_package() == ["python3-venv"]
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3.12")
    assert system_libraries._venv_package() == ["python3.12-venv"]


class Machine:
    """A PATH with a Python that lacks `missing` until apt-get has run, and programs that note how they were called."""

    def __init__(self, folder: Path, missing: str, user: int, version: str = "0"):
        self.folder, self.calls = folder, folder / "calls"
        for name, lines in {
            "python3": [f'[ "$1" = -c ] && exit {version}', '[ "$1" = -V ] && echo Python 3.9.2 && exit',
                        f'[ -e {folder}/installed ] || echo "{missing}"'],
            "apt-get": [f'echo "apt-get $*" >> {self.calls}', f'[ "$1" = install ] && touch {folder}/installed; exit 0'],
            "id": [f"echo {user}"],
        }.items():  # fmt: skip
            self.add(name, lines)
        for name in ("sh", "dirname", "touch"):
            (folder / name).symlink_to(f"/bin/{name}" if Path(f"/bin/{name}").exists() else f"/usr/bin/{name}")

    def add(self, name: str, lines: list[str]) -> None:
        path = self.folder / name
        path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
        path.chmod(0o755)

    def set_up(self) -> tuple[int, str]:
        """Exit code and output of what `make` calls first."""
        done = subprocess.run(
            [self.folder / "sh", ROOT / "workflow/envs/system-packages.sh"],
            env={"PATH": str(self.folder)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def called(self) -> list[str]:
        return self.calls.read_text(encoding="utf-8").splitlines() if self.calls.exists() else []


def test_as_root_missing_packages_are_installed_and_named(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "python3-venv fonts-dejavu-core", user=0)
    assert machine.set_up() == (0, "Installing with apt-get: python3-venv fonts-dejavu-core\n")
    assert machine.called() == [
        "apt-get update -qq",
        "apt-get install -y -qq --no-install-recommends python3-venv fonts-dejavu-core",
    ]
    assert machine.set_up() == (0, "")  # now there is nothing to do


def test_as_another_user_the_line_to_run_is_printed(tmp_path: Path) -> None:
    code, text = Machine(tmp_path, "libpango-1.0-0", user=1000).set_up()
    assert code == 1
    assert text == (
        "This machine lacks some system packages; run this line, then make again: sudo apt-get install libpango-1.0-0\n"
    )


def test_without_python_it_is_installed_too(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "", user=1000)
    (tmp_path / "python3").unlink()
    code, text = machine.set_up()
    assert code == 1
    assert "apt-get install python3 python3-venv libpango-1.0-0" in text


def test_where_nothing_is_missing_nothing_is_called(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "", user=0)
    assert machine.set_up() == (0, "")
    assert machine.called() == []


def test_an_old_python_is_named(tmp_path: Path) -> None:
    code, text = Machine(tmp_path, "", user=0, version="1").set_up()
    assert (code, text) == (
        1,
        "zfrepro needs Python 3.11 or newer, and python3 is Python 3.9.2; run make PYTHON=python3.11\n",
    )


def test_another_system_gets_the_names_to_look_for(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "libpango-1.0-0", user=0)
    (tmp_path / "apt-get").unlink()
    code, text = machine.set_up()
    assert code == 1
    assert "the libraries of these Debian packages: libpango-1.0-0;" in text


def test_make_calls_it_before_anything_else() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    first = lines[lines.index("$(READY): pyproject.toml requirements.lock") + 1]
    assert first == "\t@PYTHON=$(PYTHON) sh workflow/envs/system-packages.sh"
    assert "apt-get" not in (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_characters_without_a_font_are_found() -> None:
    assert system_libraries.characters_without_font("Käfer 3 ± 1 \u2713") == ""
    assert system_libraries.characters_without_font("owl \U0010ffff \U0010ffff") == "\U0010ffff"
