"""Show what a run would do and why, and what it needs, without running anything and without the data.

Hours are estimated from the operations and a speed: that of this machine with --measure, or the one given with --tflops.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from zfrepro import graph
from zfrepro.errors import UserError
from zfrepro.experiment import cost, data_checks, folder_checks, hours, loading, throughput
from zfrepro.experiment.config import Config
from zfrepro.graph import STAGES
from zfrepro.running import finished, manager, snakemake_log
from zfrepro.running.options import experiment_parser, parse_count
from zfrepro.running.snakemake_log import Job, Reader, explain_reason
from zfrepro.storage import surroundings
from zfrepro.storage.result_store import ResultStore
from zfrepro.storage.store_folder import store_folder


def main(arguments: list[str]) -> None:
    options = _parse(arguments)
    config = loading.load(options.config)
    for check in (folder_checks.check_layouts, data_checks.check_data):
        for line in check(config, str(options.config)):
            print(line)
    jobs = [] if finished.report_of(options.config) else plan_jobs(options.config)
    if not jobs:
        print(f"{config.experiment}: nothing to do, {config.results() / 'report' / 'index.html'} is up to date")
    prediction = predict(config, jobs, options.device)
    needs = cost.estimate_cost(config, [job.key for job in jobs if job.key not in prediction.taken])
    for line in (
        *describe_jobs(jobs, config, prediction),
        *describe_store(jobs, prediction),
        *format_fading(cost.estimate_fading(config, config.runs())),
        *format_cost(needs),
    ):
        print(line)
    if needs.operations:
        for line in format_hours(needs, config, [job.key for job in jobs if job.key not in prediction.taken], options):
            print(line)


def _parser() -> argparse.ArgumentParser:
    parser = experiment_parser("plan", __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument(
        "--measure",
        action="store_true",
        help="measure this machine by training on random images, then estimate hours",
    )
    speed.add_argument(
        "--tflops",
        type=_positive,
        metavar="N",
        help="estimate the hours on hardware that sustains N x 10^12 operations per second in training",
    )
    parser.add_argument(
        "--device",
        default="auto",
        help="device for --measure: auto, cpu, cuda or cuda:1; default: auto",
    )
    several = parser.add_argument_group("several GPUs, with --tflops or --measure, which give the speed of one of them")
    several.add_argument(
        "--gpus",
        type=parse_count,
        nargs="+",
        default=[],
        metavar="N",
        help="how long it takes on N GPUs, and what holds it up",
    )
    several.add_argument(
        "--cores",
        type=parse_count,
        metavar="N",
        help=f"cores of that machine; default: {hours.CORES_PER_GPU} for each GPU",
    )
    several.add_argument(
        "--disk-mbps",
        type=_positive,
        metavar="N",
        help="10^6 bytes per second that its disk gives to all trainings together; default: images stay in memory",
    )
    return parser


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.gpus and not options.tflops and not options.measure:
        parser.error("--gpus needs the speed of one: --tflops N or --measure")
    if not options.gpus and (options.cores or options.disk_mbps):
        parser.error(f"--{'cores' if options.cores else 'disk-mbps'} goes with --gpus")
    return options


def _positive(text: str) -> float:
    if not (value := float(text)) > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def format_fading(groups: list[cost.Fading]) -> Iterator[str]:
    """`initial weights shrink to 22 % (weight decay 0.002): baseline, improved`"""
    for group in groups:
        percent, decay = f"{100 * group.share:.2g} %", f"{group.weight_decay:.2g}"
        yield f"initial weights shrink to {percent} (weight decay {decay}): {', '.join(group.runs)}"


def format_cost(needs: cost.Cost) -> Iterator[str]:
    """`needs images: source 1,331,167`, `needs disk: ...`, `needs operations: ...`; only the lines that are not empty."""
    if needs.images:
        yield f"needs images: {_join({name: _image_count(count) for name, count in needs.images.items()})}"
    if needs.bytes:
        yield f"needs disk: {_join({purpose: f'{count / 1e9:.1f} GB' for purpose, count in needs.bytes.items()})}"
    if needs.operations:
        yield f"needs operations: {_join({purpose: f'{count:.1e}' for purpose, count in needs.operations.items()})}"


def _image_count(count: int | None) -> str:
    return "all in its folder" if count is None else f"{count:,}"


def _join(amounts: dict[str, str]) -> str:
    return ", ".join(f"{name} {amount}" for name, amount in amounts.items())


def format_hours(
    needs: cost.Cost, config: Config, jobs: Collection[graph.Job], options: argparse.Namespace
) -> Iterator[str]:
    """How long the operations take at the speed chosen by the options, or how to choose one; then how so many GPUs would do."""
    if not options.tflops and not options.measure:
        yield "needs hours: pass --measure to measure this machine, or --tflops N for other hardware"
        return
    operations, origin = _speed(config, options)
    yield f"needs hours: {_hours(sum(needs.operations.values()) / operations)} {origin}"
    for gpus in options.gpus:
        cores = options.cores or hours.CORES_PER_GPU * gpus
        disk = options.disk_mbps * 1e6 if options.disk_mbps else None
        yield from hours.describe(hours.look_ahead(config, jobs, hours.Hardware(gpus, cores, operations, disk)))


def _speed(config: Config, options: argparse.Namespace) -> tuple[float, str]:
    """Operations per second in training, and where that number is from."""
    if options.tflops:
        return options.tflops * 1e12, f"at {options.tflops:g} TFLOP/s sustained in training"
    speed = _measure_in_process(config, next(iter(config.train.runs)), options.device)
    return speed.operations_per_second, (
        f"on this machine ({speed.device}, {speed.precision}), "
        f"measured now: training {speed.run} at {speed.images_per_second:.3g} images per second, "
        f"{speed.operations_per_second / 1e12:.2g} TFLOP/s"
    )


def _measure_in_process(config: Config, run: str, device: str) -> throughput.Throughput:
    """Measure in a process that has the environment of a run's jobs."""
    manager.adopt_job_environment()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(throughput.measure, config, run, device).result()


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f}" if seconds < 36e4 else f"{seconds / 3600:,.0f}"


