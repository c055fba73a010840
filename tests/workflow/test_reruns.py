"""An edit reruns exactly these jobs, and recomputes exactly these, answered from the graph of jobs, digests and keys.

test_dag.py asks Snakemake the first, and runs what the second says."""

import pytest
from helpers.edits import EDITS, SMOKE, STORED_EDITS, changing, expected_jobs, with_claims
from helpers.reruns import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project"), SMOKE)


def by_rule(jobs):
    """Rule -> names, sorted."""
    table = {}
    for stage, *names in jobs:
        table.setdefault(stage, []).append(" ".join(names))
    return {stage: sorted(names) for stage, names in table.items()}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_exactly_these_jobs(project, name):
    file, edit, _ = EDITS[name]
    assert by_rule(project.reruns({file: edit})) == expected_jobs(name)


@pytest.mark.parametrize("name", STORED_EDITS)
def test_an_edit_recomputes_exactly_these_jobs(project, name):
    edits, reruns, recomputes = STORED_EDITS[name]
    assert by_rule(project.reruns(edits)) == with_claims(reruns)
    expected = {stage: names for stage, names in with_claims(recomputes).items() if stage != "report"}
    assert by_rule(project.recomputes(edits)) == expected


@pytest.mark.parametrize(
    "name", ["the config of one training run", "the occlusion config", "the folds of one set", "a colour in Fig 7"]
)
def test_what_changes_a_result_recomputes_all_that_it_reruns(project, name):
    file, edit, _ = EDITS[name]
    expected = {stage: names for stage, names in expected_jobs(name).items() if stage != "report"}
    assert by_rule(project.recomputes({file: edit})) == expected


def test_nothing_is_recomputed_below_a_training_that_yields_the_same_bytes(project):
    edits = {"zfrepro/core/training.py": changing("_step_seed")}
    assert set(by_rule(project.recomputes(edits, same_bytes=("train", "ablate", "scratch")))) == {
        "train",
        "ablate",
        "scratch",
    }
