"""In which order the jobs of an experiment start, and when they end on so many GPUs and cores."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from zfrepro.datasets.published import COUNTS, Counts
from zfrepro.experiment import cost
from zfrepro.experiment.config import Config
from zfrepro.graph import SOURCE, TRAINING, Graph, Job


@dataclass(frozen=True)
class Task:
    """A job: how long it takes, what it occupies, which jobs it waits for."""

    seconds: float
    after: Collection[Job] = ()
    gpus: int = 0
    cores: int = 1


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


def lay_out(tasks: Mapping[Job, Task], gpus: int, cores: int) -> dict[Job, Interval]:
    """When each job runs if, whenever one has ended, those that can start do so, that with the longest chain first.

    A job that needs more than there is gets all of it, as Snakemake does.
    """
    lengths, free = chain_lengths(tasks), [gpus, cores]
    waiting = sorted(tasks, key=lengths.__getitem__, reverse=True)
    needs = {job: (min(task.gpus, gpus), min(task.cores, cores)) for job, task in tasks.items()}
    intervals: dict[Job, Interval] = {}
    running: list[tuple[float, Job]] = []
    done: set[Job] = set()
    now = 0.0
    while waiting or running:
        for job in [job for job in waiting if done.issuperset(tasks[job].after)]:
            if all(need <= left for need, left in zip(needs[job], free, strict=True)):
                free = [left - need for need, left in zip(needs[job], free, strict=True)]
                intervals[job] = Interval(now, now + tasks[job].seconds)
                heapq.heappush(running, (intervals[job].end, job))
                waiting.remove(job)
        now, job = heapq.heappop(running)
        done.add(job)
        free = [left + need for need, left in zip(needs[job], free, strict=True)]
    return intervals
