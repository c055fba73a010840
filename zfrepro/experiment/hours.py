"""How many hours a plan takes on so many GPUs, and what it waits for: before time on them is bought.

Counted is what cost.py counts. Preparing images, searching for images in common and the analyses of trained networks are not.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from zfrepro import graph
from zfrepro.datasets.published import Counts
from zfrepro.experiment import cost, schedule
from zfrepro.experiment.config import Config
from zfrepro.experiment.schedule import Interval, Task
from zfrepro.graph import SOURCE, STAGES, TRAINING, Job

FLOAT32_SHARE = (
    1 / 6
)  # of the speed in training: a guess, for products of matrices in float32 on cards of the years 2020 to 2025
CORES_PER_GPU = 8  # of a rented machine, unless the user says otherwise
HOUR = 3600.0
NEAR = 0.02  # a run is bound by what takes as long as it, within this share


@dataclass(frozen=True)
class Hardware:
    """operations: per second of one GPU, sustained in training; disk: bytes per second, None if the images fit in memory."""

    gpus: int
    cores: int
    operations: float
    disk: float | None = None


@dataclass(frozen=True)
class Outlook:
    """How a run would go: with this hardware, and with more than enough of what may hold it up."""

    hardware: Hardware
    tasks: Mapping[Job, Task]
    intervals: Mapping[Job, Interval]
    with_any_gpus: Mapping[Job, Interval]
    in_memory: Mapping[Job, Interval]  # all images


def look_ahead(config: Config, jobs: Collection[Job], hardware: Hardware) -> Outlook:
    """jobs: those that are to be computed; all others are taken to be done."""
    sizes = {name: cost.count_images(config, name) for name in config.prepare}
    after = schedule.list_predecessors(config.graph, jobs)
    tasks = {job: _task(config, job, after[job], sizes, hardware) for job in jobs}
    gpus, cores, disk = hardware.gpus, hardware.cores, hardware.disk or math.inf
    return Outlook(
        hardware,
        tasks,
        schedule.lay_out(tasks, gpus, cores, disk),
        schedule.lay_out(tasks, math.inf, math.inf, disk),
        schedule.lay_out(tasks, gpus, cores),
    )


def _task(
    config: Config, job: Job, after: Collection[Job], sizes: Mapping[str, Counts | None], hardware: Hardware
) -> Task:
    """With a GPU goes its share of the cores, see workflow/common.smk."""
    speeds = dict.fromkeys(cost.IN_FLOAT32, hardware.operations * FLOAT32_SHARE)
    operations = cost.job_operations(config, job, sizes)
    seconds = sum(amount / speeds.get(purpose, hardware.operations) for purpose, amount in operations)
    if not graph.uses_gpu(job[0], config.graph.inputs(job)):
        return Task(seconds, after)
    share = max(1, hardware.cores // hardware.gpus)
    return Task(seconds, after, gpus=1, cores=share, bytes=_bytes_read(config, job, sizes[SOURCE]))


def _bytes_read(config: Config, job: Job, source: Counts | None) -> int:
    """In a training every image of the source is read whole once an epoch. What other jobs read is little."""
    if job[0] not in TRAINING or source is None:
        return 0
    return config.training(job[1]).epochs * source.images * cost.image_bytes(config, SOURCE)


def describe(outlook: Outlook) -> Iterator[str]:
    """Lines for the terminal."""
    gpus, cores, end = outlook.hardware.gpus, outlook.hardware.cores, _end(outlook.intervals)
    used = sum(_length(job, outlook) for job, task in outlook.tasks.items() if task.gpus)
    busy = 100 * used / gpus / end if end else 0
    yield f"on {_count(gpus, 'GPU')} with {_count(cores, 'core')}: {_hours(end)} hours, {_hours(used)} GPU hours ({busy:.0f} % busy)"
    for stage in STAGES:
        if jobs := [job for job, task in outlook.tasks.items() if job[0] == stage and task.seconds]:
            yield f"  {stage:<14} {_describe_jobs(jobs, outlook)}"
    if rate := _reading_rate(outlook):
        yield f"  trainings read up to {rate / 1e9:.1f} GB/s of prepared images, from memory or a disk"
    yield f"  longest chain: {_describe_chain(outlook)}"
    yield f"  bound by {_bound(outlook)}"


def _describe_jobs(jobs: Collection[Job], outlook: Outlook) -> str:
    """`  7 jobs     24.6 GPU hours, from hour 0.0 to 4.0`"""
    kind = "GPU hours" if any(outlook.tasks[job].gpus for job in jobs) else "hours"
    start = min(outlook.intervals[job].start for job in jobs)
    end = max(outlook.intervals[job].end for job in jobs)
    total = sum(_length(job, outlook) for job in jobs)
    return f"{_count(len(jobs), 'job'):>7} {_hours(total):>8} {kind}, from hour {_hours(start)} to {_hours(end)}"


def _reading_rate(outlook: Outlook) -> float:
    """Bytes per second of as many trainings as there are GPUs, of those that read fastest."""
    rates = [task.bytes / _length(job, outlook) for job, task in outlook.tasks.items() if task.bytes]
    together = sum(sorted(rates, reverse=True)[: outlook.hardware.gpus])
    return min(together, outlook.hardware.disk or math.inf)


def _bound(outlook: Outlook) -> str:
    """What would have to change for the run to be shorter, and how much shorter it would be."""
    now, any_gpus, in_memory = map(_end, (outlook.intervals, outlook.with_any_gpus, outlook.in_memory))
    if min(any_gpus, in_memory) > (1 - NEAR) * now:
        return "the longest chain: faster GPUs help, more do not"
    if in_memory < any_gpus:
        return f"the disk: {_hours(in_memory)} hours if all prepared images are in memory"
    return f"the number of GPUs: {_hours(any_gpus)} hours if every job has one"


def _describe_chain(outlook: Outlook) -> str:
    """`4.0 hours: ablate improved-wide 3.9, evaluate improved-wide 0.009`: no number of GPUs does it in less."""
    lengths = {job: replace(task, seconds=_length(job, outlook)) for job, task in outlook.tasks.items()}
    chain = [job for job in schedule.longest_chain(lengths) if outlook.tasks[job].seconds]
    parts = ", ".join(f"{' '.join(job)} {_hours(_length(job, outlook))}" for job in chain)
    return f"{_hours(sum(_length(job, outlook) for job in chain))} hours: {parts}"


def _length(job: Job, outlook: Outlook) -> float:
    """Seconds; with the time in which it waits for the disk."""
    return outlook.intervals[job].end - outlook.intervals[job].start


def _end(intervals: Mapping[Job, Interval]) -> float:
    """Seconds until the last job has ended."""
    return max((interval.end for interval in intervals.values()), default=0.0)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _hours(seconds: float) -> str:
    """`1,234.5`; `0.04` below 0.1"""
    hours = seconds / HOUR
    return f"{hours:,.1f}" if hours >= 0.1 or not hours else f"{hours:.1g}"
