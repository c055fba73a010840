"""An edit reruns exactly these jobs, answered from the graph of jobs and the digests of code (test_dag.py asks Snakemake)."""

import pytest
from helpers.edits import EDITS, SMOKE, expected_jobs
from helpers.reruns import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield Project(tmp_path_factory.mktemp("project"), SMOKE, patch)


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_exactly_these_jobs(project, name):
    file, edit, _ = EDITS[name]
    jobs = {}
    for job in project.reruns(file, edit):
        jobs.setdefault(job[0], []).append(" ".join(job[1:]))
    assert {rule: sorted(names) for rule, names in jobs.items()} == expected_jobs(name)
