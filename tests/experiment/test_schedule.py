"""Order and end of jobs: small graphs with hours that a person can add up."""

import math
from random import Random

import pytest

from zfrepro.experiment import loading, schedule
from zfrepro.experiment.schedule import Interval, Task
from zfrepro.storage import workflow_files


def tasks(**seconds):
    """Independent jobs, one GPU each."""
    return {(name,): Task(length, gpus=1) for name, length in seconds.items()}


# prepare 1 h -> train a 5 h -> probes 2 h -> report; prepare -> ablate b 6 h -> report
DIAMOND = {
    ("prepare",): Task(1, cores=64),
    ("train", "a"): Task(5, [("prepare",)], gpus=1),
    ("ablate", "b"): Task(6, [("prepare",)], gpus=1),
    ("probes", "a"): Task(2, [("train", "a")]),
    ("report",): Task(0.5, [("probes", "a"), ("ablate", "b")]),
}


def test_a_chain_is_what_follows_a_job_at_the_longest():
    assert schedule.chain_lengths(DIAMOND) == {
        ("prepare",): 8.5, ("train", "a"): 7.5, ("ablate", "b"): 6.5, ("probes", "a"): 2.5, ("report",): 0.5,
    }  # fmt: skip
    assert schedule.longest_chain(DIAMOND) == [("prepare",), ("train", "a"), ("probes", "a"), ("report",)]


@pytest.mark.parametrize(("gpus", "end"), [(1, 12.5), (2, 8.5), (8, 8.5)])
def test_a_run_is_over_when_its_last_job_is(gpus, end):
    """One GPU: 1 h, a until 6 (its chain is longer), b until 12, while the classifiers run beside it; then the report."""
    intervals = schedule.lay_out(DIAMOND, gpus, cores=4)
    assert intervals["report",] == Interval(end - 0.5, end)
    assert intervals["train", "a"] == Interval(1, 6)
    assert intervals["ablate", "b"].start == (6 if gpus == 1 else 1)


def test_the_longest_job_starts_first():
    """Two of 2 h and one of 4 h on two GPUs: with the long one last it would be over after 6 h (2 + 4)."""
    intervals = schedule.lay_out(tasks(a=2, b=2, wide=4), gpus=2, cores=2)
    assert intervals == {("wide",): Interval(0, 4), ("a",): Interval(0, 2), ("b",): Interval(2, 4)}


def test_a_job_on_a_gpu_needs_a_core_too():
    intervals = schedule.lay_out(tasks(a=1, b=1, c=1), gpus=8, cores=2)
    assert sorted(interval.start for interval in intervals.values()) == [0, 0, 1]


def test_without_a_gpu_jobs_share_the_cores():
    intervals = schedule.lay_out(tasks(a=1, b=1, c=1), gpus=0, cores=3)
    assert {interval.end for interval in intervals.values()} == {1}


def test_jobs_that_are_not_part_of_a_plan_are_not_waited_for():
    assert schedule.lay_out({}, 1, 1) == {}
    assert schedule.longest_chain({}) == []


PAPER = workflow_files.ROOT / "workflow/experiments/paper.yaml"


def test_the_widest_networks_start_first_then_the_one_that_most_jobs_wait_for():
    config = loading.load(PAPER)
    priorities = schedule.prioritise_trainings(config)
    assert set(priorities) == set(config.runs())
    assert sorted(priorities, key=priorities.__getitem__, reverse=True)[:3] == [
        "improved-wide-8192",
        "improved-wide",
        "improved",
    ]
    assert priorities["improved-wide-8192"] == 1
    # by hand: the shares of `plan`: training 6.37e17, from scratch 1.80e17 after it, of 1.42e18 and its evaluation of 3e15
    assert priorities["improved"] == pytest.approx((6.37e17 + 1.80e17) / 1.423e18, rel=0.01)
    assert min(priorities, key=priorities.__getitem__) == "baseline-without-3-4-6-7"


