"""Claims 40 to 42 on accuracies that are chosen, and the paper's side against its Table 7."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
from helpers import targets_on_disk as disk
from helpers import toy_transfer

from zfrepro.claims import layers
from zfrepro.claims.base import Finding
from zfrepro.measurements.estimate import NotMeasured

CLAIMS = {claim.number: claim for claim in layers.CLAIMS}
RISING = {1: 40.0, 2: 50.0, 3: 60.0, 4: 65.0, 5: 70.0, 7: 75.0}
NOISY = [60.0, 80.0, 70.0]


def decide(number: int, files: dict[str, Path]) -> Finding:
    return CLAIMS[number].decide(files)


def target(
    folder: Path, name: str = "caltech101", svm: disk.Curve = RISING, softmax: disk.Curve = RISING
) -> dict[str, Path]:
    """Layer -> accuracy with 30 images per class; with 15 layer 7 is at 5 % by either classifier."""
    files = disk.folds(folder, name, (15, 30))
    for classifier, by_layer in (("svm", svm), ("softmax", softmax)):
        for layer, accuracy in by_layer.items():
            files |= disk.measured(folder, name, "pretrained", {30: accuracy}, layer, classifier)
        disk.measured(folder, name, "pretrained", {15: 5.0}, 7, classifier)
    return files


def test_all_three_are_there_in_order() -> None:
    assert list(CLAIMS) == [40, 41, 42]


@pytest.mark.parametrize(
    ("changed", "verdict"), [({}, "reproduced"), ({5: 60.0}, "not reproduced"), ({5: NOISY}, "inconclusive")]
)
def test_every_step_has_to_rise(changed: disk.Curve, verdict: str, tmp_path: Path) -> None:
    files = target(tmp_path) | target(tmp_path, "caltech256", svm={**RISING, **changed})
    finding = decide(40, files)
    assert (finding.verdict, len(finding.parts)) == (verdict, 8)
    assert finding.parts["Caltech-101, layer 1 to 2"].value == pytest.approx(10)
    if changed:
        assert finding.estimate is finding.parts["Caltech-256, layer 4 to 5"]


def test_a_step_that_was_not_measured(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="SVM on layer 3"):
        decide(40, target(tmp_path, svm={k: v for k, v in RISING.items() if k != 3}))


def test_all_layers_against_the_best_below(tmp_path: Path) -> None:
    best = decide(41, target(tmp_path / "a"))
    assert best.verdict == "reproduced"
    assert list(best.parts) == ["Caltech-101, SVM, above layer 5", "Caltech-101, softmax, above layer 5"]
    assert best.reason.endswith("No set here stands in for Caltech-256.")
    beaten = decide(41, target(tmp_path / "b", softmax={**RISING, 2: 80.0}))
    assert (beaten.verdict, beaten.estimate.value) == ("not reproduced", pytest.approx(-5))
    assert "softmax, above layer 2" in beaten.reason
    assert decide(41, target(tmp_path / "c", svm={**RISING, 5: [75.0, 75.0, 74.0]})).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("softmax", "verdict"),
    [(75.5, "reproduced"), (74.0, "reproduced"), (78.0, "not reproduced"), (72.0, "not reproduced"), (NOISY, "inconclusive")],
)  # fmt: skip
def test_the_classifiers_agree(softmax: float, verdict: str, tmp_path: Path) -> None:
    finding = decide(42, target(tmp_path, softmax={**RISING, 7: softmax}))
    assert finding.verdict == verdict


def test_sets_with_splits_of_their_own_have_no_folds(tmp_path: Path) -> None:
    files = target(tmp_path) | disk.folds(tmp_path, "caltech101", (), own_splits=True)
    with pytest.raises(NotMeasured, match="No set in this experiment stands in for Caltech-101 or Caltech-256"):
        decide(40, files)


def test_what_is_read_is_the_network_named_first(tmp_path: Path) -> None:
    settings = toy_transfer.settings()
    config = types.SimpleNamespace(
        folds=settings["folds"],
        features=types.SimpleNamespace(**settings["features"]),
        scratch=types.SimpleNamespace(**settings["scratch"]),
        runs=lambda: {"improved": "train"},
    )
    files = {label: path for label, path in layers.needs(config).items() if not label.startswith("trained/")}
    assert files == {
        f"{name}/{label}": path
        for name in ("caltech101", "caltech256")
        for label, path in (("folds", f"folds/{name}/folds.json"), ("pretrained", f"probes/{name}/improved.json"))
    }
    toy_transfer.write(tmp_path, ["owl", "pony", "oak", "kite"])
    finding = decide(40, {label: tmp_path / path for label, path in files.items()})
    seven = toy_transfer.accuracy("caltech101", "improved", 30)
    assert finding.parts["Caltech-101, layer 1 to 2"].value == pytest.approx((0.55 - 0.4) * seven, abs=0.11)
    config.folds = {"voc2012": {}}
    with pytest.raises(LookupError, match=r"folds\.caltech101"):
        layers.needs(config)


def test_the_papers_side() -> None:
    assert CLAIMS[40].paper == (
        "points per step: +21.4, +6.1, +4.3, +9.6 (Caltech-101); +15.0, +6.4, +5.3, +14.3 (Caltech-256)"
    )
    assert "-0.7 (Caltech-101, SVM), +2.5 (Caltech-101, softmax), +6.1 (Caltech-256, SVM), +6.9" in CLAIMS[41].paper
    assert "86.2 % against 85.5 %" in CLAIMS[41].contradicted
    assert CLAIMS[42].paper == "-0.1 points (Caltech-101), +0.9 points (Caltech-256)"
