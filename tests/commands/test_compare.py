"""The comparison of several runs: every cell, every count of differences and flips computed by hand."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import toy_report
from helpers.toy_verdicts import NO, NONE, OPEN, SIX, YES, claims, six

from zfrepro.__main__ import main
from zfrepro.claims.base import VERDICTS
from zfrepro.commands import compare
from zfrepro.site import verdicts
from zfrepro.storage import artifacts


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    main(["compare", *arguments])
    return capsys.readouterr().out.splitlines()


def row(lines: list[str], number: int) -> str:
    matches = [line for line in lines if line.lstrip("*! ").split("  ")[0] == str(number)]
    assert len(matches) == 1
    return matches[0]


def spaced(line: str) -> str:
    """The line with single spaces."""
    return " ".join(line.split())


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(["compare", *arguments])
    out, err = capsys.readouterr()
    assert (exit_.value.code, out, len(err.splitlines())) == (2, "", 1)
    return err


def test_two_runs_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = {"seeds": [0, 1, 2, 7], "precisions": ["bfloat16"], "devices": ["cpu"], "text": "Trained."}
    toy_report.write(tmp_path / "alpha", "alpha", training=training)
    toy_report.write(
        tmp_path / "beta", "beta", claims=[toy_report.claim(2, NO, -2.5, low=-3, high=-2), toy_report.claim(7, NONE)]
    )
    lines = printed(capsys, str(tmp_path / "alpha"), str(tmp_path / "beta" / "summary.json"))
    head = [line.split("  ") for line in lines[:3]]
    assert [[cell.strip() for cell in line if cell.strip()] for line in head] == [
        ["alpha", "beta"],
        ["seeds 0-2, 7", "training not recorded"],
        ["claim", "bfloat16, cpu", "what the paper says"],
    ]
    assert spaced(row(lines, 2)) == "! 2 \u2713 yes -2.1 points [-3.0, -1.2] \u2717 no -2.5 [-3, -2] Sentence 2."
    assert spaced(row(lines, 7)) == "7 \u2013 none \u2013 none Sentence 7."
    assert lines[-4:] == [
        "alpha: 1 reproduced; 1 not attempted",
        "beta: 1 not reproduced; 1 not attempted",
        "* 1 of 2 claims differ: 2",
        "! 1 of them flips between reproduced and not reproduced: 2",
    ]


def test_six_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, *six(tmp_path))
    assert lines[0].split() == [f"demo-{i}" for i in range(6)]
    assert spaced(lines[1]) == "seeds 0-2 seeds 0-2 seeds 100-102 seeds 100-102 seeds 200-202 seeds 200-202"
    assert lines[2].split("  ")[-1] == "what the paper says"
    assert lines[2].count("float32, cpu") == 3 + lines[2].count("bfloat16, cpu") - 3 == 3
    assert {number: row(lines, number)[0] for number in SIX} == {1: " ", 2: "*", 3: "!", 4: "!", 5: "*", 6: " ", 7: " "}
    assert row(lines, 4).split()[2:-2] == ["\u2717", "no", "+", "small", *["\u2717", "no"] * 4]
    assert row(lines, 6).split()[1] == "missing"
    assert "demo-0: 3 reproduced; 1 not reproduced; 1 inconclusive; 1 not attempted; 1 missing" in lines
    assert lines[-2:] == [
        "* 4 of 7 claims differ: 2, 3, 4, 5",
        "! 2 of them flip between reproduced and not reproduced: 3, 4",
    ]


def test_only_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = printed(capsys, *six(tmp_path))
    lines = printed(capsys, "--only-changes", *six(tmp_path))
    assert [line.split()[1] for line in lines if line[:1] in ("*", "!")][:4] == ["2", "3", "4", "5"]
    assert len(full) - len(lines) == 3  # claims 1, 6, 7
    assert lines[-7:] == full[-7:]


def test_runs_that_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("alpha", "beta"):
        toy_report.write(tmp_path / name, name)
    lines = printed(capsys, "--only-changes", str(tmp_path / "alpha"), str(tmp_path / "beta"))
    assert lines[-2:] == ["* 0 of 2 claims differ", "! 0 of them flip between reproduced and not reproduced"]
    assert not [line for line in lines if "Sentence" in line]


def test_the_deciding_part_is_named_if_runs_differ_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, part in (("alpha", "top-1"), ("beta", "top-5")):
        claims_of_run = [toy_report.claim(1, YES, 1.0, part=part), toy_report.claim(2, YES, 1.0, part="top-5")]
        toy_report.write(tmp_path / name, name, claims=claims_of_run)
    lines = printed(capsys, str(tmp_path / "alpha"), str(tmp_path / "beta"))
    assert "1 (top-1)" in row(lines, 1)
    assert "1 (top-5)" in row(lines, 1)
    assert "top" not in row(lines, 2)


def test_runs_with_the_same_name_are_distinguished_by_their_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(toy_report.write(tmp_path / place / "demo", "demo")) for place in ("reports", "old")]
    assert printed(capsys, *folders)[0].split() == folders


def results(folder: Path, contents: list[dict[str, Any]]) -> Path:
    """A results folder without a report: the claims' exhibit, the networks that it depends on, and another network."""
    for stage, run, seed, precision in (
        ("train", "improved", 3, "bfloat16"), ("ablate", "wide", 0, "bfloat16"), ("train", "left-over", 9, "float32"),
    ):  # fmt: skip
        network = {"spec": {"seed": seed}, "precision": precision, "device": "cuda"}
        artifacts.save_json(folder / stage / run / "network.json", network)
    files = {
        "imagenet/errors/improved": "evaluate/improved/errors.json",
        "ablation/network/wide": "ablate/wide/network.json",
    }
    artifacts.save_json(folder / verdicts.EXHIBIT, {"name": "claims", "data": {"claims": contents}, "files": files})
    return folder


