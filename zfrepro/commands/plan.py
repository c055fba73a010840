"""Say what a run would do and why, one line a stage, and what it needs, without doing it and without the data.

Hours follow from the counted operations and a speed: that of this machine, with --measure, or one you name, with --tflops.
"""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from zfrepro.errors import UserError
from zfrepro.experiment import cost, loading, throughput
from zfrepro.experiment.config import INSPECTIONS, Config
from zfrepro.running import manager
from zfrepro.running.snakemake_log import Job, Reader, explain_reason


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    config = loading.load(options.config)
    jobs = planned(options.config)
    if not jobs:
        print(f"{config.experiment}: nothing to do, {config.results() / 'report' / 'index.html'} is up to date")
    for line in describe(jobs, config):
        print(line)
    for line in format_fading(cost.estimate_fading(config, config.runs())):
        print(line)
    found = cost.estimate_cost(config, jobs)
    for line in format_cost(found):
        print(line)
    if found.operations:
        for line in format_hours(found, config, options):
            print(line)


def _parser() -> argparse.ArgumentParser:
    parser = manager.experiment_parser("plan", __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--measure", action="store_true", help="train for some seconds on noise and tell the hours here")
    speed.add_argument(
        "--tflops",
        type=_positive,
        metavar="N",
        help="10^12 operations a second that your hardware sustains in training",
    )
    parser.add_argument("--device", default="auto", help="to measure: auto, cpu, cuda or cuda:1")
    return parser


def _positive(text: str) -> float:
    if not (value := float(text)) > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def format_fading(found: list[cost.Fading]) -> Iterator[str]:
    """`first weights fade to 22 % (weight decay 0.002): baseline, improved`"""
    for one in found:
        yield f"first weights fade to {100 * one.share:.2g} % (weight decay {one.weight_decay:.2g}): {', '.join(one.runs)}"


def format_cost(found: cost.Needs) -> Iterator[str]:
    """`needs pictures: source 1,331,167`, `needs disk: ...`, `needs operations: ...`; a line only where there is something."""
    if found.pictures:
        counted = (
            f"{name} {'as many as its folder holds' if many is None else format(many, ',')}"
            for name, many in found.pictures.items()
        )
        yield f"needs pictures: {', '.join(counted)}"
    if found.bytes:
        yield f"needs disk: {_sum({what: f'{much / 1e9:.1f} GB' for what, much in found.bytes.items()})}"
    if found.operations:
        yield f"needs operations: {_sum({what: f'{much:.1e}' for what, much in found.operations.items()})}"


def _sum(parts: dict[str, str]) -> str:
    return ", ".join(f"{what} {much}" for what, much in parts.items())


def format_hours(found: cost.Needs, config: Config, options: argparse.Namespace) -> Iterator[str]:
    """How long the operations take at the speed that the options name; how to name one if they do not."""
    total = sum(found.operations.values())
    if options.tflops:
        yield f"needs hours: {_hours(total / (options.tflops * 1e12))} at {options.tflops:g} TFLOP/s sustained in training"
    elif options.measure:
        run = next(iter(config.train.runs))
        speed = _measured(config, run, options.device)
        yield (
            f"needs hours: {_hours(total / speed.operations_per_second)} on this machine ({speed.device}, {speed.precision}), "
            f"which trains {run} on {speed.images_per_second:.3g} pictures a second, "
            f"{speed.operations_per_second / 1e12:.2g} TFLOP/s, measured now"
        )
    else:
        yield "needs hours: say --measure to measure this machine, or --tflops N for another"


def _measured(config: Config, run: str, device: str) -> throughput.Throughput:
    """In a process with the environment of a run's jobs."""
    manager.adopt_job_environment()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(throughput.measure, config, run, device).result()


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f}" if seconds < 36e4 else f"{seconds / 3600:,.0f}"


def planned(config: Path) -> list[Job]:
    """Every job that a run would start now, in Snakemake's order."""
    command = manager.snakemake_command(config, "--cores", "1", "--dry-run")
    said = subprocess.run(command, capture_output=True, text=True, env=manager.environment(), check=False)
    if said.returncode:
        raise UserError(f"Snakemake cannot plan this run:\n{(said.stderr or said.stdout).strip()}")
    events = Reader().events([*said.stdout.splitlines(), *said.stderr.splitlines(), ""])
    return [event.job for event in events if event.kind == "start" and event.job.rule != "all"]


def describe(jobs: list[Job], config: Config) -> list[str]:
    """`train          2 of 6   baseline, improved: its settings changed (epochs)`, and one line for every other reason."""
    grouped: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs:
        grouped[job.rule][explain_reason(job)].append(job.name)
    lines = []
    for rule in [rule for rule in counts(config) if rule in grouped]:
        for reason, names in grouped[rule].items():
            lines.append(f"{rule:<14} {len(names):>2} of {counts(config)[rule]:<3} {_named(names)}{reason}")
    return lines


def counts(config: Config) -> dict[str, int]:
    """Jobs of every rule in the whole experiment, in the order they run."""
    return {
        "prepare": len(config.prepare),
        "train": len(config.train.runs),
        "ablate": len(config.ablate.runs),
        "evaluate": len(config.runs()),
        **{stage: len(config.inspected_runs(stage)) for stage in INSPECTIONS},
        "folds": len(
            {target for target, *_ in (*config.required_transfers("folds"), *config.required_transfers("probes"))}
        ),
        "features": len(config.required_transfers("probes")),
        "probes": len(config.required_transfers("probes")),
        "scratch": len(config.required_transfers("scratch")),
        "exhibits": len(config.report.exhibits),
        "report": 1,
    }


def _named(names: list[str]) -> str:
    named = [name for name in names if name]
    if not named:
        return ""
    return f"{', '.join(sorted(named)[:4])}{' ...' if len(named) > 4 else ''}: "
