"""No claim gives a verdict about a network at chance: all of them are walked."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import toy_results

from zfrepro.claims import registry
from zfrepro.claims.base import AboutNetworks
from zfrepro.claims.registry import JudgedClaim
from zfrepro.storage import artifacts

CONFIG = toy_results.config()
NEVER = {7, 39}  # not attempted in any experiment
FROM_SCRATCH = 37  # about no network of the source
DECIDED = ("reproduced", "reproduced, small", "not reproduced")


@pytest.fixture(scope="module")
def results(toy_stages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which every network is at chance, whose files the tests change."""
    folder = tmp_path_factory.mktemp("chance") / "toy"
    shutil.copytree(toy_stages, folder)
    return folder


def judge(results: Path) -> dict[int, JudgedClaim]:
    judged = registry.judge({label: results / path for label, path in registry.needs(CONFIG).items()})
    return {claim.claim.number: claim for claim in judged}


def guess(results: Path, classes: int, wrong: float) -> None:
    """Every network is wrong about so many percent of 2000 images of these classes, and from scratch about as many."""
    labels = np.arange(2000) % classes
    predicted = np.where(np.arange(2000) < 20 * wrong, labels + 1, labels) % classes
    probabilities = np.full((2000, classes), 0.5 / classes, np.float32)
    probabilities[np.arange(2000), predicted] += 0.5
    for name in toy_results.RUNS:
        views = {f"probabilities_{count}": probabilities for count in (1, 10)}
        artifacts.save_arrays(results / f"evaluate/{name}/scores.npz", labels=labels, **views)
    for path in results.glob("scratch/*.json"):
        record, target = artifacts.load_json(path), artifacts.load_json(results / f"folds/{path.stem}/folds.json")
        for accuracy in record["accuracies"]:
            accuracy["folds"] = [100 / len(target["classes"])] * len(accuracy["folds"])
        artifacts.save_json(path, record)


def test_every_claim_names_its_networks() -> None:
    claims = [claim for group in registry.GROUPS.values() for claim in group.module.CLAIMS]
    asked = {claim.number for claim in claims if isinstance(claim.decide, AboutNetworks)}
    assert asked == set(range(1, registry.COUNT + 1)) - NEVER - {FROM_SCRATCH}


def test_better_networks_get_verdicts(toy_stages: Path) -> None:
    """So that the test below can fail; by groups, as the toy's numbers decide some claims of each."""
    decided = [claim for claim in judge(toy_stages).values() if claim.finding.verdict in DECIDED]
    assert len(decided) > 8
    assert {claim.group for claim in decided} >= {"imagenet", "occlusion", "transfer"}


@pytest.mark.parametrize(("classes", "wrong"), [(1000, 99.9), (2, 50.0)])
def test_no_claim_is_decided_at_chance(classes: int, wrong: float, results: Path) -> None:
    guess(results, classes, wrong)
    judged = judge(results)
    assert len(judged) == registry.COUNT
    for number, claim in judged.items():
        assert claim.finding.verdict not in DECIDED, (number, claim.finding)
        if number not in NEVER | {1, FROM_SCRATCH} and "leaves out" not in claim.finding.reason:
            assert "is not better than chance" in claim.finding.reason or "does not train" in claim.finding.reason, (
                number
            )
    assert "its accuracy is not better than chance (" in judged[FROM_SCRATCH].finding.reason
    assert judged[24].finding.reason.startswith(
        f"A network decides nothing before it is better than chance: improved is not better than chance: top-1 error {wrong} % ["
    )