def test_a_results_folder_needs_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = results(tmp_path / "results/demo", [{**claim, "n": 4, "topic": "x"} for claim in claims([YES, NO])])
    toy_report.write(tmp_path / "other", "other", claims=claims([YES, OPEN]))
    lines = printed(capsys, str(folder), str(tmp_path / "other"))
    assert lines[0].split() == ["demo", "other"]
    assert "seeds 0, 3" in lines[1]
    assert "bfloat16, cuda" in lines[2]
    assert lines[-2] == "* 1 of 2 claims differ: 2"


def test_the_csv_contains_every_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = {"seeds": [0], "precisions": ["float32"], "devices": ["cpu", "cuda"]}
    toy_report.write(tmp_path / "alpha", "alpha", training=training)
    toy_report.write(
        tmp_path / "beta",
        "beta",
        claims=[toy_report.claim(2, NO, -0.5, says="=1+1", unit="%"), toy_report.claim(3, YES, says="@x")],
    )
    file = tmp_path / "new/table.csv"
    printed(capsys, "--only-changes", "--csv", str(file), str(tmp_path / "alpha"), str(tmp_path / "beta"))
    head, *lines = csv.reader(io.StringIO(file.read_text(encoding="utf-8")))
    assert head == [
        "claim", "sentence", "differs", "flips",
        *(f"alpha seed 0 float32, cpu+cuda: {field}" for field in ("verdict", "value", "low", "high", "unit")),
        *(f"beta training not recorded: {field}" for field in ("verdict", "value", "low", "high", "unit")),
    ]  # fmt: skip
    assert lines == [
        ["2", "Sentence 2.", "yes", "yes", YES, "-2.14", "-3.0", "-1.2", "points", NO, "-0.5", "", "", "%"],
        ["3", "'@x", "no", "no", "missing", "", "", "", "", YES, "", "", "", ""],
        ["7", "Sentence 7.", "no", "no", NONE, "", "", "", "", "missing", "", "", "", ""],
    ]


