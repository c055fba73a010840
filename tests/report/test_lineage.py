"""What an exhibit rests on: the same jobs as in Snakemake's own plan, their code, settings, data, seeds and time."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zfrepro.experiment import loading
from zfrepro.graph import Graph, Job
from zfrepro.report import lineage, provenance, times
from zfrepro.running import experiment_files
from zfrepro.storage import artifacts, code_digest, workflow_files

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "tests/smoke.yaml"
CONFIG = {
    "experiment": "toy",
    "prepare": {name: {"dataset": "scenes", "size": 64} for name in ("source", "caltech101", "voc2012")},
    "train": {"recipe": {"epochs": 6}, "runs": {"baseline": {"base": "baseline"}, "improved": {"base": "improved"}}},
    "ablate": {"runs": {"wide": {"maps": [512, 1024, 512]}, "thin": {"units": 2048}}},
    "evaluate": {"views": [1, 10]},
    "occlusion": {"square": 18, "runs": ["baseline", "improved"]},
    "deconvnet": None,
    "folds": {"caltech101": {"folds": 5}, "voc2012": {}},
    "features": {"layers": [1, 7], "runs": ["improved", "baseline"], "baselines": ["random", "hog"]},
    "probes": {"inner": 2},
    "scratch": {"epochs": 16, "run": None, "sets": {"caltech101": [15], "voc2012": [15]}},
}  # fmt: skip


def planned(folder: Path, *arguments: str) -> str:
    """What Snakemake would do in an empty folder."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--directory",
        str(folder),
        "-n",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def lines(output: str, what: str) -> list[list[str]]:
    """The files that each job of a plan names behind `input`, `output` or `benchmark`."""
    blocks = re.split(r"^(?:local)?rule \w+:$", output, flags=re.MULTILINE)[1:]
    matches = [re.search(rf"^    {what}: (.*)$", block, re.MULTILINE) for block in blocks]
    return [match[1].split(", ") if match else [] for match in matches]


@pytest.mark.workflow
def test_the_graph_is_snakemakes(tmp_path: Path) -> None:
    """Its plan of the whole smoke experiment: the same jobs, and of each the same inputs, outputs and name of its benchmark."""
    plan = planned(tmp_path, "--configfile", str(SMOKE))
    benchmarks = [names[0] if names else "" for names in lines(plan, "benchmark")]
    theirs = dict(zip(benchmarks, zip(lines(plan, "input"), lines(plan, "output"), strict=True), strict=True))
    config = loading.load(SMOKE)
    results = config.results()
    jobs = [job for job in config.graph.jobs() if job != ("report",)]
    assert len(jobs) + 2 == len(theirs)  # and the report, and `all`
    for job in jobs:
        inputs, outputs = theirs[str(times.benchmark_path(results, job))]
        assert {str(results / file) for file in config.graph.inputs(job).values()} == set(inputs), job
        assert {str(results / file) for file in config.graph.outputs(job).values()} == set(outputs), job
    inputs, outputs = theirs[str(results / "benchmarks/report.tsv")]
    assert {str(results / file) for file in config.graph.inputs(("report",)).values()} == set(inputs)
    assert {str(results / file) for file in config.graph.outputs(("report",)).values()} <= set(outputs)


@pytest.mark.workflow
def test_the_command_makes_the_exhibit_with_all_that_it_needs(tmp_path: Path) -> None:
    config = loading.load(SMOKE)
    command = lineage.command("table7_layers", "smoke")
    *words, force, target = shlex.split(command)
    assert (words, force) == ([".venv/bin/zfrepro", "run", "--config", "FILE"], "--force")
    output = planned(tmp_path, "--configfile", str(SMOKE), force, target)
    files = [str(path.relative_to(config.results())) for path in config.needs("table7_layers").values()]
    count = len(config.graph.before(files))
    outputs = lines(output, "output")
    assert len(outputs) == count + 1
    assert ["results/smoke/exhibits/table7_layers/exhibit.json" in files for files in outputs].count(True) == 1


