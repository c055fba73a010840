"""The paper's experiment with full-size networks, 1,000 classes and inputs of 224 pixels, on few images, to its report.

Half an hour on two cores: `make test-full-size` alone runs it. With ZFREPRO_FULL_SIZE_DIR=FOLDER it keeps its results there and
resumes: what is computed stays.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from helpers import full_size, official_trees, peak_memory, whole_validation
from helpers.workspace import ROOT

from zfrepro.datasets import caltech101, caltech256, imagenet, voc2012
from zfrepro.experiment import loading
from zfrepro.experiment.config import Config
from zfrepro.graph import STAGES, Job, out_of
from zfrepro.report import times
from zfrepro.storage import artifacts

LIMIT = 8 * 2**30  # bytes that a job may take
LARGEST_PAGE = 40_000_000  # bytes of the report, as page or as PDF
RESULTS = Path("results/full-size")
PAPER = yaml.safe_load(full_size.PAPER.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def config() -> Config:
    return loading.parse(full_size.experiment(), "full-size")


def test_every_stage_and_every_exhibit_of_the_paper_is_there(config: Config) -> None:
    assert {job[0] for job in config.graph.jobs()} == set(STAGES)
    assert set(PAPER["report"]["exhibits"]) <= set(config.report.exhibits)
    assert config.left_out == {}


def test_every_network_of_the_paper_is_there_at_its_size(config: Config) -> None:
    paper = loading.parse(PAPER, "paper.yaml")
    specs = [[run_of.training(run) for run in run_of.runs()] for run_of in (paper, config)]
    networks = [{(spec.network.model_dump_json(), spec.filter_rms) for spec in some} for some in specs]
    assert networks[0] == networks[1]
    assert {(spec.width, spec.input_size, spec.epochs) for spec in specs[1]} == {(1.0, 224, 1)}
    assert {spec.size for spec in config.prepare.values()} == {256}


def test_the_readers_find_the_images_that_are_written(tmp_path: Path) -> None:
    names = ["tench", "great white shark", "crane", "crane"]
    official_trees.write_imagenet(tmp_path / "imagenet", 2, 1, names)
    official_trees.write_caltech101(tmp_path, 3, names[:3])
    official_trees.write_caltech256(tmp_path, 3, names)
    official_trees.write_voc2012(tmp_path, 20)
    listings = {
        reader: reader.listing(reader.Spec(root=tmp_path / folder))
        for reader, folder in ((imagenet, "imagenet"), (caltech101, ""), (caltech256, ""), (voc2012, ""))
    }
    counts = {reader: [len(items) for items in listing.splits.values()] for reader, listing in listings.items()}
    assert counts == {imagenet: [8, 4], caltech101: [9], caltech256: [12], voc2012: [20, 20]}
    assert listings[imagenet].classes[:3] == ["tench", "great white shark", "crane (n01442790)"]
    assert {label for item in listings[voc2012].splits["val"] for label in item.positive} == set(range(20))


def test_the_memory_of_a_job_is_recorded_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process under the name of a job that has held 100 MB for a moment; the file keeps what it knew of another job."""
    monkeypatch.setattr(peak_memory, "EVERY", 0.05)
    (tmp_path / "zfrepro.py").write_text("import time; b'1' * 100_000_000; time.sleep(0.5)")
    (tmp_path / "peaks.json").write_text('{"results/x/other": 7}')
    command = [sys.executable, "-m", "zfrepro", "train", "--out", "results/x/train/run"]
    shell = subprocess.Popen(["bash", "-c", f"{shlex.join(command)}; true"], cwd=tmp_path)
    with peak_memory.recorded(shell.pid, tmp_path / "peaks.json"):
        assert shell.wait() == 0
    peaks = peak_memory.read(tmp_path / "peaks.json")
    assert peaks.pop("results/x/other") == 7
    assert list(peaks) == ["results/x/train/run"]
    assert 100_000_000 < peaks["results/x/train/run"] < 200_000_000


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Holds data/ and results/: those of an earlier run where a folder is named, else nothing, and all is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="zfrepro-full-size-") as temporary:
        place = Path(os.environ.get("ZFREPRO_FULL_SIZE_DIR") or temporary).absolute()
        place.mkdir(parents=True, exist_ok=True)
        full_size.write_data(place)
        experiment = yaml.safe_dump(full_size.experiment(), sort_keys=False)
        (place / "experiment.yaml").write_text(experiment, encoding="utf-8")
        yield place


@pytest.fixture(scope="module")
def results(folder: Path) -> Path:
    """Of the whole run."""
    call(folder, "run", "--config", "experiment.yaml", "--device", "cpu")
    return folder / RESULTS


