"""In which order the jobs of an experiment start, and when they end on so many GPUs and cores."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from zfrepro.datasets.published import COUNTS, Counts
from zfrepro.experiment import cost
from zfrepro.experiment.config import Config
from zfrepro.graph import SOURCE, TRAINING, Graph, Job


@dataclass(frozen=True)
class Task:
    """A job: how long it takes, which jobs it waits for, what it occupies, how many bytes it reads from a disk all the while."""

    seconds: float
    after: Collection[Job] = ()
    gpus: int = 0
    cores: int = 1
    bytes: float = 0.0


@dataclass(frozen=True)
class Interval:
    """Seconds since the begin of the run."""

    start: float
    end: float


def prioritise_trainings(config: Config) -> dict[str, float]:
    """Run -> how early its training starts among all, 0..1: its operations and those of the longest chain of jobs that follow, as a
    share of the largest. On several GPUs a wide network that starts last would be waited for."""
    sizes: dict[str, Counts | None] = {
        name: cost.count_images(config, name, in_folder=False) for name in config.prepare
    }
    sizes[SOURCE] = sizes[SOURCE] or COUNTS["imagenet"]  # any number: all networks are trained on the same images
    after = list_predecessors(config.graph, config.graph.jobs())
    operations = {job: sum(amount for _, amount in cost.job_operations(config, job, sizes)) for job in after}
    lengths = chain_lengths({job: Task(operations[job], earlier) for job, earlier in after.items()})
    trainings = {job[1]: length for job, length in lengths.items() if job[0] in TRAINING}
    return {run: length / max(trainings.values()) for run, length in trainings.items()}


def list_predecessors(graph: Graph, jobs: Collection[Job]) -> dict[Job, tuple[Job, ...]]:
    """Job -> those of `jobs` whose files it reads."""
    makers = {job: {graph.job_of(file) for file in graph.inputs(job).values()} for job in jobs}
    return {job: tuple(other for other in jobs if other in makers[job]) for job in jobs}


def chain_lengths(tasks: Mapping[Job, Task]) -> dict[Job, float]:
    """Job -> seconds from its start until all that waits for it, directly or not, can be done at the earliest."""
    lengths = {job: task.seconds for job, task in tasks.items()}
    for job in reversed(_in_order(tasks)):
        for earlier in tasks[job].after:
            lengths[earlier] = max(lengths[earlier], tasks[earlier].seconds + lengths[job])
    return lengths


def longest_chain(tasks: Mapping[Job, Task]) -> list[Job]:
    """The jobs that no number of GPUs can do in less time than one after the other."""
    lengths, chain = chain_lengths(tasks), []
    following: Collection[Job] = tasks
    while following:
        chain.append(max(following, key=lengths.__getitem__))
        following = [job for job, task in tasks.items() if chain[-1] in task.after]
    return chain


def _in_order(tasks: Mapping[Job, Task]) -> list[Job]:
    """Every job after those that it waits for."""
    ordered: dict[Job, None] = {}

    def add(job: Job) -> None:
        for earlier in tasks[job].after:
            add(earlier)
        ordered.setdefault(job)

    for job in tasks:
        if job not in ordered:
            add(job)
    return list(ordered)


def lay_out(tasks: Mapping[Job, Task], gpus: float, cores: float, disk: float = math.inf) -> dict[Job, Interval]:
    """When each job runs if, whenever one has ended, those that can start do so, that with the longest chain first.

    A job that needs more than there is gets all of it, as Snakemake does. disk: bytes per second, of which those that read at once get
    equal parts, or as much as they can use.
    """
    lengths, free = chain_lengths(tasks), [gpus, cores]
    waiting = sorted(tasks, key=lengths.__getitem__, reverse=True)
    needs = {job: (min(task.gpus, gpus), min(task.cores, cores)) for job, task in tasks.items()}
    starts: dict[Job, float] = {}
    ends: dict[Job, float] = {}
    left: dict[Job, float] = {}  # of each job that runs: what is still to be done, 0..1
    now = 0.0
    while waiting or left:
        for job in [job for job in waiting if ends.keys() >= set(tasks[job].after)]:
            if all(need <= amount for need, amount in zip(needs[job], free, strict=True)):
                free = [amount - need for need, amount in zip(needs[job], free, strict=True)]
                starts[job], left[job] = now, 1.0
                waiting.remove(job)
        seconds = _share_disk({job: tasks[job] for job in left}, disk)
        job = min(left, key=lambda name: left[name] * seconds[name])
        passed = left[job] * seconds[job]
        left = {
            name: max(0.0, share - passed / seconds[name]) if passed else share
            for name, share in left.items()
            if name != job
        }
        now += passed
        ends[job] = now
        free = [amount + need for need, amount in zip(needs[job], free, strict=True)]
    return {job: Interval(start, ends[job]) for job, start in starts.items()}


def _share_disk(tasks: Mapping[Job, Task], disk: float) -> dict[Job, float]:
    """Seconds that each job would take if all these ran together until its end."""
    seconds = {job: task.seconds for job, task in tasks.items()}
    wanted = {job: task.bytes / task.seconds for job, task in tasks.items() if task.bytes}
    for index, job in enumerate(
        sorted(wanted, key=wanted.__getitem__)
    ):  # the slowest readers first: what they leave is for the others
        rate = min(wanted[job], disk / (len(wanted) - index))
        seconds[job] = tasks[job].bytes / rate
        disk -= rate
    return seconds
