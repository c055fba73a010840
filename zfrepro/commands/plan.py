"""Say what a run would do and why, one line a stage, without doing it."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from pathlib import Path

from zfrepro import experiments, manager
from zfrepro.config import LOOKS, Config
from zfrepro.errors import UserError
from zfrepro.snakemake_log import Job, Reader, why


def main(arguments: list[str]) -> None:
    parser = manager.experiment_parser("plan", __doc__)
    options = parser.parse_args(arguments)
    config = experiments.load(options.config)
    jobs = planned(options.config)
    if not jobs:
        print(f"{config.experiment}: nothing to do, {config.results() / 'report' / 'index.html'} is up to date")
    for line in describe(jobs, config):
        print(line)


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
        grouped[job.rule][why(job)].append(job.name)
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
        **{stage: len(config.looked_into(stage)) for stage in LOOKS},
        "folds": len({target for target, *_ in (*config.transfers("folds"), *config.transfers("probes"))}),
        "features": len(config.transfers("probes")),
        "probes": len(config.transfers("probes")),
        "scratch": len(config.transfers("scratch")),
        "exhibits": len(config.report.exhibits),
        "report": 1,
    }


def _named(names: list[str]) -> str:
    named = [name for name in names if name]
    if not named:
        return ""
    return f"{', '.join(sorted(named)[:4])}{' ...' if len(named) > 4 else ''}: "
