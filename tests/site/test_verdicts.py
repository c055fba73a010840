"""Verdicts of one run, read from its folders."""

from __future__ import annotations

from pathlib import Path

from helpers import toy_report

from zfrepro.site import verdicts


def test_a_results_folder_with_only_a_report(tmp_path: Path) -> None:
    toy_report.write(tmp_path / "demo/report", "demo")
    assert verdicts.read(tmp_path / "demo").experiment == "demo"


def test_ranges() -> None:
    assert [verdicts.ranges(numbers) for numbers in ([0, 1, 2, 7], [5], [102, 100, 101], [])] == [
        "0-2, 7",
        "5",
        "100-102",
        "",
    ]
