"""Hours of a plan on several GPUs, of an experiment whose operations and bytes a person can add up."""

from __future__ import annotations

import pytest

from zfrepro.commands import plan
from zfrepro.datasets.published import Counts
from zfrepro.experiment import cost, hours, loading
from zfrepro.experiment.hours import Hardware
from zfrepro.graph import TRAINING
from zfrepro.storage import workflow_files

PAPER = workflow_files.ROOT / "workflow/experiments/paper.yaml"
OPERATIONS = {
    ("train", "improved"): 36e14,
    ("ablate", "wide"): 72e14,
    ("ablate", "narrow"): 18e14,
    ("evaluate", "improved"): 36e12,
}


@pytest.fixture(scope="module")
def config():
    recipe = {"base": "improved", "width": 0.1, "input_size": 64, "epochs": 10, "batch": 8, "init": "he"}
    content = {
        "experiment": "small", "title": "Small",
        "prepare": {"source": {"dataset": "imagefolder", "size": 100, "options": {"root": "nowhere"}}},
        "train": {"recipe": recipe, "runs": {"improved": {}}},
        "ablate": {"runs": {"wide": {"maps": [512, 1024, 512]}, "narrow": {"maps": [192, 192, 128]}}},
        "report": {"exhibits": ["table3_ablations"]},
    }  # fmt: skip
    return loading.parse(content, "small.yaml")


@pytest.fixture
def look(config, monkeypatch):
    """On a GPU of 1 TFLOP/s: 1 h, 2 h and 0.5 h of training, 0.01 h of evaluation. An epoch reads 1.2 million images of 30 kB."""
    monkeypatch.setattr(cost, "count_images", lambda *_: Counts(10, {"train": 1_000_000, "val": 200_000}))
    monkeypatch.setattr(cost, "job_operations", lambda _, job, sizes: [("training", OPERATIONS.get(job, 0))])
    jobs = [job for job in config.graph.jobs() if job[0] in (*TRAINING, "evaluate", "exhibits", "report")]
    assert set(OPERATIONS) <= set(jobs)
    return lambda gpus, disk=None: hours.look_ahead(config, jobs, Hardware(gpus, 8 * gpus, 1e12, disk))


def end(outlook):
    return max(interval.end for interval in outlook.intervals.values()) / 3600


@pytest.mark.parametrize(("gpus", "expected"), [(1, 3.51), (2, 2.0), (3, 2.0)])
def test_hours_without_a_disk_in_the_way(look, gpus, expected):
    """2 + 1 + 0.5 + 0.01 h in a row; on two GPUs the wide network takes one, all others the other."""
    assert end(look(gpus)) == pytest.approx(expected)


@pytest.mark.parametrize(("gpus", "disk", "expected"), [(1, 1e8, 4.01), (1, 5e7, 6.01), (3, 1e8, 3.01)])
def test_a_disk_gives_its_bytes_to_all_trainings_together(look, gpus, disk, expected):
    """A training reads 360 GB: an hour at 100 MB/s. One GPU: the narrow network takes 1 h instead of 0.5: 2 + 1 + 1 + 0.01.

    At 50 MB/s each takes 2 h. Three GPUs read 3 x 360 GB at 100 MB/s: 3 h, then the evaluation.
    """
    assert end(look(gpus, disk)) == pytest.approx(expected)


def test_what_is_printed_of_one_gpu(look):
    assert list(hours.describe(look(1))) == [
        "on 1 GPU with 8 cores: 3.5 hours, 3.5 GPU hours (100 % busy)",
        "  train            1 job      1.0 GPU hours, from hour 2.0 to 3.0",
        "  ablate          2 jobs      2.5 GPU hours, from hour 0.0 to 3.5",
        "  evaluate         1 job     0.01 GPU hours, from hour 3.5 to 3.5",
        "  trainings read up to 0.2 GB/s of prepared images, from memory or a disk",
        "  longest chain: 2.0 hours: ablate wide 2.0",
        "  bound by the number of GPUs: 2.0 hours if every job has one",
    ]


def test_more_gpus_than_the_longest_chain_needs_do_not_help(look):
    lines = list(hours.describe(look(3)))
    assert lines[0] == "on 3 GPUs with 24 cores: 2.0 hours, 3.5 GPU hours (58 % busy)"
    assert lines[-1] == "  bound by the longest chain: faster GPUs help, more do not"


def test_a_slow_disk_is_named(look):
    lines = list(hours.describe(look(3, 1e8)))
    assert lines[-3:] == [
        "  trainings read up to 0.1 GB/s of prepared images, from memory or a disk",
        "  longest chain: 3.0 hours: train improved 3.0, evaluate improved 0.01",
        "  bound by the disk: 2.0 hours if all prepared images are in memory",
    ]


def test_a_plan_with_nothing_to_compute(config):
    outlook = hours.look_ahead(config, [("report",)], Hardware(2, 16, 1e12))
    assert next(hours.describe(outlook)) == "on 2 GPUs with 16 cores: 0.0 hours, 0.0 GPU hours (0 % busy)"


def test_the_paper_on_a_disk_takes_at_least_as_long_as_its_bytes():
    """17 trainings read 70 times 1,331,167 images of 256 x 256 x 3 bytes: 311.5 TB, 28.8 h at 3 GB/s."""
    config = loading.load(PAPER)
    outlook = hours.look_ahead(config, config.graph.jobs(), Hardware(8, 64, 100e12, 3e9))
    assert end(outlook) >= 17 * 70 * 1_331_167 * 256**2 * 3 / 3e9 / 3600 == pytest.approx(28.8, abs=0.1)
    assert end(outlook) < 30


def test_options_of_several_gpus_are_checked(capsys):
    for arguments, message in (
        (["--gpus", "8"], "--gpus needs the speed of one: --tflops N or --measure"),
        (["--tflops", "1", "--cores", "8"], "--cores goes with --gpus"),
        (["--tflops", "1", "--disk-mbps", "8"], "--disk-mbps goes with --gpus"),
        (["--tflops", "1", "--gpus", "8", "0"], "argument --gpus: '0': at least 1"),
    ):
        with pytest.raises(SystemExit):
            plan.main(arguments)
        assert capsys.readouterr().err.splitlines()[-1] == f"zfrepro plan: error: {message}"
