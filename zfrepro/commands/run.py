"""Run an experiment from images to report; after a stop, the same command resumes it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from zfrepro.running import finished
from zfrepro.running.options import experiment_parser


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    if not options.targets and (report := finished.report_of(options.config)):
        print(f"nothing to do: {_report_files(report)}")
        return
    _run(options)


def _parser() -> argparse.ArgumentParser:
    parser = experiment_parser("run", __doc__)
    parser.add_argument("--cores", type=int, default=os.cpu_count(), metavar="N", help="CPU cores to use; default: all")
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:1; default: auto, a GPU if there is one"
    )
    parser.add_argument("targets", nargs="*", help="files or rules to build; default: the report")
    return parser


def _run(options: argparse.Namespace) -> None:
    from zfrepro.experiment import loading
    from zfrepro.experiment.config import RESULTS
    from zfrepro.running import manager, snakemake_run
    from zfrepro.storage import result_store

    _check_pango()
    config = loading.load(options.config)
    loading.check_folders(config, str(options.config))
    started = time.monotonic()
    with manager.run_lock(RESULTS) as record:
        result_store.prepare_folder(RESULTS)
        finished.forget(config.results())
        if manager.is_locked():
            _unlock(options.config)
        outcome = snakemake_run.run(
            options.config, config.results(), record, options.device, options.cores, _gpu_jobs(options), options.targets
        )
        if not outcome.code and not options.targets:
            finished.save(options.config, config.results())
    if outcome.code:
        sys.exit(outcome.code)
    taken = f"; {outcome.taken} of {outcome.done} jobs taken from the result store" if outcome.taken else ""
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

    subprocess.run(manager.snakemake_command(config, "--cores", "1", "--unlock"), check=False, capture_output=True)


def _check_pango() -> None:
    """WeasyPrint needs a system library for the PDF; if it is missing, stop now, not after the training."""
    import ctypes

    try:
        ctypes.CDLL("libpango-1.0.so.0")  # takes a millisecond; importing WeasyPrint takes a second
    except OSError:
        _check_weasyprint()


def _check_weasyprint() -> None:
    """WeasyPrint itself finds Pango under other names."""
    import importlib

    from zfrepro.errors import UserError
    from zfrepro.report.pdf import PANGO

    try:
        importlib.import_module("weasyprint")
    except OSError as error:
        raise UserError(f"the PDF needs the system library Pango; install it with: {PANGO}") from error


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