def call(folder: Path, *arguments: str, store: str = "") -> str:
    """`python -m zfrepro ...` in the folder, which must succeed; its output. The memory of its jobs is added to folder/peaks.json."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ZFREPRO_STORE": store}
    log = folder / f"{arguments[0]}.log"
    with open(log, "wb") as file:
        command = [sys.executable, "-m", "zfrepro", *arguments]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
        with peak_memory.recorded(process.pid, folder / "peaks.json"):
            code = process.wait()
    output = log.read_text(encoding="utf-8")
    assert code == 0, f"{log}:\n{output[-3000:]}"
    return output


@pytest.mark.slow
def test_the_report_is_whole(results: Path, config: Config) -> None:
    page, pdf = results / "report/index.html", results / "report/report.pdf"
    assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert pdf.read_bytes()[:5] == b"%PDF-"
    assert page.stat().st_size < LARGEST_PAGE
    assert pdf.stat().st_size < LARGEST_PAGE
    kinds = {
        name: artifacts.load_json(results / f"exhibits/{name}/exhibit.json")["kind"] for name in config.report.exhibits
    }
    assert "left-out" not in kinds.values(), kinds


@pytest.mark.slow
def test_networks_and_sets_are_those_of_the_paper(results: Path, config: Config) -> None:
    classes = {
        name: len(artifacts.load_json(results / f"prepare/{name}/manifest.json")["classes"]) for name in config.prepare
    }
    assert classes == {"source": 1000, "caltech101": 101, "caltech256": 256, "voc2012": 20}
    for run, stage in config.runs().items():
        network = artifacts.load_json(results / f"{stage}/{run}/network.json")
        assert network["parameters"] == network["full_size"]["parameters"]
        assert not network["diverged"]


@pytest.mark.slow
def test_nothing_is_left_to_do(results: Path, folder: Path) -> None:
    assert "nothing to do" in call(folder, "run", "--config", "experiment.yaml", "--device", "cpu")


@pytest.mark.slow
def test_tables_and_claims_on_the_whole_validation_set_fit_into_memory(results: Path, folder: Path) -> None:
    """Every network of paper.yaml, all seeds, with made-up scores of 50,000 images that are far better than chance: claims are judged."""
    place = folder / "whole"
    shutil.rmtree(place, ignore_errors=True)
    config = loading.parse(full_size.experiment(seeds=True), "full-size")
    whole_validation.write(results, place / RESULTS, config.runs())
    for name in ("claims", "table2_imagenet", "table3_ablations"):
        out = RESULTS / "exhibits" / name
        call(place, "exhibits", "--spec", config.slice(("exhibits", name)), "--out", str(out), store="none")
    judged = artifacts.load_json(place / RESULTS / "exhibits/claims/exhibit.json")["data"]["counts"]
    peaks = peak_memory.read(place / "peaks.json")
    shutil.rmtree(place)
    assert sum(judged.values()) - judged["not attempted"] >= 20, judged
    assert all(0 < peak < LIMIT for peak in peaks.values()), peaks


@pytest.mark.slow
def test_no_job_takes_more_memory_than_a_small_machine_has(
    results: Path, folder: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints what each stage took."""
    peaks = {job: peak_memory.read(folder / "peaks.json")[str(RESULTS / out_of(job))] for job in config.graph.jobs()}
    table = "\n".join(lines(results, peaks))
    (folder / "stages.txt").write_text(table + "\n")
    with capsys.disabled():
        print(f"\n{table}")
    assert all(0 < peak < LIMIT for peak in peaks.values()), table


def lines(results: Path, peaks: dict[Job, int]) -> Iterator[str]:
    """A line a stage: its jobs, their seconds, those of the longest, and the memory of the largest."""
    yield f"{'stage':15}{'jobs':>5}{'seconds':>9}{'longest':>9}{'GiB':>7}  largest job"
    for stage in STAGES:
        jobs = [job for job in peaks if job[0] == stage]
        seconds = [_seconds(results, job) for job in jobs]
        largest = max(jobs, key=peaks.__getitem__)
        yield (
            f"{stage:15}{len(jobs):5}{sum(seconds):9.0f}{max(seconds):9.0f}{peaks[largest] / 2**30:7.2f}  {' '.join(largest[1:])}"
        ).rstrip()


def _seconds(results: Path, job: Job) -> float:
    """Of computing; a report does not count itself."""
    if job == ("report",):
        return times.read_benchmark(results / "benchmarks/report.tsv")[0]
    return (times.read_cost(results, job) or (0.0, 0.0))[0]