def plan_jobs(config: Path) -> list[Job]:
    """Every job that a run would start now, in Snakemake's order. Raises UserError where it cannot say."""
    if not surroundings.can_write(Path(".snakemake")):
        raise UserError(f"{Path.cwd()}: cannot be written, and Snakemake keeps records there; change to another folder")
    command = manager.snakemake_command(config, "--cores", "1", "--dry-run")
    process = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", env=manager.environment(), check=False
    )
    if process.returncode:
        reasons = snakemake_log.list_reasons(f"{process.stdout}\n{process.stderr}")
        raise UserError("\n".join(["Snakemake cannot plan this run:", *reasons]))
    events = Reader().events([*process.stdout.splitlines(), *process.stderr.splitlines(), ""])
    return [event.job for event in events if event.kind == "start" and event.job and event.job.rule != "all"]


@dataclass(frozen=True)
class StoredJobs:
    """Jobs of a plan whose results are in the store, and those of which that is not known before others have been computed."""

    taken: Collection[graph.Job] = ()
    unknown: Collection[graph.Job] = ()


def predict(config: Config, jobs: list[Job], device: str) -> StoredJobs:
    folder = store_folder()
    if not jobs or folder is None or not folder.is_dir():
        return StoredJobs()
    from zfrepro.experiment.prediction import Prediction  # here: it takes a second to import all stages

    os.environ["ZFREPRO_DEVICE"] = device
    prediction = Prediction(config, {job.key for job in jobs}, ResultStore(folder))
    return StoredJobs(prediction.taken.keys(), prediction.unknown)


def describe_store(jobs: list[Job], stored: StoredJobs) -> Iterator[str]:
    """`71 jobs: 66 taken from the result store, 2 computed, 3 computed unless ...`; nothing if none is stored."""
    if not stored.taken and not stored.unknown:
        return
    computed = len(jobs) - len(stored.taken) - len(stored.unknown)
    unless = f", {len(stored.unknown)} computed unless their inputs come out as before" if stored.unknown else ""
    yield f"{len(jobs)} jobs: {len(stored.taken)} taken from the result store, {computed} computed{unless}"


def describe_jobs(jobs: list[Job], config: Config, stored: StoredJobs) -> Iterator[str]:
    """`train          2 of 6   baseline, improved: its settings changed (epochs)`, a line for every stage and reason."""
    names: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs:
        taken = "; in the store" if job.key in stored.taken else ""
        names[job.rule][f"{explain_reason(job)}{taken}"].append(job.name)
    for rule, total in count_jobs(config).items():
        for reason, group in names[rule].items():
            yield f"{rule:<14} {len(group):>2} of {total:<3} {_short_list(group)}{reason}"


def count_jobs(config: Config) -> dict[str, int]:
    """Jobs of every stage that the report needs, in the order they run."""
    counts = Counter(stage for stage, *_ in config.graph.jobs())
    return {stage: counts[stage] for stage in STAGES}


def _short_list(names: list[str]) -> str:
    """`baseline, improved: `, at most four names; empty for a rule with one unnamed job."""
    names = sorted(name for name in names if name)
    return f"{', '.join(names[:4])}{' ...' if len(names) > 4 else ''}: " if names else ""
