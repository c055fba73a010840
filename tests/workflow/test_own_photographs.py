"""README's recipe for one's own photographs, from a folder of images to the report, on networks as small as they go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import photographs, without_fonts
from helpers.workspace import ROOT, Workspace

from zfrepro.running import manager

pytestmark = pytest.mark.workflow

EXHIBITS = ["claims", "table1_correspondence", "table6_pascal2012", "fig4_evolution", "fig5_invariance", "fig7_occlusion",
            "occlusion_score"]  # fmt: skip


def _experiment(root: Path) -> str:
    """The smoke test's file with the changes of the recipe, and few networks and exhibits."""
    content = yaml.safe_load((ROOT / "tests/smoke.yaml").read_text(encoding="utf-8"))
    content["prepare"] = {
        "source": {"dataset": "imagefolder", "size": 72, "options": {"root": str(root)}},
        "voc2012": {"dataset": "imagefolder", "size": 72, "options": {"root": str(root / "train")}},
    }
    content["train"]["runs"] = {"baseline": {"base": "baseline"}, "improved": {"base": "improved"}}
    content["ablate"] = {"runs": {}}
    content["invariance"] |= {"symmetric": ["clock", "flower"]}
    content["correspondence"] |= {"classes": ["dog"]}
    content["folds"] = {"voc2012": {"per_class": [2]}}
    content["features"], content["scratch"] = {"runs": ["improved"]}, {}
    del content["evolution"], content["deconvnet"]
    content["report"] = {"exhibits": EXHIBITS}
    return yaml.safe_dump(content, sort_keys=False)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("photographs")
    root = photographs.write(folder / "pictures")
    (root / "train/sky/notes.txt").write_text("not an image", encoding="utf-8")
    (folder / "work").mkdir()
    return Workspace(folder / "work", _experiment(root))


@pytest.fixture(scope="module")
def output(workspace: Workspace) -> str:
    return workspace.run()


@pytest.fixture
def report(workspace: Workspace, output: str) -> Path:
    return workspace.folder / "results/smoke/report"


def test_the_run_names_first_what_it_leaves_out(output: str) -> None:
    first = output.partition("prepare source")[0].splitlines()
    assert [line.partition(":")[2].partition(":")[0].strip() for line in first if line.startswith("left out:")] == [
        "table1_correspondence", "table6_pascal2012", "fig4_evolution", "invariance.symmetric",
    ]  # fmt: skip
    assert any("the data set `imagefolder` has no positions of eyes and noses" in line for line in first)


def test_the_report_is_whole_and_says_what_is_left_out(report: Path) -> None:
    page = (report / "index.html").read_text(encoding="utf-8")
    assert (report / "report.pdf").read_bytes()[:5] == b"%PDF-"
    assert page.count("<b>Left out:</b>") == 4
    assert "has no positions of eyes and noses" in page
    assert "have one class each" in page
    assert "the section <code>evolution</code>" in page
    assert "0 have a known box of the object" in page
    assert {path.stem for path in (report / "figures").glob("*.png")} == set(EXHIBITS)


def test_nothing_is_computed_for_what_is_left_out(report: Path) -> None:
    results = report.parent
    assert not (results / "correspondence").exists()
    assert not (results / "folds").exists()
    assert not (results / "evolution").exists()


def test_claims_about_it_are_not_attempted(report: Path) -> None:
    claims = {claim["number"]: claim for claim in json.loads((report / "summary.json").read_bytes())["claims"]}
    assert {claims[number]["verdict"] for number in (21, 30, 31)} == {"not attempted"}


def test_a_crash_of_the_pdf_keeps_the_page_and_is_a_failure(workspace: Workspace, report: Path) -> None:
    """Plain snakemake, which does not check the fonts first."""
    shutil.rmtree(report)
    command = manager.snakemake_command(Path("experiment.yaml"), "--cores", "2", "results/smoke/report/index.html")
    command[command.index("--snakefile") + 1] = "Snakefile"
    environment = without_fonts.environment(workspace.folder) | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    }
    done = subprocess.run(
        command, cwd=workspace.folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode != 0
    assert "apt-get install fonts-dejavu-core" in done.stdout + done.stderr
    assert "<b>Left out:</b>" in (report / "index.html").read_text(encoding="utf-8")
    assert not (report / "report.pdf").exists()
    lines = workspace.run().splitlines()
    assert [line.split()[2] for line in lines if "/1  " in line] == ["report"]  # the same command makes the rest
    assert (report / "report.pdf").exists()
