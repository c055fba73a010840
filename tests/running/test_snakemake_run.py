"""A Snakemake that fails before its first job: its reason is on the terminal."""

from __future__ import annotations

from pathlib import Path

from zfrepro.running import snakemake_run

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
