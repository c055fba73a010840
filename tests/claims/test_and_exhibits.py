"""One number in one version: what a claim of 1 to 42 shows is what its exhibit shows, value and interval."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import toy_results

from zfrepro.claims import registry
from zfrepro.claims.registry import JudgedClaim
from zfrepro.exhibits import (
    fig5_invariance,
    occlusion_score,
    table1_correspondence,
    table2_imagenet,
    table3_ablations,
    table4_caltech101,
    table5_caltech256,
)
from zfrepro.exhibits.kit import saving
from zfrepro.exhibits.kit.base import Exhibit
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.measurements.estimate import Estimate

CONFIG = toy_results.config()


@pytest.fixture(scope="module")
def results(toy_stages: Path) -> Path:
    return toy_stages


@pytest.fixture(scope="module")
def judged(results: Path) -> dict[int, JudgedClaim]:
    claims = registry.judge({label: results / path for label, path in registry.needs(CONFIG).items()})
    return {claim.claim.number: claim for claim in claims}


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers alone are compared here."""
    monkeypatch.setattr(saving, "save", lambda *drawn: saving.Drawing(b""))


def built(exhibit, results: Path) -> Exhibit:
    return exhibit.build({label: results / path for label, path in exhibit.needs(CONFIG).items()})


def shown(number: Number) -> tuple[float | None, ...]:
    return number.value, number.low, number.high


def ends_of(estimate: Estimate, sign: int = 1) -> tuple[float | None, ...]:
    if not estimate.has_interval:
        return sign * estimate.value, None, None
    low, high = sorted((sign * estimate.low, sign * estimate.high))
    return sign * estimate.value, low, high


def test_occlusion_scores(results: Path, judged: dict[int, JudgedClaim]) -> None:
    rows = {row.label: row["value"] for row in built(occlusion_score, results).rows}
    parts = {number: judged[number].finding.parts for number in (27, 28, 29)}
    pairs = [
        ("The same, below its mean (% of images)", judged[22].finding.estimate),
        (occlusion_score.LOWER, parts[27]["centre of the square on the object"]),
        ("Lower where the square touches the box at all (% of images)", parts[27]["square touches the object"]),
        ("These minima more than 14 pixels apart (% of images with both clear)", parts[28]["apart"]),
        ("Positions that change the label, on the object minus elsewhere (points)", parts[29]["changed on the object"]),
    ]
    for label, estimate in pairs:
        assert shown(rows[label]) == pytest.approx(ends_of(estimate)), label
    confident = rows["The same, half of the images with the highest P(true class) (%)"].texts()
    assert (
        f"{confident['text']} % [{confident['low']}, {confident['high']}] of the positions" in judged[29].finding.reason
    )
    mean = rows["Strongest map where the square covers its projection, over its mean"].texts()["text"]
    assert f"{mean} times that over all positions" in judged[22].finding.reason


def test_invariance(results: Path, judged: dict[int, JudgedClaim]) -> None:
    rows = built(fig5_invariance, results).rows
    steps, fits = ([row for row in rows if row.label.startswith(start)] for start in ("Distance at a", "R²"))
    for name, step, fit in zip(("translation", "scale"), steps, fits, strict=True):
        assert shown(step["difference"]) == pytest.approx(ends_of(judged[23].finding.parts[name], -1))
        assert shown(fit["difference"]) == pytest.approx(
            ends_of(judged[24].finding.parts[f"{name}, layer 7 minus layer 1"])
        )
        assert f"{fit.text('layer7')} and {fit.text('layer1')} ({name})" in judged[24].finding.reason


@pytest.mark.parametrize(
    ("number", "row"),
    [
        (2, "1 convnet as per Fig. 3"),
        (4, "5 convnets as per Fig. 3 - (a)"),
        (5, "1 convnet as per Fig. 3 but with layers 3,4,5: 512,1024,512 maps - (b)"),
        (6, "6 convnets, (a) & (b) combined"),
    ],
)
def test_what_networks_and_ensembles_improve(
    results: Path, judged: dict[int, JudgedClaim], number: int, row: str
) -> None:
    rows = {line.label: line.number("val_top1_effect_ours") for line in built(table2_imagenet, results).rows}
    assert shown(rows[row]) == ends_of(judged[number].finding.estimate, -1)


def test_what_removing_layers_adds(results: Path, judged: dict[int, JudgedClaim]) -> None:
    rows = {row.label: row.number("val_top1_effect_ours") for row in built(table3_ablations, results).rows}
    pairs = [
        ("Removed layers 6,7", judged[8].finding.parts["rise without 6, 7, top-1"]),
        ("Removed layers 3,4", judged[10].finding.parts["rise without 3, 4, top-1"]),
        ("Removed layer 3,4,6,7", judged[10].finding.parts["rise without 3, 4, 6, 7, top-1"]),
    ]
    for label, estimate in pairs:
        assert shown(rows[label]) == ends_of(estimate), label


@pytest.mark.parametrize(
    ("number", "exhibit", "part"), [(32, table4_caltech101, "30 per class"), (33, table5_caltech256, "60 per class")]
)
def test_gains_of_pretraining(results: Path, judged: dict[int, JudgedClaim], number: int, exhibit, part: str) -> None:
    gain, table = judged[number].finding.parts[part], built(exhibit, results)
    assert table.highlights[0].ours == f"{gain.value:+.1f}"
    assert shown(table.rows[1].number(f"acc{part.split()[0]}_ours")) == ends_of(gain)


def test_parts_against_random(results: Path, judged: dict[int, JudgedClaim]) -> None:
    rows = {
        row.label: row for row in built(table1_correspondence, results).rows
    }  # of the larger sample, which comes last
    for part, estimate in judged[30].finding.parts.items():
        assert shown(rows[part.title()].number("layer5_effect_ours")) == ends_of(estimate)


def test_gains_over_hand_crafted_features(results: Path, judged: dict[int, JudgedClaim]) -> None:
    for name, exhibit, key in (
        ("Caltech-101", table4_caltech101, "acc30_ours"),
        ("Caltech-256", table5_caltech256, "acc60_ours"),
    ):
        row = next(row for row in built(exhibit, results).rows if row.label.startswith("over HOG"))
        assert shown(row.number(key)) == ends_of(judged[34].finding.parts[name])
