"""The scoreboard: all 42 claims, in order, whatever the experiment leaves out; its CSV, its data and its picture."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import toy_results
from PIL import Image

from zfrepro.claims import registry
from zfrepro.claims.base import VERDICTS, Claim, Effect, Finding
from zfrepro.exhibits import claims
from zfrepro.exhibits.kit.base import Table
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.storage.source_code import Package

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def toy(toy_stages: Path) -> Table:
    return claims.build({label: toy_stages / path for label, path in claims.needs(toy_results.config()).items()})


def test_all_claims_are_there_in_order() -> None:
    statements = [claim for group in registry.GROUPS.values() for claim in group.module.CLAIMS]
    assert [claim.number for claim in statements] == list(range(1, registry.COUNT + 1))
    assert all(claim.statement.endswith(".") and claim.where and claim.quantity for claim in statements)
    assert len({claim.statement for claim in statements}) == registry.COUNT


def test_every_claim_has_a_verdict_a_reason_and_a_place_in_the_report(toy: Table) -> None:
    records = toy.data["claims"]
    assert [record["number"] for record in records] == list(range(1, 43))
    assert {record["verdict"] for record in records} <= set(VERDICTS)
    assert all(record["reason"].endswith(".") for record in records)
    assert all((record["estimate"] == "") == (record["verdict"] == "not attempted") for record in records)
    assert sum(toy.data["counts"].values()) == 42
    assert all((ROOT / f"zfrepro/exhibits/{record['link']}.py").is_file() for record in records)
    assert json.loads(json.dumps(dict(toy.data))) == toy.data
    assert all(len(record["parts"]) != 1 for record in records)


def test_the_notes_state_both_errors_and_what_decides_nothing(toy: Table) -> None:
    notes = " ".join(toy.notes)
    for text in (
        "Wrongly reproduced: at most 2.5 %",
        "Wrongly not reproduced: at most 2.5 %",
        "Better than chance:",
        "two degrees of freedom",
    ):
        assert text in notes


def test_a_network_that_was_trained_once_is_noted(toy: Table) -> None:
    remarks = {record["number"]: record["remark"] for record in toy.data["claims"]}
    assert remarks[2].startswith("Trained once: the baseline. ")
    assert remarks[4] == ""
    lines = list(csv.DictReader(io.StringIO(toy.csv())))
    assert {int(line["id"]): line["remark"] for line in lines} == remarks


def test_the_csv_has_the_columns_that_readers_expect(toy: Table) -> None:
    lines = list(csv.DictReader(io.StringIO(toy.csv())))
    wanted = ["id", "source", "claim", "quantity", "value", "low", "high", "n", "verdict", "reason"]
    assert [key for key in lines[0] if key in wanted] == wanted
    assert [int(line["id"]) for line in lines] == list(range(1, 43))
    for line, claim in zip(lines, toy.data["claims"], strict=True):
        assert (line["claim"], line["verdict"]) == (claim["says"], claim["verdict"])
        assert bool(line["value"]) == (claim["value"] is not None)
        assert bool(line["low"]) == bool(line["high"]) == (claim["low"] is not None)
        if line["low"]:
            assert float(line["low"]) <= float(line["value"]) <= float(line["high"])


def test_the_picture_distinguishes_verdicts_without_colour(toy: Table) -> None:
    shown = np.asarray(Image.open(io.BytesIO(toy.png)).convert("RGB"))
    counts = toy.data["counts"]
    grounds = {
        verdict: tuple(int(look[0][i : i + 2], 16) for i in (1, 3, 5)) for verdict, look in claims.STYLES.items()
    }
    pixels = {verdict: int((shown == ground).all(axis=2).sum()) for verdict, ground in grounds.items()}
    assert len({look[1] for look in claims.STYLES.values()}) == len(VERDICTS)
    assert tuple(claims.STYLES) == VERDICTS
    present = [verdict for verdict in VERDICTS if counts[verdict]]
    assert len(present) > 1
    area = [pixels[verdict] / (counts[verdict] + 0.29) for verdict in present]  # the legend's square is smaller
    assert max(area) < 1.2 * min(area)
    for verdict in present:
        assert f"{verdict}: " in toy.alt


def test_what_the_experiment_leaves_out_is_named() -> None:
    files = claims.needs(SimpleNamespace(**dict.fromkeys(("deconvnet", "evolution", "occlusion", "invariance", "correspondence")),
                                         folds={}, runs=dict))  # fmt: skip
    assert {label.partition("/")[0] for label in files} <= {"imagenet", "ablation"}
    findings = {judged.claim.number: judged.finding for judged in registry.judge({})}
    assert [number for number, finding in findings.items() if finding.verdict != "not attempted"] == []
    assert "`invariance`" in findings[24].reason
    assert "`evolution`" in findings[21].reason
    built = claims.build({})
    assert len(built.rows) == 42
    assert built.data["counts"]["not attempted"] == 42


def one_group(monkeypatch: pytest.MonkeyPatch, decide) -> registry.JudgedClaim:
    claim = Claim(7, "It holds.", "Table 2", "Something, above 0", "", decide)
    module = SimpleNamespace(CLAIMS=(claim,), needs=lambda config: {"a/b": "x"})
    monkeypatch.setattr(registry, "GROUPS", {"some": registry.Group(module, "Some", "`train`")})
    assert registry.needs(None) == {"some/a/b": "x"}
    return registry.judge({"some/a/b": Path("x"), "other/a/b": Path("y")})[0]


def test_a_group_gets_its_own_files_and_a_reason_becomes_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(files):
        assert files == {"a/b": Path("x")}
        return Finding("reproduced", "Yes.", Estimate(1, 0.5, 1.5, 3, "folds"))

    def refuse(files):
        raise NotMeasured("Nothing to see.")

    assert one_group(monkeypatch, attempt).finding.verdict == "reproduced"
    assert one_group(monkeypatch, refuse).finding == Finding("not attempted", "Nothing to see.")


def test_numbers_are_shown_with_their_own_digits() -> None:
    shown = claims._numbers(Estimate(0.123, 0.1, None, 5, "maps", 2))
    assert [getattr(cell, "texts", lambda cell=cell: cell)() for cell in shown] == [
        {"text": "0.12"}, {"text": "0.10"}, None, "", {"text": "5"}, "maps",
    ]  # fmt: skip
    assert claims._numbers(None) == (None,) * 6
    assert claims._effect(None) == (None,) * 3
    size = claims._effect(Effect(0.5, 2.06, "the paper's", "points"))
    assert [number.texts() for number in size[:2]] == [{"text": "0.5"}, {"text": "2.1"}]
    assert size[2] == "the paper's"


def test_only_the_papers_numbers_count_against_a_claim() -> None:
    """A mere remark does not: the text of claim 34 names the wrong rival, Table 4 bears its sentence out."""
    marked = {claim.number for group in registry.GROUPS.values() for claim in group.module.CLAIMS if claim.contradicted}
    noted = {
        claim.number: claim.remark
        for group in registry.GROUPS.values()
        for claim in group.module.CLAIMS
        if claim.remark
    }
    assert 34 not in marked
    assert "Bo et al." in noted[34]


def test_claims_import_no_stage_and_no_torch_and_their_digest_holds_every_group() -> None:
    modules = Package().closure("exhibits.claims")
    assert not {name for name in modules if name.startswith(("stages", "commands", "experiment"))}
    assert {name for name in modules if name.startswith("core.")} <= {
        "core.ranking",
        "core.finite",
        "core.student",
    }  # without torch
    assert "exhibits.kit.draw" not in modules  # changing a colour there must not judge claims again
    assert {f"claims.{name}" for name in registry.GROUPS} <= modules
    program = "import sys, zfrepro.exhibits.claims; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