def test_the_experiments_own_file_is_named_where_it_is_known() -> None:
    for path in (ROOT / "config.yaml", *(ROOT / "workflow/experiments").glob("*.yaml")):
        name = loading.load(path).experiment
        words = lineage.command("overlap", name).split()
        assert experiment_files.experiment_file(words[words.index("--config") + 1]) == path
    assert " --config FILE " in lineage.command("overlap", "mine")


def test_an_installed_package_is_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow_files, "is_packed", lambda: True)
    assert lineage.command("overlap", "demo") == (
        "zfrepro run --config demo --force results/demo/exhibits/overlap/exhibit.json"
    )


@pytest.mark.parametrize(
    ("path", "job"),
    [
        ("prepare/source/manifest.json", ("prepare", "source")),
        ("train/improved/network.json", ("train", "improved")),
        ("ablate/wide/history.csv", ("ablate", "wide")),
        ("evaluate/wide/scores.npz", ("evaluate", "wide")),
        ("probes/voc2012/hog.json", ("probes", "voc2012", "hog")),
        ("features/voc2012/random/features.json", ("features", "voc2012", "random")),
        ("scratch/caltech101.json", ("scratch", "caltech101")),
        ("train/wide/network.json", None),  # `ablate` trains it
        ("train/../../other/network.json", None),
        ("evaluate/unknown/errors.json", None),
        ("probes/voc2012", None),
        ("/etc/passwd", None),
        ("exhibits/overlap/overlap.csv", None),
        ("", None),
    ],
)
def test_a_file_is_known_by_the_job_that_makes_it(path: str, job: Job | None) -> None:
    assert Graph(CONFIG).job_of(path) == job


def test_upstream_by_hand() -> None:
    assert Graph(CONFIG).before(["probes/caltech101/random.json"]) == (
        ("prepare", "source"),
        ("prepare", "caltech101"),
        ("train", "improved"),  # whose network has the random weights
        ("folds", "caltech101"),
        ("features", "caltech101", "random"),
        ("probes", "caltech101", "random"),
    )
    assert ("train", "improved") not in Graph(CONFIG).before(["probes/caltech101/hog.json"])
    assert Graph(CONFIG).before(["scratch/voc2012.json"]) == (
        ("prepare", "source"),
        ("prepare", "voc2012"),
        ("train", "improved"),  # whose settings are taken
        ("folds", "voc2012"),
        ("scratch", "voc2012"),
    )
    assert Graph(CONFIG).before(["ablate/wide/history.csv"]) == (("prepare", "source"), ("ablate", "wide"))
    assert Graph(CONFIG).before(["README.md"]) == ()


def test_the_settings_are_those_of_the_jobs_and_no_others() -> None:
    files = ["occlusion/improved/occlusion.json", "probes/caltech101/hog.json", "scratch/caltech101.json"]
    assert lineage.settings(Graph(CONFIG).before(files), Graph(CONFIG)) == {
        "prepare": {name: CONFIG["prepare"][name] for name in ("source", "caltech101")},
        "train": {"recipe": {"epochs": 6}, "runs": {"improved": {"base": "improved"}}},
        "occlusion": {"square": 18, "runs": ["improved"]},
        "folds": {"caltech101": {"folds": 5}},
        "features": {"layers": [1, 7], "runs": [], "baselines": ["hog"]},
        "probes": {"inner": 2},
        "scratch": {"epochs": 16, "run": None, "sets": {"caltech101": [15]}},
    }
    variants = lineage.settings(Graph(CONFIG).before(["evaluate/wide/errors.json"]), Graph(CONFIG))
    assert variants["train"] == {"recipe": {"epochs": 6}}
    assert variants["ablate"] == {"runs": {"wide": {"maps": [512, 1024, 512]}}}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """results/toy with one exhibit, made from the errors of two networks."""
    folder = tmp_path / "results/toy"
    files = {f"errors/{run}": f"evaluate/{run}/errors.json" for run in ("improved", "wide")}
    artifacts.save_json(folder / "exhibits/table3_ablations/exhibit.json", {"files": files})
    seconds_of = {
        "prepare/source": 30,
        "train/improved": 60.04,
        "evaluate/improved": 5,
        "evaluate/wide": 5,
        "train/baseline": 99,
    }
    seconds_of["exhibits/table3_ablations"] = 2.5
    for job, seconds in seconds_of.items():
        artifacts.save_text(folder / f"benchmarks/{job}.tsv", f"s\tmax_rss\n{seconds}\t10\n")
    return folder


