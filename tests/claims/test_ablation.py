"""Claims 8 to 16: reproduced by the paper's own errors, and what turns each of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import networks_on_disk as disk

from zfrepro import paper
from zfrepro.claims import ablation
from zfrepro.claims.base import Finding
from zfrepro.measurements.estimate import NotMeasured

CLAIMS = {claim.number: claim for claim in ablation.CLAIMS}
TABLE = paper.table("table3_ablation").set_index("name")
WITHOUT_3_4, WITHOUT_6_7, SHALLOW = "baseline-without-3-4", "baseline-without-6-7", "baseline-without-3-4-6-7"
TOP1, TRAIN = (TABLE[f"{what}_top1_err_pct"].to_dict() for what in ("val", "train"))


def decide(
    number: int, folder: Path, top1: dict[str, float] | None = None, train: dict[str, float] | None = None, without: str = ""
) -> Finding:  # fmt: skip
    """With the paper's top-1 errors (top-5 is half of them), save those that are given."""
    errors = {row: error for row, error in {**TOP1, **(top1 or {})}.items() if row != without}
    return CLAIMS[number].decide(disk.all_rows(folder, errors, {**TRAIN, **(train or {})}))


def test_all_nine_are_there_in_order() -> None:
    assert list(CLAIMS) == [8, 9, 10, 11, 12, 13, 14, 15, 16]


@pytest.mark.parametrize("number", [8, 9, 10, 11, 12, 13, 14, 16])
def test_the_papers_own_errors_bear_it_out(number: int, tmp_path: Path) -> None:
    finding = decide(number, tmp_path)
    assert finding.verdict == "reproduced", finding


@pytest.mark.parametrize(
    ("number", "top1", "train"),
    [
        (8, {WITHOUT_6_7: 55.0}, {}),  # a half of the rise
        (9, {"baseline-without-7": 46.0}, {}),
        (9, {"baseline-without-7": 35.0}, {}),
        (10, {WITHOUT_3_4: 55.0}, {}),
        (11, {SHALLOW: 45.0}, {}),
        (11, {SHALLOW: 29.8}, {}),
        (11, {WITHOUT_3_4: 20.0, WITHOUT_6_7: 20.0, SHALLOW: 30.0}, {}),  # more than both together, and yet no rise
        (12, {WITHOUT_3_4: 75.0}, {}),
        (12, {}, {SHALLOW: 40.0}),  # it overfits
        (13, {"improved-2048": 48.0}, {}),
        (13, {"improved-8192": 28.0}, {}),
        (14, {}, {"improved-8192": 44.0}),
        (14, {}, {"baseline-2048": 30.0}),
        (15, {"improved-wide-8192": 30.0}, {}),
        (15, {"improved-wide-8192": 44.0}, {"improved-wide-8192": 25.0}),
        (16, {WITHOUT_6_7: 35.0}, {}),
        (16, {}, {WITHOUT_6_7: 41.0}),
    ],
)
def test_what_turns_it(number: int, top1: dict[str, float], train: dict[str, float], tmp_path: Path) -> None:
    assert decide(number, tmp_path, top1, train).verdict == "not reproduced"


def test_overfitting_of_the_widest_needs_a_rise_beyond_noise(tmp_path: Path) -> None:
    clear = decide(15, tmp_path)
    assert clear.verdict == "reproduced"  # the images that it gets wrong are the others' and some more
    assert list(clear.parts) == [
        "training error falls", "top-5 error rises", "top-1 error rises",
        "gap, above that of the improved network with 512, 1024, 512 maps",
    ]  # fmt: skip
    assert clear.parts["training error falls"].value == pytest.approx(18.8 - 10)
    assert list(clear.parts.values())[-1].value == pytest.approx((38.3 - 10) - (37.5 - 18.8))
    elsewhere = disk.write(
        tmp_path, "improved-wide-8192", "improved-wide-8192", disk.ranks(38.3, 19.1, start=1000), 10.0
    )
    noisy = CLAIMS[15].decide(disk.all_rows(tmp_path / "rest", {**TOP1}, TRAIN) | elsewhere)
    assert (noisy.verdict, noisy.estimate.value) == ("inconclusive", pytest.approx(0.35, abs=0.03))


