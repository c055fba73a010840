"""A Snakemake that fails before its first job: its reason is on the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from zfrepro.commands import plan
from zfrepro.errors import UserError
from zfrepro.running import manager, snakemake_run
from zfrepro.storage import surroundings

LOG = """\
Using workflow specific profile workflow/profiles/default for setting default command line arguments.
MissingRuleException:
No rule to produce results/x/nothing.json (if you use input functions make sure that they don't raise unexpected exceptions).
"""


def test_the_reason_is_shown_without_what_is_always_there(tmp_path: Path) -> None:
    path = tmp_path / "snakemake.log"
    path.write_text(LOG, encoding="utf-8")
    assert snakemake_run.explain_early_failure(path).splitlines() == [
        "Snakemake failed before the first job:",
        "    MissingRuleException:",
        "    No rule to produce results/x/nothing.json (if you use input functions make sure that they don't raise unexpected "
        "exceptions).",
    ]


def test_of_a_long_log_its_end_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "snakemake.log"
    path.write_text("\n".join(f"line {i}" for i in range(100)), encoding="utf-8")
    lines = snakemake_run.explain_early_failure(path).splitlines()
    assert (len(lines), lines[1], lines[-1]) == (16, "    line 85", "    line 99")


def test_an_empty_log_or_other_bytes_are_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "snakemake.log"
    path.write_bytes(b"")
    assert snakemake_run.explain_early_failure(path) == "Snakemake failed before the first job:"
    path.write_bytes(b"caf\xe9\n")
    assert snakemake_run.explain_early_failure(path).endswith("    caf\ufffd")


def test_a_plan_shows_the_reason_wherever_snakemake_prints_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A traceback goes to its standard output, the line on the profile to its standard error."""
    monkeypatch.chdir(tmp_path)
    code = "import sys; print('OSError: [Errno 28] No space', flush=True); sys.exit('Using workflow specific profile')"
    command = [sys.executable, "-c", code]
    monkeypatch.setattr(manager, "snakemake_command", lambda *_: command)
    with pytest.raises(UserError, match=r"^Snakemake cannot plan this run:\nOSError: \[Errno 28\] No space$"):
        plan.plan_jobs(Path("config.yaml"))


def test_a_plan_in_a_folder_that_cannot_be_written_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/proc/self/task")
    monkeypatch.setattr(surroundings.os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match=r"/task: cannot be written, and Snakemake keeps records there"):
        plan.plan_jobs(Path("config.yaml"))
