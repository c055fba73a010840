"""What a stage could not measure is its result: exhibits show the reason, claims are not attempted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers import toy_results

from zfrepro.claims import registry
from zfrepro.errors import UserError
from zfrepro.exhibits import claims as board
from zfrepro.measurements import files as measured_files
from zfrepro.measurements.estimate import NotMeasured
from zfrepro.stages import exhibits
from zfrepro.storage import artifacts, not_measured

REASON = "0 images of split val show right eye, left eye, nose and leave room for a random square, 2 are needed"


@not_measured.records_not_measurable("a.npz", "b.npz", "about.json")
def _stage(out: Path, reason: str) -> None:
    """A stage."""
    if reason:
        raise not_measured.NotMeasurable(reason)
    raise UserError("something else")


def test_the_reason_is_written_and_the_job_succeeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _stage(tmp_path / "out", "there is nothing to see")
    assert artifacts.load_json(tmp_path / "out/about.json") == {"not_measured": "there is nothing to see"}
    assert artifacts.load_arrays(tmp_path / "out/a.npz") == artifacts.load_arrays(tmp_path / "out/b.npz") == {}
    assert capsys.readouterr().out == '{"not_measured": "there is nothing to see"}\n'


def test_other_faults_stay_faults(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="something else"):
        _stage(out=tmp_path / "out", reason="")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def toy(toy_stages: Path, tmp_path: Path) -> Path:
    """results/toy without a measured correspondence."""
    results = tmp_path / "results/toy"
    shutil.copytree(toy_stages, results)
    for path in (results / "correspondence").glob("*/correspondence.json"):
        artifacts.save_json(path, {"not_measured": REASON})
        artifacts.save_arrays(path.with_suffix(".npz"))
    return results


@pytest.mark.parametrize("name", ["table1_correspondence", "fig8_masked_parts"])
def test_its_exhibits_show_the_reason(toy: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out" / name
    exhibits.run(exhibits.Spec(name=name, files=toy_results.files_of(name, toy)), out)
    shown = artifacts.load_json(out / "exhibit.json")
    assert (shown["kind"], shown["caption"]) == ("left-out", f"{REASON}.")
    assert (out / f"{name}.csv").read_text(encoding="utf-8") == f'left_out\n"{REASON}."\n'
    assert (out / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert (out / f"{name}.tex").stat().st_size


def test_its_claims_are_not_attempted_and_the_others_are_judged(toy: Path, toy_stages: Path) -> None:
    def judge(results: Path) -> dict[int, tuple[str, str]]:
        judged = registry.judge(toy_results.files_of("claims", results))
        return {one.claim.number: (one.finding.verdict, one.finding.reason) for one in judged}

    before, after = judge(toy_stages), judge(toy)
    assert {number for number in before if before[number] != after[number]} <= {30, 31}
    assert after[30] == after[31] == ("not attempted", REASON)
    built = board.build(toy_results.files_of("claims", toy))
    assert built.rows[29].text("reason") == REASON


def test_a_reason_given_with_the_settings_needs_no_files(tmp_path: Path) -> None:
    spec = exhibits.Spec(name="table6_pascal2012", files={}, left_out="the images have one class each")
    exhibits.run(spec, tmp_path)
    assert artifacts.load_json(tmp_path / "exhibit.json")["caption"] == "The images have one class each."


def test_an_exhibit_that_finds_nothing_to_show_is_left_out(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(files: object) -> None:
        raise NotMeasured("No set here stands in for Caltech-101.")

    monkeypatch.setattr("zfrepro.exhibits.table4_caltech101.build", nothing)
    files = toy_results.files_of("table4_caltech101", toy)
    exhibits.run(exhibits.Spec(name="table4_caltech101", files=files), tmp_path)
    assert artifacts.load_json(tmp_path / "exhibit.json")["caption"] == "No set here stands in for Caltech-101."


def test_the_reason_of_a_part_reaches_its_claims(tmp_path: Path) -> None:
    artifacts.save_json(tmp_path / "evolution/a/evolution.json", {"not_measured": "no split"})
    artifacts.save_json(tmp_path / "train/a/network.json", {"classes": 2})
    paths = {
        "x/evolution/about": tmp_path / "evolution/a/evolution.json",
        "x/evolution/arrays": tmp_path / "evolution/a/evolution.npz",
        "x/network/a": tmp_path / "train/a/network.json",
    }
    group = measured_files.select(measured_files.leave_out_not_measured(paths), "x")
    assert list(group) == ["network/a"]
    with pytest.raises(NotMeasured, match="no split"):
        group["evolution/arrays"]
    with pytest.raises(KeyError):
        group["evolution/else"]
    assert measured_files.select(group, "evolution").reasons == {"about": "no split", "arrays": "no split"}
