"""Run an experiment from images to report; after a stop, the same command resumes it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from zfrepro.errors import UserError
from zfrepro.running import finished
from zfrepro.running.options import experiment_parser, parse_count, parse_device, parse_gpus
from zfrepro.storage import machine

if TYPE_CHECKING:
    from zfrepro.running import gpus
    from zfrepro.running.profiles import Profile


def main(arguments: list[str]) -> None:
    options = _parse(arguments)
    if not options.targets and (report := finished.report_of(options.config)):
        print(f"nothing to do: {_report_files(report)}")
        return
    _run(options)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.device == "cpu" and (options.gpus or options.jobs_per_gpu):
        parser.error(f"--{'gpus' if options.gpus else 'jobs-per-gpu'} does not go with --device cpu")
    if options.gpus and ":" in options.device:
        parser.error(f"--gpus does not go with --device {options.device}, which names one GPU")
    if options.force and not options.targets:
        parser.error("--force: name the files to build again, such as results/demo/exhibits/overlap/exhibit.json")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = experiment_parser("run", __doc__)
    parser.add_argument(
        "--cores", type=int, metavar="N", help="CPU cores to use; default: all that it may, or what the profile says"
    )
    parser.add_argument(
        "--profile",
        default="default",
        metavar="NAME",
        help="Snakemake's profile: `slurm` starts every job on a cluster, see docs/clusters.md; or a folder of your own",
    )
    parser.add_argument(
        "--device",
        type=parse_device,
        default=os.environ.get("ZFREPRO_DEVICE") or "auto",
        help="auto, cpu, cuda or cuda:1; default: $ZFREPRO_DEVICE or auto, GPUs if there are any",
    )
    parser.add_argument(
        "--gpus",
        type=parse_gpus,
        metavar="GPUS",
        help="all, how many (8), or which (0,3; torch's numbers); default: all of the model of GPU 0",
    )
    parser.add_argument("--jobs-per-gpu", type=parse_count, metavar="K", help="jobs that share a GPU; default: 1")
    parser.add_argument("--force", action="store_true", help="build the targets even if they are up to date")
    parser.add_argument("targets", nargs="*", help="files or rules to build; default: the report")
    return parser


def _run(options: argparse.Namespace) -> None:
    from zfrepro.experiment import data_checks, loading, space_check
    from zfrepro.experiment.config import RESULTS
    from zfrepro.running import manager, profiles, snakemake_run
    from zfrepro.storage import result_store

    profile = profiles.find(options.profile)
    if not profile.is_local and (options.gpus or options.jobs_per_gpu):
        raise UserError(
            f"--profile {options.profile}: the cluster gives its jobs their GPUs; leave --gpus and --jobs-per-gpu out"
        )
    manager.adopt_writable_caches()
    if not options.targets:
        _check_pdf()
    config = loading.load(options.config)
    choice = _choose_gpus(options, profile)
    loading.check_folders(config, str(options.config))
    for line in (
        *data_checks.check_data(config, str(options.config)),
        *(() if options.targets else space_check.check_space(config)),
    ):
        print(line, flush=True)
    started = time.monotonic()
    with manager.run_lock(RESULTS) as record:
        result_store.prepare_folder(RESULTS)
        before = finished.begin(options.config, config.results())
        if manager.is_locked():
            _unlock(options.config)
        outcome = snakemake_run.run(
            options.config,
            config.results(),
            record,
            options.device.partition(":")[0],
            profile,
            _limits(options, profile, choice),
            options.targets,
            options.force,
        )
        if not outcome.code and not options.targets:
            finished.save(options.config, config.results(), before)
    if outcome.code:
        sys.exit(outcome.code)
    taken = f"; {outcome.taken} of {outcome.done} jobs taken from the result store" if outcome.taken else ""
    if not outcome.done:
        print(f"nothing to do: {', '.join(options.targets) or _report_files(config.results() / 'report')}")
        return
    made = ", ".join(options.targets) or f"report: {_report_files(config.results() / 'report')}"
    print(f"{made}  ({_minutes(time.monotonic() - started)}{taken})")


def _report_files(folder: Path) -> str:
    return f"{folder / 'index.html'}  {folder / 'report.pdf'}"


def _choose_gpus(options: argparse.Namespace, profile: Profile) -> gpus.Choice | None:
    """Those of this computer, named to the jobs; a cluster gives its jobs theirs itself."""
    from zfrepro.running import gpu_lease, gpus

    if not profile.is_local:
        gpu_lease.forget()
        return None
    choice = gpus.choose(options.device, options.gpus, options.jobs_per_gpu)
    if line := gpus.describe(choice, options.device, _cores(options)):
        print(line, flush=True)
    os.environ.update(gpu_lease.variables(choice))
    return choice


def _limits(options: argparse.Namespace, profile: Profile, choice: gpus.Choice | None) -> list[str]:
    """Snakemake's options on what may run at once; a cluster's are in its profile."""
    cores = _cores(options)
    given = options.cores is not None or options.profile == "default"
    at_once = ["--resources", f"gpu={choice.slots if choice else cores}"] if profile.is_local else []
    return [*(["--cores", str(cores)] if given else []), *at_once]


def _cores(options: argparse.Namespace) -> int:
    return machine.cores() if options.cores is None else options.cores


def _unlock(config: Path) -> None:
    import subprocess

    from zfrepro.running import manager

    command = manager.snakemake_command(config, "--cores", "1", "--unlock")
    subprocess.run(command, check=False, capture_output=True, env=manager.environment())


def _check_pdf() -> None:
    """A missing library or font stops the run now, not after the training."""
    from zfrepro.report import system_libraries

    if message := system_libraries.explain_missing():
        raise UserError(message)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