def test_hand_worked_quantities(tmp_path: Path) -> None:
    rise, removed = 71.3 - 40.5, 44.8 - 40.5
    eight = decide(8, tmp_path / "8")
    assert list(eight.parts) == [
        "rise without 6, 7, top-5", "rise without 6, 7, top-1", "rise without 3, 4, 6, 7, top-5", "rise without 3, 4, 6, 7, top-1",
    ]  # fmt: skip
    assert eight.parts["rise without 6, 7, top-1"].value == pytest.approx(removed)
    assert eight.parts["rise without 3, 4, 6, 7, top-1"].value == pytest.approx(rise)
    assert (eight.part, eight.estimate) == ("rise without 6, 7, top-5", eight.parts["rise without 6, 7, top-5"])
    assert (
        "25 % of the rise without layers 3, 4, 6, 7 minus this rise is 1.7 points [" in eight.reason
    )  # a half of 7.7 - 4.3
    assert eight.reason.endswith("], which lies above 0.")
    eleven = decide(11, tmp_path / "11").parts
    assert eleven["rise beyond both, top-1"].value == pytest.approx(rise - removed - (45.4 - 40.5))
    assert eleven["rise without 3, 4, 6, 7, top-1"].value == pytest.approx(rise)
    thirteen = decide(13, tmp_path / "13")
    assert thirteen.parts["change, baseline, 2048 units, top-1"].value == pytest.approx(1.2)
    assert thirteen.parts["change, baseline, 8192 units, top-1"].value == pytest.approx(-0.5)
    assert (
        thirteen.part == "change, improved, 2048 units, top-5"
    )  # 1.9 - 0.1 of two seeds, of 3.08: a half of it is left
    assert "10 % of the rise without layers 3, 4, 6, 7 minus the size of this change is 0." in thirteen.reason
    fourteen = decide(14, tmp_path / "14").parts
    assert fourteen["improved, 4096 to 8192"].value == pytest.approx(33.15 - 22)  # seeds: 33.1, 33.15 and 33.2
    twelve = decide(12, tmp_path / "12").parts
    assert twelve["error, above that of the baseline without layers 3, 4"].value == pytest.approx(71.3 - 45.4)
    assert twelve["gap, below the baseline's"].value == pytest.approx((40.5 - 35.1) - (71.3 - 71.1))


@pytest.mark.parametrize("number", [8, 10, 13])
def test_without_a_rise_there_is_no_yardstick(number: int, tmp_path: Path) -> None:
    lowered = decide(number, tmp_path / "lowered", {SHALLOW: 29.8})  # 40.5 - 29.8 = 10.7
    assert lowered.verdict == "inconclusive"
    assert lowered.reason.startswith("Nothing to compare with: removing four layers lowered the error by 10.7 points [")
    assert lowered.estimate == lowered.parts[lowered.part]
    assert lowered.part.startswith(
        "change, " if number == 13 else "rise without 6, 7, " if number == 8 else "rise without 3, 4, t"
    )
    unclear = decide(number, tmp_path / "unclear", {SHALLOW: 40.55})
    assert unclear.verdict == "inconclusive"
    assert "removing four layers raised the error by 0." in unclear.reason
    assert unclear.reason.endswith("], which includes 0.")
    refuted = decide(
        number, tmp_path / "refuted", {WITHOUT_3_4: 75.0, WITHOUT_6_7: 75.0, "baseline-2048": 75.0, SHALLOW: 29.8}
    )
    assert refuted.verdict == "inconclusive"  # whatever the change itself


def test_a_claims_own_number_comes_first(tmp_path: Path) -> None:
    for number, effect in ((8, 4.3), (10, 4.9)):
        finding = decide(number, tmp_path / str(number), {SHALLOW: 29.8})
        assert list(finding.parts.values())[1].value == pytest.approx(effect)
        assert finding.estimate.value == pytest.approx(
            effect
        )  # the margin of top-1 is the smaller one where nothing rises


@pytest.mark.parametrize(
    ("number", "value", "paper"),
    [
        (8, 2.15, 4.3),
        (9, -0.5, -0.5),
        (10, 2.45, 4.0),
        (11, 10.8, 23.7),  # a half of 30.8 - 4.3 - 4.9
        (12, 5.2, 5.2),  # 40.5 - 35.1 less 71.3 - 71.1
        (14, 5.1, 5.1),
        (16, 4.3, 4.3),
    ],
)
def test_the_effect_stands_beside_the_papers(number: int, value: float, paper: float, tmp_path: Path) -> None:
    effect = decide(number, tmp_path).effect
    assert (effect.value, effect.yardstick) == (pytest.approx(value, abs=0.051), pytest.approx(paper))
    assert (effect.relative_to, effect.unit) == ("the paper's", "points")


def test_a_rise_far_below_the_papers_is_small(tmp_path: Path) -> None:
    """Beyond both: 54.7 - 44.8 - 45.4 + 40.5 = 5.0 points; a quarter of the paper's 21.6 is 5.4."""
    finding = decide(11, tmp_path, {SHALLOW: 54.7})
    assert finding.verdict == "reproduced, small"
    assert finding.reason.endswith("The effect is small: less than a quarter of the paper's.")


@pytest.mark.parametrize("number", [9, 11, 12, 14, 15, 16])
def test_networks_that_did_not_converge_refute_nothing(number: int, tmp_path: Path) -> None:
    turned = {
        9: ({"baseline-without-7": 46.0}, {}),
        11: ({SHALLOW: 29.8}, {}),
        12: ({WITHOUT_3_4: 75.0}, {}),
        14: ({}, {"baseline-2048": 30.0}),
        15: ({"improved-wide-8192": 30.0}, {}),
        16: ({WITHOUT_6_7: 35.0}, {}),
    }[number]
    files = disk.all_rows(tmp_path, {**TOP1, **turned[0]}, {**TRAIN, **turned[1]}, falling="baseline")
    finding = CLAIMS[number].decide(files)
    assert finding.verdict == "inconclusive"
    assert finding.reason.startswith("Not converged: the validation top-1 error of 1 of ")
    assert "(baseline: 70.0 % after epoch 2, 50.0 % after epoch 3, noise 3.0 points). The interval" in finding.reason
    assert finding.estimate is not None


