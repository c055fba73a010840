"""One place for jobs, files and code: inputs are outputs of other jobs, files lead back to their jobs, stages' own signatures agree.

With Snakemake's own plan it is compared in report/test_lineage.py."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
import yaml
from helpers.workspace import ROOT

from zfrepro import graph
from zfrepro.experiment import loading
from zfrepro.graph import FILE_STAGES, INPUTS, OUTPUTS, STAGES, TRAINING, WILDCARDS, Graph
from zfrepro.storage import prepared_set

EXPERIMENTS = [ROOT / "tests/smoke.yaml", ROOT / "config.yaml", *sorted((ROOT / "workflow/experiments").glob("*.yaml"))]


@pytest.fixture(scope="module", params=EXPERIMENTS, ids=lambda path: path.stem)
def experiment(request):
    return loading.load(request.param)


@pytest.fixture(scope="module")
def smoke():
    return loading.load(ROOT / "tests/smoke.yaml")


def stage_module(stage):
    return importlib.import_module(f"zfrepro.stages.{'train' if stage == 'ablate' else stage}")


def test_every_job_comes_after_those_that_it_reads_from(experiment):
    done = set()
    for job in experiment.graph.jobs():
        makers = {experiment.graph.job_of(file) for file in experiment.graph.inputs(job).values()}
        assert makers <= done, job
        done.add(job)
    assert experiment.graph.jobs()[-1] == ("report",)


def test_every_file_leads_to_its_job_and_no_two_jobs_make_the_same(experiment):
    makers = {}
    for job in experiment.graph.jobs():
        for file in experiment.graph.outputs(job).values():
            assert file not in makers
            makers[file] = job
            assert experiment.graph.job_of(file) == job
    inputs = {file for job in experiment.graph.jobs() for file in experiment.graph.inputs(job).values()}
    assert inputs <= makers.keys()


def test_a_job_s_files_lie_in_what_it_writes(experiment):
    for job in experiment.graph.jobs():
        out = graph.out_of(job)
        files = experiment.graph.outputs(job).values()
        assert (
            all(file == out for file in files)
            if job[0] in FILE_STAGES
            else all(Path(file).parent == Path(out) for file in files)
        )


def test_every_job_has_settings_that_its_stage_accepts(experiment):
    for job in experiment.graph.jobs():
        stage_module(job[0]).Spec.model_validate_json(experiment.slice(job))


@pytest.mark.parametrize("stage", STAGES)
def test_inputs_are_options_of_the_stage(stage):
    """Those that are files; an exhibit's are in its settings, the report looks for its own."""
    options = inspect.signature(stage_module(stage).run, eval_str=False).parameters
    files = {name for name, option in options.items() if "Path" in str(option.annotation)} - {"out"}
    assert set(INPUTS.get(stage, ())) == files - {"results"}


@pytest.mark.parametrize("stage", STAGES)
def test_wildcards_are_those_of_the_rules(stage):
    benchmark = (ROOT / f"workflow/rules/{stage}.smk").read_text().partition("benchmark:\n")[2].splitlines()[0]
    assert set(re.findall(r"\{\{(\w+)\}\}", benchmark)) == set(WILDCARDS[stage])


def test_names_are_complete():
    assert set(WILDCARDS) == set(STAGES)
    assert set(OUTPUTS) == set(STAGES) - set(FILE_STAGES)
    assert set(OUTPUTS["prepare"].values()) == {*prepared_set.FILES, "manifest.json"}
    assert OUTPUTS["train"] is OUTPUTS["ablate"]


def test_inputs_by_hand(smoke):
    inputs = smoke.graph.inputs
    assert inputs(("prepare", "source")) == {}
    assert inputs(("ablate", "improved-wide")) == {"images": "prepare/source/manifest.json"}
    assert inputs(("evaluate", "improved-wide")) == {
        "weights": "ablate/improved-wide/model.safetensors",
        "network": "ablate/improved-wide/network.json",
        "images": "prepare/source/manifest.json",
    }
    assert inputs(("features", "voc2012", "random")) == {
        "images": "prepare/voc2012/manifest.json", "weights": "train/improved/model.safetensors",
    }  # fmt: skip
    assert inputs(("features", "voc2012", "hog")) == {"images": "prepare/voc2012/manifest.json"}
    assert inputs(("scratch", "caltech256")) == {
        "network": "train/improved/network.json", "folds": "folds/caltech256/folds.json", "images": "prepare/caltech256/manifest.json",
    }  # fmt: skip
    assert "folds/caltech101/folds.json" in inputs(("exhibits", "overlap")).values()


def test_the_report_reads_every_exhibit_and_the_networks_behind_them(smoke):
    inputs = smoke.graph.inputs(("report",))
    assert inputs["overlap/picture"] == "exhibits/overlap/overlap.png"
    assert {label for label in inputs if label.startswith("network/")} == {f"network/{run}" for run in smoke.runs()}


def test_code_by_hand(smoke):
    assert smoke.graph.code(("prepare", "source")) == ("stages.prepare", "datasets.scenes")
    assert smoke.graph.code(("ablate", "improved-wide")) == ("stages.train",)
    assert smoke.graph.code(("exhibits", "overlap")) == ("stages.exhibits", "exhibits.overlap")
    assert smoke.graph.code(("probes", "voc2012", "hog")) == ("stages.probes",)


def test_sections_that_are_left_out_have_no_jobs():
    content = yaml.safe_load((ROOT / "tests/smoke.yaml").read_text())
    small = {key: content[key] for key in ("prepare", "train")}
    jobs = Graph({**small, "report": {"exhibits": []}}).jobs()
    assert jobs == (("report",),)
    with_files = Graph(
        {**small, "report": {"exhibits": ["x"]}}, lambda exhibit: {"network": "train/baseline/network.json"}
    )
    assert with_files.jobs() == (("prepare", "source"), ("train", "baseline"), ("exhibits", "x"), ("report",))
    assert TRAINING == ("train", "ablate")


def test_the_stages_that_use_a_gpu_are_those_with_a_device():
    with_device = {stage for stage in STAGES if "device" in inspect.signature(stage_module(stage).run).parameters}
    assert set(graph.GPU_STAGES) == with_device


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (("train", "improved"), True),
        (("features", "caltech101", "improved"), True),
        (("features", "caltech101", "hog"), False),
        (("probes", "caltech101", "hog"), True),
        (("exhibits", "claims"), False),
    ],
)
def test_which_jobs_use_a_gpu(smoke, job, expected):
    assert graph.uses_gpu(job[0], smoke.graph.inputs(job)) == expected
