"""Every fault of an experiment file is one message that names file and key; the settings of jobs are stable and separate."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from zfrepro.errors import UserError
from zfrepro.experiment import loading
from zfrepro.experiment.config import INSPECTIONS

ROOT = Path(__file__).parents[2]
SMOKE = yaml.safe_load((ROOT / "tests/smoke.yaml").read_text())


def changed(path, value):
    """The smoke experiment with one key set; removed if the value is None."""
    content = copy.deepcopy(SMOKE)
    *parents, last = path.split(".")
    section = content
    for key in parents:
        section = section[key]
    if value is None:
        del section[last]
    else:
        section[last] = value
    return content


def message(path, value):
    with pytest.raises(UserError) as caught:
        loading.parse(changed(path, value), "my.yaml")
    return str(caught.value)


@pytest.mark.parametrize("path", sorted((ROOT / "workflow/experiments").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_experiments_of_this_repository_are_valid(path):
    assert loading.load(path).experiment == path.stem


def test_the_default_experiment_trains_every_row_of_table_3():
    from zfrepro.core.architecture import Network
    from zfrepro.paper import VARIANTS

    config = loading.load(ROOT / "config.yaml")
    trained = [config.training(run).network for run in config.runs()]
    assert [row for row, fields in VARIANTS.items() if Network(**fields) not in trained] == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("experiment", "../evil", "my.yaml: experiment: String should match pattern"),
        ("titel", "x", "my.yaml: titel: unknown key"),
        ("title", None, "my.yaml: title: required key is missing"),
        ("prepare.source", None, "my.yaml: prepare: the set `source`"),
        ("prepare.source.sise", 3, "my.yaml: prepare.source.sise: unknown key"),
        ("prepare.source.dataset", "cifar", "my.yaml: prepare.source.dataset: Input should be 'scenes'"),
        ("prepare.source.options.sed", 1, "my.yaml: prepare.source.options.sed: unknown key"),
        ("train.recipe.epochs", "many", "my.yaml: train.recipe.epochs: Input should be a valid integer"),
        ("train.recipe.learning_rat", 0.1, "my.yaml: train.recipe.learning_rat: unknown key"),
        (
            "train.runs.improved.remove",
            [1],
            "my.yaml: train.runs.improved.remove: only layers 3, 4, 5, 6 and 7",
        ),
        (
            "train.runs.improved.input_size",
            40,
            "my.yaml: train.runs.improved.input_size: 40 pixels are not enough: layer",
        ),
        (
            "train.runs.improved.input_size",
            73,
            "my.yaml: train.runs.improved.input_size: 73 pixels exceed the 72",
        ),
        (
            "train.runs.baseline.snapshots",
            [3],
            "my.yaml: train.runs.baseline.snapshots: epoch 3 does not exist; choose",
        ),
        ("ablate.runs.improved", {"base": "improved"}, "ablate.runs: improved is already a name in train.runs"),
        ("train.runs.a b", {"base": "improved"}, "my.yaml: train.runs.a b: a run's name may contain only"),
        ("deconvnet.runs", ["best"], "deconvnet.runs: unknown name 'best'; choose from baseline"),
        ("folds.voc", {}, "folds: unknown name 'voc'; choose from caltech101, caltech256, voc2012"),
        ("folds.source", {}, "folds: unknown name 'source'"),
        ("folds.caltech101.per_class", [0], "my.yaml: folds.caltech101.per_class.0: Input should be greater than 0"),
        (
            "folds.caltech101.overlap_size",
            73,
            "folds.caltech101.overlap_size: 73 pixels exceed the 72 at which images are stored; lower it",
        ),
        ("features.runs", ["best"], "features.runs: unknown name 'best'; choose from baseline"),
        ("features.baselines", ["magic"], "my.yaml: features.baselines.0: Input should be 'random' or 'hog'"),
        ("features.layers", [8], "my.yaml: features.layers.0: Input should be less than or equal to 7"),
        ("scratch.sets", {"voc": [5]}, "scratch.sets: unknown name 'voc'"),
        ("scratch.sets", ["caltech101"], "my.yaml: scratch.sets: Input should be a valid dictionary"),
        ("scratch.sets.caltech101", [], "my.yaml: scratch.sets.caltech101: Tuple should have at least 1 item"),
        ("scratch.run", "best", "scratch.run: unknown name 'best'"),
        ("train.runs.hog", {"base": "improved"}, "train.runs: hog is the name of a baseline of `features`"),
        ("probes.svm", [], "my.yaml: probes.svm: Tuple should have at least 1 item"),
        ("report.exhibits", ["fig99"], "my.yaml: report.exhibits: unknown exhibit 'fig99'; choose from "),
        ("folds.caltech256", None, "scratch.sets: unknown name 'caltech256'"),
        ("folds", None, "scratch.sets: unknown name 'caltech101'"),
        (
            "prepare.caltech101.size",
            48,
            "my.yaml: prepare.caltech101.size: 48 pixels are fewer than the network's input of 64",
        ),
        ("occlusion.square", 65, "my.yaml: occlusion.square: 65 pixels"),
        ("correspondence.square", 65, "my.yaml: correspondence.square: 65 pixels"),
        ("invariance.runs", ["best"], "invariance.runs: unknown name 'best'; choose from baseline"),
        (
            "evolution.runs",
            ["baseline"],
            "my.yaml: evolution.runs: baseline saves no snapshots; set train.runs",
        ),
        (
            "train.runs.improved.snapshots",
            [0],
            "my.yaml: train.runs.improved.snapshots: epoch 0 does not exist; choose",
        ),
    ],
)
def test_a_fault_is_named(path, value, expected):
    assert expected in message(path, value)


def test_all_faults_are_named_at_once():
    content = changed("titel", "x")
    content["evaluate"]["batch"] = 0
    with pytest.raises(UserError) as caught:
        loading.parse(content, "my.yaml")
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a: [", "not valid YAML"), ("- a", "must be a mapping with keys"), ("", "must be a mapping with keys")],
)
def test_a_file_that_is_not_an_experiment_is_refused(tmp_path, text, expected):
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(UserError, match=expected):
        loading.load(tmp_path / "e.yaml")
    with pytest.raises(UserError, match="no-such"):
        loading.load(tmp_path / "no-such.yaml")


def test_a_missing_folder_is_named():
    content = changed("prepare.source", {"dataset": "imagefolder", "size": 72, "options": {"root": "/no/such/place"}})
    config = loading.parse(content, "my.yaml")
    with pytest.raises(
        UserError, match=r"my\.yaml: prepare\.source\.options\.root: folder /no/such/place does not exist"
    ):
        loading.check_folders(config, "my.yaml")


def test_a_missing_annotation_file_is_named():
    content = changed("correspondence.annotations", "no/parts.csv")
    config = loading.parse(content, "my.yaml")
    with pytest.raises(UserError, match=r"my\.yaml: correspondence\.annotations: file no/parts\.csv does not exist"):
        loading.check_folders(config, "my.yaml")


def slices(config):
    jobs = [("train", run) for run in config.train.runs] + [("prepare", name) for name in config.prepare]
    jobs += [("evaluate", "improved"), ("scratch", "caltech101"), ("probes", "caltech101", "improved")]
    jobs += [("folds", name) for name in config.folds]
    jobs += [("features", "caltech101", name) for name in config.features.names]
    jobs += [(stage, "improved") for stage in INSPECTIONS]
    return {job: config.slice(job) for job in jobs}


def test_a_change_of_one_run_changes_only_its_slice():
    before = slices(loading.parse(SMOKE, "a"))
    after = slices(loading.parse(changed("train.runs.improved.epochs", 3), "a"))
    assert [job for job in before if before[job] != after[job]] == [("train", "improved")]


def test_the_source_gets_the_thumbnails_that_targets_are_compared_with():
    def thumbnails(path, value, name="source"):
        return json.loads(loading.parse(changed(path, value), "a").slice(("prepare", name)))["thumbnails"]

    assert thumbnails("folds.caltech101.overlap_size", 20) == [16, 20]
    assert thumbnails("folds.caltech101.seed", 5) == [16]
    assert thumbnails("prepare.source.thumbnails", [12]) == [12, 16]
    assert thumbnails("folds.caltech101.overlap_size", 20, name="caltech101") == []
    content = {key: value for key, value in SMOKE.items() if key not in ("folds", "features", "scratch")}
    assert json.loads(loading.parse(content, "a").slice(("prepare", "source")))["thumbnails"] == []


def test_the_order_of_keys_changes_nothing():
    def backwards(value):
        return {key: backwards(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    first, second = (loading.parse(content, "a") for content in (SMOKE, backwards(SMOKE)))
    assert slices(first) == slices(second)
    assert first.slice(("exhibits", "table3_ablations")) == second.slice(("exhibits", "table3_ablations"))


def test_a_slice_is_a_spec_of_its_stage():
    from zfrepro.stages import occlusion, train

    config = loading.parse(SMOKE, "a")
    assert train.Spec.model_validate_json(config.slice(("train", "improved"))) == config.training("improved")
    assert occlusion.Spec.model_validate_json(config.slice(("occlusion", "improved"))).square == 20
    assert json.loads(config.slice(("report",)))["experiment"] == "smoke"


def test_the_report_depends_on_the_networks_of_its_exhibits():
    def networks(config):
        return {file for label, file in config.graph.inputs(("report",)).items() if label.startswith("network/")}

    full = loading.parse(SMOKE, "my.yaml")
    assert networks(full) == {f"{stage}/{run}/network.json" for run, stage in full.runs().items()}
    assert networks(loading.parse(changed("report.exhibits", ["fig7_occlusion"]), "my.yaml")) == {
        "train/improved/network.json"
    }
    assert networks(loading.parse(changed("report.exhibits", ["overlap"]), "my.yaml")) == set()