def lineage_of_table3(results: Path) -> dict[str, Any]:
    networks = {run: {"spec": {"seed": seed}} for run, seed in (("baseline", 0), ("improved", 3), ("wide", 0))}
    manifest = {
        "dataset": "scenes",
        "splits": {"train": [0, 6000], "val": [6000, 7200]},
        "sha256": {"images.npy": "ab" * 32},
    }
    stored = artifacts.load_json(results / "exhibits/table3_ablations/exhibit.json")
    graph = Graph(CONFIG, lambda exhibit: stored.get("files", {}))
    return lineage.build_lineage(
        "table3_ablations", results, graph, networks, {"source": manifest, "voc2012": manifest}
    )


def test_everything_about_an_exhibit(results: Path) -> None:
    record = lineage_of_table3(results)
    assert record["jobs"] == ["prepare/source", "train/improved", "ablate/wide", "evaluate/improved", "evaluate/wide"]
    assert record["seeds"] == {"improved": 3, "wide": 0}
    assert record["seconds"] == {"own": 2.5, "before": 100.0, "measured": 4}
    assert record["data"] == {"source": {"dataset": "scenes", "images": 7200, "sha256": {"images.npy": "ab" * 32}}}
    assert record["digest"] == {
        "exhibits": code_digest.digest("stages.exhibits", "exhibits.table3_ablations"),
        "prepare (scenes)": code_digest.digest("stages.prepare", "datasets.scenes"),
        "train": code_digest.digest("stages.train"),
        "ablate": code_digest.digest("stages.train"),
        "evaluate": code_digest.digest("stages.evaluate"),
    }
    assert record["command"].endswith(" --force results/toy/exhibits/table3_ablations/exhibit.json")


def test_the_summary_is_text(results: Path) -> None:
    record = lineage_of_table3(results)
    summary = dict(record["summary"])
    assert list(summary) == ["Depends on", "Code", "Settings", "Data", "Seeds", "Time", "Command"]
    assert summary["Depends on"] == "prepare (source); train (improved); ablate (wide); evaluate (improved, wide)"
    assert summary["Settings"] == "prepare.source, train.recipe, train.runs (improved), ablate.runs (wide), evaluate"
    assert summary["Data"] == "source: scenes, 7,200 images, sha256 abababababababab"
    assert summary["Seeds"] == "0 (wide); 3 (improved)"
    assert summary["Time"] == "2.5 s, after at least 1 min 40 s for the 5 jobs it depends on, summed"
    assert summary["Code"].startswith(f"exhibits {record['digest']['exhibits']}, prepare (scenes) ")


def test_an_exhibit_that_does_not_tell_what_it_read_has_its_own_job_only(results: Path) -> None:
    artifacts.save_json(results / "exhibits/table3_ablations/exhibit.json", {})
    record = lineage_of_table3(results)
    assert (record["jobs"], record["config"], record["data"]) == ([], {}, {})
    assert [label for label, _ in record["summary"]] == ["Code", "Time", "Command"]
    assert dict(record["summary"])["Time"] == "2.5 s"


def test_the_provenance_holds_it_for_every_exhibit(results: Path) -> None:
    for suffix in ("csv", "tex", "png"):
        artifacts.save_text(results / f"exhibits/table3_ablations/table3_ablations.{suffix}", "a")
    origin = provenance.gather(results, CONFIG, ("table3_ablations",))
    assert list(origin["exhibits"]) == ["table3_ablations"]
    assert origin["exhibits"]["table3_ablations"]["jobs"] == lineage_of_table3(results)["jobs"]
    assert "exhibits/table3_ablations/table3_ablations.tex" in origin["artifacts"]
