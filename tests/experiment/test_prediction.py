"""What a plan says of the store is what the jobs then do: the keys are theirs."""

import pytest
from helpers import small_experiment

from zfrepro.experiment.prediction import Prediction
from zfrepro.storage import artifacts
from zfrepro.storage.result_store import ResultStore
from zfrepro.storage.source_code import Kept, Package

CONFIG = small_experiment.config()
JOBS = set(small_experiment.jobs(CONFIG))


@pytest.fixture
def store(small_results, monkeypatch):
    monkeypatch.chdir(small_results)
    monkeypatch.delenv("ZFREPRO_STORE", raising=False)
    return ResultStore(small_results / "results/.store")


@pytest.fixture(scope="module")
def package():
    return Package(kept=Kept(None))


def planned(store, config=CONFIG, jobs=JOBS):
    return Prediction(config, jobs, store)


def test_a_key_is_the_one_that_the_job_recorded(store, package):
    keys = small_experiment.keys(CONFIG, package)
    recorded = {job: small_experiment.record(CONFIG, job)["key"] for job in JOBS}
    assert {job: keys.key(job) for job in JOBS} == recorded
    assert None not in recorded.values()
    assert len(set(recorded.values())) == len(JOBS)


def test_of_a_whole_plan_all_is_taken(store):
    """Without a file of the experiment: what a job reads is what the store will put in place."""
    prediction = planned(store, small_experiment.config(experiment="other"))
    assert prediction.taken.keys() == JOBS
    assert prediction.unknown == set()
    entry = prediction.taken["train", "improved"]
    assert entry.files["model.safetensors"] == artifacts.sha256(CONFIG.results() / "train/improved/model.safetensors")


def test_what_follows_from_a_change_is_unknown_and_the_rest_is_taken(store):
    training = {
        **small_experiment.CONTENT["train"],
        "runs": {"improved": {"base": "improved", "snapshots": [1], "seed": 5}},
    }
    prediction = planned(store, small_experiment.config(train=training))
    assert ("train", "improved") not in prediction.taken
    assert {
        ("evaluate", "improved"),
        ("scratch", "caltech101"),
        ("probes", "caltech101", "improved"),
        ("exhibits", "claims"),
    } <= prediction.unknown
    assert prediction.taken.keys() >= {
        ("prepare", "source"), ("folds", "caltech101"), ("probes", "caltech101", "hog"), ("exhibits", "overlap"),
    }  # fmt: skip
    assert prediction.taken.keys() | prediction.unknown | {("train", "improved")} == JOBS


def test_an_empty_store_has_nothing(store, tmp_path):
    prediction = planned(ResultStore(tmp_path))
    assert prediction.taken == {}
    assert prediction.unknown == {job for job in JOBS if CONFIG.graph.inputs(job)}


def test_a_job_whose_files_are_gone_from_the_store_is_computed(store, tmp_path):
    import shutil

    shutil.copytree(store.root, tmp_path / "store")
    other = ResultStore(tmp_path / "store")
    entry = other.entry(small_experiment.record(CONFIG, ("prepare", "source"))["key"])
    other.object_path(entry.files["mean.npy"]).unlink()
    prediction = planned(other)
    assert ("prepare", "source") not in prediction.taken
    assert ("train", "improved") in prediction.unknown
