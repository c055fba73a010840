"""Publishing: complete or not at all, checksums that sha256sum accepts, an RO-Crate of the run, and what CI does with it."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import toy_report

from zfrepro.__main__ import main
from zfrepro.commands import publish
from zfrepro.errors import UserError
from zfrepro.experiment import loading
from zfrepro.site import checksums, crate

ROOT = Path(__file__).parents[2]
ADDED = {"Snakefile", "config.yaml", "ro-crate-metadata.json", "SHA256SUMS"}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """reports/toy, just published."""
    report = toy_report.write(tmp_path / "results/toy/report")
    return publish.publish(report, tmp_path / "reports/toy")


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_copy_is_complete_and_the_site_is_above_it(published: Path, tmp_path: Path) -> None:
    report = tmp_path / "results/toy/report"
    assert names(published) == names(report) | ADDED
    changed = [name for name in names(report) if (published / name).read_bytes() != (report / name).read_bytes()]
    assert sorted(changed) == ["index.html", "summary.json"]
    page = (published / "index.html").read_bytes()
    assert b'<a href="../compare.html">' in page
    assert json.loads((published / "summary.json").read_text())["files"]["index.html"] == len(page)
    assert {path.name for path in published.parent.iterdir()} == {"index.html", "compare.html", "toy"}
    assert "The toy experiment" in (published.parent / "index.html").read_text(encoding="utf-8")
    assert yaml.safe_load((published / "config.yaml").read_text()) == toy_report.provenance()["config"]


def test_publishing_again_replaces_everything(published: Path, tmp_path: Path) -> None:
    report = toy_report.write(tmp_path / "results/toy/report", title="Another title")
    (report / "tables/table2_imagenet.csv").rename(report / "tables/table3.csv")
    (report / ".report.pdf.17.tmp").write_text("half")
    publish.publish(report, published)
    assert names(published) == (names(report) - {".report.pdf.17.tmp"}) | ADDED
    assert "Another title" in (published.parent / "index.html").read_text(encoding="utf-8")
    assert list(checksums.faults(published)) == []


def test_equal_reports_give_equal_bytes(published: Path, tmp_path: Path) -> None:
    before = {name: (published / name).read_bytes() for name in names(published)}
    publish.publish(tmp_path / "results/toy/report", published)
    assert {name: (published / name).read_bytes() for name in names(published)} == before


@pytest.mark.parametrize("missing", publish.NEEDED)
def test_an_unfinished_report_is_not_published(published: Path, tmp_path: Path, missing: str) -> None:
    report = tmp_path / "results/toy/report"
    (report / missing).unlink()
    before = {path: path.read_bytes() for path in published.parent.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=rf"{re.escape(missing)}: does not exist, the report is not finished"):
        publish.publish(report, published)
    assert {path: path.read_bytes() for path in published.parent.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("failing", ["write", "render", "_swap"])
def test_a_failure_keeps_the_published_report(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    home = {"write": crate, "render": publish.pages, "_swap": publish.os}[failing]
    monkeypatch.setattr(home, "replace" if failing == "_swap" else failing, fail)
    report = toy_report.write(tmp_path / "results/toy/report", title="Another title")
    with pytest.raises(OSError, match="No space left"):
        publish.publish(report, published)
    monkeypatch.undo()
    assert list(checksums.faults(published)) == []
    assert "The toy experiment" in (published / "summary.json").read_text()
    publish.publish(report, published)
    assert {path.name for path in published.parent.iterdir()} == {"index.html", "compare.html", "toy"}


def test_an_interrupted_publication_loses_nothing(published: Path, tmp_path: Path) -> None:
    published.rename(published.with_name(".toy.old"))
    report = tmp_path / "results/toy/report"
    (report / "provenance.json").write_text("{}")
    with pytest.raises(UserError, match="made, versions, hardware, config, data, time missing"):
        publish.publish(report, published)
    toy_report.write(report)
    broken = toy_report.write(published.with_name("zeta"), "omega")
    with pytest.raises(UserError, match="belongs to the experiment omega, not to zeta"):
        publish.publish(report, published)
    assert list(checksums.faults(published)) == []
    assert broken.is_dir()


def test_a_report_of_another_experiment_is_refused(tmp_path: Path) -> None:
    report = toy_report.write(tmp_path / "results/toy/report", "other")
    with pytest.raises(UserError, match="belongs to the experiment other, not to toy"):
        publish.publish(report, tmp_path / "reports/toy")
    assert not (tmp_path / "reports").exists()


def test_sha256sum_accepts_the_list(published: Path) -> None:
    command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    assert subprocess.run(command, cwd=published, capture_output=True, check=False).returncode == 0
    listed = {line.split("  ", 1)[1] for line in (published / "SHA256SUMS").read_text().splitlines()}
    assert listed == names(published) - {"SHA256SUMS"}
    (published / "report.pdf").write_text("%PDF-!")
    assert subprocess.run(command, cwd=published, capture_output=True, check=False).returncode == 1


def test_check_names_every_fault(published: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(published.parent.parent)
    main(["publish", "--check"])
    assert capsys.readouterr().out == "reports/toy: 9 files match their checksums\n"
    (published / "report.pdf").write_text("%PDF-!")
    (published / "tables/table2_imagenet.csv").unlink()
    (published / "stray.txt").write_text("x")
    with pytest.raises(SystemExit) as raised:
        main(["publish", "--check"])
    assert raised.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "zfrepro: reports/toy/report.pdf: differs from its checksum",
        "zfrepro: reports/toy/tables/table2_imagenet.csv: missing",
        "zfrepro: reports/toy/stray.txt: is not in SHA256SUMS",
    ]


@pytest.mark.parametrize("content", [None, "", "abc  index.html\n", f"{'0' * 64} index.html\n"])
def test_a_broken_list_is_a_fault(published: Path, content: str | None) -> None:
    (published / "SHA256SUMS").unlink()
    if content is not None:
        (published / "SHA256SUMS").write_text(content)
    (fault,) = checksums.faults(published)
    assert "SHA256SUMS: missing or not a list of checksums" in fault


def test_the_site_lists_the_reports_that_are_left(
    published: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    publish.publish(
        toy_report.write(published.parent.parent / "results/next/report", "next"), published.with_name("next")
    )
    for path in sorted(published.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    published.rmdir()
    monkeypatch.chdir(published.parent.parent)
    main(["publish", "--site"])
    page = Path("reports/index.html").read_text()
    assert ("The next experiment" in page, "The toy experiment" in page) == (True, False)
    assert "site: reports/index.html" in capsys.readouterr().out


def test_a_large_report_is_published_with_a_warning(
    published: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    publish._print_summary(published)
    printed = capsys.readouterr()
    assert (re.search(r"\(0\.0 MB\)", printed.out) is not None, printed.err) == (True, "")
    with open(published / "report.pdf", "wb") as file:
        file.truncate(10_100_000)
    publish._print_summary(published)
    printed = capsys.readouterr()
    assert "(10.1 MB)" in printed.out
    assert "larger than 10 MB" in printed.err


@pytest.fixture
def graph(published: Path) -> dict[str, dict[str, Any]]:
    """@id -> entity of the crate's metadata."""
    stored = json.loads((published / "ro-crate-metadata.json").read_text())
    assert stored["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    return {entity["@id"]: entity for entity in stored["@graph"]}


def ids(value: Any) -> list[str]:
    return [entity["@id"] for entity in (value if isinstance(value, list) else [value])]


def test_the_crate_is_a_workflow_run(graph: dict[str, dict[str, Any]]) -> None:
    root, about = graph["./"], graph["ro-crate-metadata.json"]
    assert "https://w3id.org/ro/crate/1.1" in ids(about["conformsTo"])
    assert {"https://w3id.org/ro/wfrun/process/0.5", "https://w3id.org/ro/wfrun/workflow/0.5"} <= set(
        ids(root["conformsTo"])
    )
    assert root["name"] == "The toy experiment"
    assert root["datePublished"] == "2026-11-24T04:08:18+00:00"
    assert (ids(root["license"]), ids(root["mainEntity"]), ids(root["mentions"])) == (
        ["https://spdx.org/licenses/MIT"], ["Snakefile"], ["#run"],
    )  # fmt: skip
    assert graph[ids(root["citation"])[0]]["name"] == "Visualizing and Understanding Convolutional Networks"
    assert "images of imagenette remain under their owners' terms" in root["description"]
    assert set(graph["Snakefile"]["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert graph["Snakefile"]["version"] == "c0ffee"
    assert [graph[identifier]["version"] for identifier in ids(graph["Snakefile"]["softwareRequirements"])] == [
        "3.11.9",
        "9.27.1",
        "2.13.0",
    ]


def test_the_run_names_its_inputs_and_results(graph: dict[str, dict[str, Any]], published: Path) -> None:
    run = graph["#run"]
    assert (run["@type"], ids(run["instrument"]), run["endTime"]) == (
        "CreateAction",
        ["Snakefile"],
        "2026-11-24T04:08:18+00:00",
    )
    assert "startTime" not in run
    assert "Report made on Abacus, 2 cores, 4.0 GiB memory, Slide rule; the jobs took 250 seconds" in run["description"]
    assert ids(run["object"]) == ["config.yaml", "#data-source"]
    assert graph["#data-source"]["description"] == "100 images of 2 classes, stored at 72 pixels"
    digests = [graph[entity] for entity in ids(graph["#data-source"]["identifier"])]
    assert [entity["value"] for entity in digests] == ["ab" * 32, "cd" * 32]
    assert set(ids(run["result"])) == names(published) - ADDED
    assert graph["config.yaml"]["exampleOfWork"] == graph["Snakefile"]["input"] == {"@id": "#parameter-experiment"}


def test_every_file_has_size_type_and_digest_and_no_entity_is_missing(
    graph: dict[str, dict[str, Any]], published: Path
) -> None:
    kinds = {
        ".html": "text/html",
        ".pdf": "application/pdf",
        ".csv": "text/csv",
        ".png": "image/png",
        ".json": "application/json",
    }
    parts = ids(graph["./"]["hasPart"])
    assert set(parts) == names(published) - {"ro-crate-metadata.json", "SHA256SUMS"}
    for name in parts:
        content = (published / name).read_bytes()
        assert graph[name]["contentSize"] == str(len(content))
        assert graph[name]["sha256"] == hashlib.sha256(content).hexdigest()
        assert graph[name]["encodingFormat"] == kinds.get(Path(name).suffix, graph[name]["encodingFormat"])
    referred = set(re.findall(r'\{"@id": "([^"]+)"\}', json.dumps(list(graph.values()))))
    assert {identifier for identifier in referred if not identifier.startswith("http")} <= set(graph)


def test_drawn_images_need_no_note_on_owners(tmp_path: Path) -> None:
    report = toy_report.write(tmp_path / "results/toy/report")
    provenance = toy_report.provenance(git=None)
    provenance["data"]["source"]["dataset"] = "scenes"
    (report / "provenance.json").write_text(json.dumps(provenance))
    target = publish.publish(report, tmp_path / "reports/toy")
    stored = {entity["@id"]: entity for entity in json.loads((target / "ro-crate-metadata.json").read_text())["@graph"]}
    assert "owners" not in stored["./"]["description"]
    assert "version" not in stored["Snakefile"]


def test_published_settings_can_be_run(tmp_path: Path) -> None:
    config = loading.load(ROOT / "config.yaml")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    assert loading.load(path) == config


def test_the_citation_follows_the_package() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [str(cited[key]) for key in ("title", "version", "license")] == [
        project[key] for key in ("name", "version", "license")
    ]
    assert cited["cff-version"] == "1.2.0"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    (paper,) = cited["references"]
    assert (paper["url"], paper["year"]) == ("https://arxiv.org/abs/1311.2901", 2013)


def test_pages_are_deployed_as_committed() -> None:
    workflow = yaml.load((ROOT / ".github/workflows/pages.yml").read_text(), yaml.BaseLoader)
    assert workflow["permissions"] == {"contents": "read", "pages": "write", "id-token": "write"}
    assert "reports/**" in workflow["on"]["push"]["paths"]
    steps = workflow["jobs"]["deploy"]["steps"]
    used = [step["uses"].partition("@")[0] for step in steps if "uses" in step]
    assert used[-2:] == ["actions/upload-pages-artifact", "actions/deploy-pages"]
    assert next(step["with"]["path"] for step in steps if "upload-pages" in step.get("uses", "")) == "reports"


def test_the_pages_workflow_finds_a_changed_file(published: Path) -> None:
    steps = yaml.safe_load((ROOT / ".github/workflows/pages.yml").read_text())["jobs"]["deploy"]["steps"]
    script = next(step["run"] for step in steps if "run" in step)

    def compared() -> int:
        return subprocess.run(
            ["bash", "-e", "-c", script], cwd=published.parent.parent, capture_output=True, check=False
        ).returncode

    assert compared() == 0
    (published / "index.html").write_text("changed")
    assert compared() != 0


def test_pull_requests_are_tested() -> None:
    workflow = yaml.load((ROOT / ".github/workflows/tests.yml").read_text(), yaml.BaseLoader)
    assert "pull_request" in workflow["on"]
    assert workflow["permissions"] == {"contents": "read"}
    job = workflow["jobs"]["test"]
    commands = " ".join(step.get("run", "") for step in job["steps"])
    assert all(command in commands for command in ("libpango-1.0-0", "make setup", "make ${{ matrix.target }}"))
    runs = {(run["target"], run["python"]) for run in job["strategy"]["matrix"]["include"]}
    tested = {(target, python) for target in ("check", "test-wheel") for python in ("3.11", "3.12", "3.13")}
    assert runs == {("lint", "3.11"), ("test-workflow", "3.11"), *tested}


def test_the_flags_of_the_catalog_exist() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    flag, profile = usage["mandatory-flags"]["flags"].split()
    assert (flag, (ROOT / profile).is_dir()) == ("--workflow-profile", True)
    assert usage["report"] is True


def test_the_rule_graph_names_every_rule() -> None:
    drawn = re.search(r"```mermaid\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    rules = {path.stem for path in (ROOT / "workflow/rules").glob("*.smk")} | {"all"}
    assert set(re.findall(r"[a-z]+", drawn.replace("flowchart LR", ""))) == rules