def test_a_folder_of_unknown_size_is_not_counted_for_it(monkeypatch):
    monkeypatch.setattr(schedule.cost, "count_in_folder", None)
    mine = {"source": {"dataset": "imagefolder", "size": 72, "options": {"root": "nowhere"}}}
    runs = {"narrow": {"maps": [192, 192, 128]}, "longer": {"epochs": 4}, "improved": {}}
    recipe = {"base": "improved", "width": 0.1, "input_size": 64, "epochs": 2, "batch": 8, "init": "he"}
    parts = {"experiment": "mine", "title": "Mine", "report": {"exhibits": ["table2_imagenet"]}}
    config = loading.parse({**parts, "prepare": mine, "train": {"recipe": recipe, "runs": runs}}, "mine.yaml")
    priorities = schedule.prioritise_trainings(config)
    assert priorities["longer"] == 1
    epoch, evaluation = (
        3 * 1_281_167 + 50_000,
        11 * 50_000 + config.evaluate.train_images,
    )  # images forward, as of ImageNet
    assert priorities["improved"] == pytest.approx((2 * epoch + evaluation) / (4 * epoch + evaluation))
    assert priorities["narrow"] < priorities["improved"]


def test_jobs_that_read_share_the_disk_and_get_it_back_when_one_ends():
    """10 bytes each at 10 bytes/s: a, which wants 10/s, and b, which wants 2/s, for 5 s.

    b gets its 2/s, a the other 8: a ends after 1.25 s, b after 5.
    """
    jobs = {("a",): Task(1, bytes=10), ("b",): Task(5, bytes=10), ("c",): Task(3)}
    intervals = schedule.lay_out(jobs, 0, 3, disk=10)
    assert {job: interval.end for job, interval in intervals.items()} == pytest.approx(
        {("a",): 1.25, ("b",): 5, ("c",): 3}
    )
    # 4 bytes/s: 2 each; b gets all it wants, a ends after 5 s too
    assert [interval.end for interval in schedule.lay_out(jobs, 0, 3, disk=4).values()] == pytest.approx([5, 3, 5])
    # 2 bytes/s: 1 each for 10 s
    assert schedule.lay_out(jobs, 0, 3, disk=2)["a",].end == pytest.approx(10)


def random_tasks(random):
    """Up to 25 jobs, some of which take no time, wait for others, need more cores than there are, or read from the disk."""
    drawn = {}
    for index in range(random.randint(1, 25)):
        seconds, after = (
            random.choice([0, 0.1, 0.3, 1]),
            [(str(other),) for other in range(index) if random.random() < 0.15],
        )
        count = random.choice([0, 10]) * seconds * random.random()
        drawn[str(index),] = Task(seconds, after, random.choice([0, 1]), random.choice([1, 2, 9]), count)
    return drawn


@pytest.mark.parametrize("seed", range(4))
def test_no_job_starts_too_early_nor_gets_what_another_one_has(seed):
    random = Random(seed)
    for _ in range(50):
        jobs, gpus, cores, disk = (
            random_tasks(random),
            random.randint(1, 4),
            random.randint(1, 8),
            random.choice([1, 5, math.inf]),
        )
        intervals = schedule.lay_out(jobs, gpus, cores, disk)
        assert intervals.keys() == jobs.keys()
        end = max(interval.end for interval in intervals.values())
        assert end > max(schedule.chain_lengths(jobs).values()) - 1e-9
        assert end > sum(task.bytes for task in jobs.values()) / disk - 1e-9
        for job, (start, stop) in ((job, (interval.start, interval.end)) for job, interval in intervals.items()):
            assert stop - start > jobs[job].seconds - 1e-9
            assert all(intervals[earlier].end <= start for earlier in jobs[job].after)
            beside = [jobs[other] for other, at in intervals.items() if at.start <= start and at.end > start + 1e-9]
            assert sum(task.gpus for task in beside) <= gpus
            assert sum(min(task.cores, cores) for task in beside) <= cores