def test_piped_output_is_never_cut(tmp_path: Path) -> None:
    """80 columns would hold neither six runs nor the sentence; a pipe has no columns."""
    sentence = "What the paper says, at length: " + "on and on " * 30 + "to the end."
    for i in range(6):
        long_claims = [
            toy_report.claim(1, VERDICTS[i % 2 * 2], -1.25, low=-1000.5, high=2.5, unit="points", says=sentence)
        ]
        toy_report.write(tmp_path / f"run-{i}", f"run-{i}", claims=long_claims)
    command = [sys.executable, "-m", "zfrepro", "compare", *(f"run-{i}" for i in range(6))]
    root = str(Path(compare.__file__).parents[2])
    for encoding in ("utf-8", "ascii"):
        environment = {**os.environ, "PYTHONPATH": root, "COLUMNS": "80", "PYTHONIOENCODING": encoding}
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, check=True)
        lines = done.stdout.decode(encoding).splitlines()
        assert done.stderr == b""
        assert "\x1b" not in "".join(lines)
        assert not [line for line in lines if line != line.rstrip()]
        assert row(lines, 1).endswith(sentence)
        assert row(lines, 1).count("-1.25 points [-1000.5, 2.5]") == 6
    assert row(lines, 1).count("? yes") == 3  # ASCII has no check mark


def test_bad_input_is_one_message_that_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = str(toy_report.write(tmp_path / "good", "good"))
    assert f"zfrepro: {good}: one run cannot be compared; name two or more" in refused(capsys, good)
    assert f"{tmp_path}/gone: does not exist; name a results folder, a report folder or a summary.json" in refused(
        capsys, good, str(tmp_path / "gone")
    )
    (tmp_path / "empty").mkdir()
    message = refused(capsys, str(tmp_path / "empty"), good)
    assert (
        f"{tmp_path}/empty: contains no verdicts (neither exhibits/claims/exhibit.json nor report/summary.json"
        in message
    )
    assert "finish that experiment with zfrepro run" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "bad/summary.json: is not the summary of a report (Expecting"),
        ("[1]", "bad/summary.json: is not the summary of a report"),
        (toy_report.summary("bad", claims=claims(["maybe"])), "bad/summary.json: claims.0.verdict: Input should be 'reproduced'"),
        (toy_report.summary("bad", claims=claims([YES], value=float("nan"))), "claims.0.value: Input should be a finite number"),
        (toy_report.summary("bad", claims=[]), "bad/summary.json: contains no claims; add `claims` to report.exhibits"),
        (toy_report.summary("bad", training={"seeds": ["x"]}), "bad/summary.json: training.seeds.0: "),
    ],
)  # fmt: skip
def test_a_broken_summary_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: Any, message: str
) -> None:
    good, bad = (toy_report.write(tmp_path / name, name) for name in ("good", "bad"))
    (bad / "summary.json").write_text(content if isinstance(content, str) else json.dumps(content))
    assert message in refused(capsys, str(good), str(bad))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "exhibit.json: cannot be read as JSON"),
        ("[]", "exhibit.json: is not the exhibit of the claims; run that experiment again: zfrepro run"),
        ('{"data": {}}', "exhibit.json: is not the exhibit of the claims"),
        ('{"data": {"claims": [{"number": 1, "says": "a", "verdict": "no"}]}}', "exhibit.json: claims: verdict: Input should be"),
        ('{"data": {"claims": []}}', "exhibit.json: contains no claims"),
    ],
)  # fmt: skip
def test_a_broken_exhibit_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    good, bad = toy_report.write(tmp_path / "good", "good"), results(tmp_path / "bad", claims([YES]))
    (bad / verdicts.EXHIBIT).write_text(content)
    assert message in refused(capsys, str(good), str(bad))


def test_a_broken_description_of_a_network_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = toy_report.write(tmp_path / "good", "good"), results(tmp_path / "bad", claims([YES]))
    artifacts.save_json(bad / "train/improved/network.json", {"spec": {}})
    assert f"{bad}: a network.json in train/ or ablate/ is incomplete" in refused(capsys, str(good), str(bad))
