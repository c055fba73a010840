"""Run an experiment from images to report; after a stop, the same command resumes it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from zfrepro.running import finished
from zfrepro.running.options import experiment_parser
from zfrepro.storage import machine


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    if not options.targets and (report := finished.report_of(options.config)):
        print(f"nothing to do: {_report_files(report)}")
        return
    _run(options)


def _parser() -> argparse.ArgumentParser:
    parser = experiment_parser("run", __doc__)
    parser.add_argument(
        "--cores", type=int, default=machine.cores(), metavar="N", help="CPU cores to use; default: all that it may"
    )
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:1 (no GPU was tried yet); default: auto, a GPU if there is one",
    )
    parser.add_argument("targets", nargs="*", help="files or rules to build; default: the report")
    return parser


def _run(options: argparse.Namespace) -> None:
    from zfrepro.experiment import data_checks, loading, space_check
    from zfrepro.experiment.config import RESULTS
    from zfrepro.running import manager, snakemake_run
    from zfrepro.storage import result_store

    manager.adopt_writable_caches()
    if not options.targets:
        _check_pdf()
    config = loading.load(options.config)
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
            options.config, config.results(), record, options.device, options.cores, _gpu_jobs(options), options.targets
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


def _gpu_jobs(options: argparse.Namespace) -> int:
    """How many GPU jobs may run at once: one on a GPU, as many as there are cores on CPUs."""
    import shutil

    on_cpu = options.device == "cpu" or (options.device == "auto" and shutil.which("nvidia-smi") is None)
    return options.cores if on_cpu else 1


def _unlock(config: Path) -> None:
    import subprocess

    from zfrepro.running import manager

    command = manager.snakemake_command(config, "--cores", "1", "--unlock")
    subprocess.run(command, check=False, capture_output=True, env=manager.environment())


def _check_pdf() -> None:
    """A missing library or font stops the run now, not after the training."""
    from zfrepro.errors import UserError
    from zfrepro.report import system_libraries

    if message := system_libraries.explain_missing():
        raise UserError(message)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