def test_a_shallow_network_that_fits_better_shows_it_too(tmp_path: Path) -> None:
    finding = decide(16, tmp_path, {WITHOUT_6_7: 35.0}, {"baseline": 80.0, WITHOUT_6_7: 70.0})  # without all four: 71.1
    assert finding.verdict == "inconclusive"
    assert "(top-1 training error of the baseline 80.0 %, without them 71.1 %)" in finding.reason


def test_claims_that_need_a_diverged_network_are_not_attempted(tmp_path: Path) -> None:
    files = disk.all_rows(tmp_path, TOP1, TRAIN)
    disk.diverge(files, WITHOUT_3_4)
    for number in (10, 11):
        with pytest.raises(
            NotMeasured,
            match=r"baseline-without-3-4 diverged in epoch 3 \(the training loss is NaN\), so the baseline without layers 3, 4 has no "
            r"errors\.",
        ):
            CLAIMS[number].decide(files)
    others = CLAIMS[12].decide(files)
    assert (
        others.verdict,
        others.reason.endswith("Left out: baseline-without-3-4 diverged in epoch 3 (the training loss is NaN)."),
    ) == ("reproduced", True)
    assert WITHOUT_3_4 not in CLAIMS[8].decide(files).reason


def test_a_seed_that_diverged_is_left_out_of_means_and_spreads(tmp_path: Path) -> None:
    files = disk.all_rows(tmp_path, TOP1, TRAIN)
    assert CLAIMS[14].decide(files).parts["improved, 4096 to 8192"].value == pytest.approx(33.15 - 22)
    disk.diverge(files, "again")
    finding = CLAIMS[14].decide(files)
    assert finding.parts["improved, 4096 to 8192"].value == pytest.approx(33.15 - 22)  # of 33.1 and 33.2
    assert (finding.verdict, finding.estimate.low) == ("inconclusive", None)  # two seeds of one network are left
    assert "only one network was trained with a second seed" in finding.reason
    assert finding.reason.endswith("Left out: again diverged in epoch 3 (the training loss is NaN).")
    disk.diverge(files, "between")
    finding = CLAIMS[14].decide(files)
    assert finding.parts["improved, 4096 to 8192"].value == pytest.approx(33.1 - 22)
    assert "no network was trained with a second seed, so nothing shows" in finding.reason


def test_networks_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="does not train the baseline without layer 7"):
        decide(9, tmp_path, without="baseline-without-7")
    for number in (13, 14):
        with pytest.raises(NotMeasured, match="the improved network with 2048 units"):
            decide(number, tmp_path, without="improved-2048")


def test_gaps_need_the_centre_view(tmp_path: Path) -> None:
    from zfrepro.storage import artifacts

    files = disk.all_rows(tmp_path, TOP1, TRAIN)
    for label, path in files.items():
        if label.startswith("errors/"):
            errors = artifacts.load_json(path)
            errors["views"].pop("1")
            artifacts.save_json(path, errors)
    assert CLAIMS[16].decide(files).verdict == "reproduced"
    with pytest.raises(NotMeasured, match="centre view"):
        CLAIMS[15].decide(files)


def test_the_papers_side() -> None:
    assert "without 6, 7: +4.3 points of top-5 error, +4.3 of top-1; without 3, 4, 6, 7: +32.0" in CLAIMS[8].paper
    assert "4.3 points on top of 18.1" in CLAIMS[8].contradicted
    assert CLAIMS[9].paper == "+0.3 points of top-5 error, -0.5 of top-1"
    assert CLAIMS[10].paper.startswith("without 3, 4: +4.0 points of top-5 error, +4.9 of top-1")
    assert CLAIMS[11].paper == "+23.7 points of top-5 error, +21.6 of top-1"
    assert CLAIMS[12].paper == "top-1 error 71.3, the next worst 45.4; gap 0.2, the baseline's 5.4 points"
    for number in ("+0.7 (baseline, 2048", "+0.0 (baseline, 8192", "+1.1 (improved, 2048", "+0.5 (improved, 8192"):
        assert number in CLAIMS[13].paper
    for number in ("5.2 (baseline", "8.3 (baseline", "5.1 (improved", "11.1 (improved"):
        assert number in CLAIMS[14].paper
    assert (
        "training error -8.8 points; +0.9 points of top-5 error, +0.8 of top-1; gap 28.3, the next largest 18.7"
        in CLAIMS[15].paper
    )
    assert CLAIMS[16].paper == "training error -7.7, validation error +4.3 points"
