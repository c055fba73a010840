"""Run an experiment from images to report; after a stop, the same command resumes it."""

from __future__ import annotations

import argparse
import ctypes
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from zfrepro.errors import UserError
from zfrepro.experiment import loading
from zfrepro.experiment.config import RESULTS, Config
from zfrepro.report.pdf import PANGO
from zfrepro.running import manager
from zfrepro.running.progress import Display
from zfrepro.running.snakemake_log import Event, Reader


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    _check_pango()
    config = loading.load(options.config)
    loading.check_folders(config, str(options.config))
    started = time.monotonic()
    with manager.run_lock(RESULTS) as record:
        if manager.is_locked():
            _unlock(options.config)
        code = _snakemake(options, config, record)
    if code:
        sys.exit(code)
    report = config.results() / "report"
    print(f"report: {report / 'index.html'}  {report / 'report.pdf'}  ({_minutes(time.monotonic() - started)})")


def _parser() -> argparse.ArgumentParser:
    parser = manager.experiment_parser("run", __doc__)
    parser.add_argument("--cores", type=int, default=os.cpu_count(), metavar="N", help="CPU cores to use; default: all")
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:1; default: auto, a GPU if there is one"
    )
    parser.add_argument("targets", nargs="*", help="files or rules to build; default: the report")
    return parser


def _snakemake(options: argparse.Namespace, config: Config, record: Path) -> int:
    command = manager.snakemake_command(
        options.config,
        "--cores",
        str(options.cores),
        "--resources",
        f"gpu={_gpu_jobs(options)}",
        "--",
        *options.targets,
    )
    output = config.results() / "logs" / "snakemake.log"
    stops: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: stops.append(received))
    process = manager.start(command, record, output, options.device)
    group = json.loads(record.read_text())
    with Display(sys.stdout) as display:
        for event in _follow(output, process, stops):
            display.show(event)
    if stops:
        print("Stopping ...", flush=True)
        manager.stop_group(process.pid, group["started"])
        print("Stopped. Run the same command to resume.", flush=True)
        return 128 + stops[0]
    if process.returncode:
        print(f"Failed. Full log: {output}", file=sys.stderr)
    return process.returncode


def _follow(output: Path, process: subprocess.Popen, stops: list[int]) -> Iterator[Event | None]:
    """Events as Snakemake writes them, None after each read, until it ends or a stop signal arrives."""
    reader = Reader()
    with open(output, encoding="utf-8", errors="replace") as file:
        ended, incomplete = False, ""
        while not stops:
            incomplete += file.read()
            *lines, incomplete = incomplete.split("\n")
            yield from reader.events(lines)
            if ended:
                return
            yield None
            ended = process.poll() is not None
            if not ended:
                time.sleep(0.2)


def _gpu_jobs(options: argparse.Namespace) -> int:
    """How many GPU jobs may run at once: one on a GPU, as many as there are cores on CPUs."""
    on_cpu = options.device == "cpu" or (options.device == "auto" and shutil.which("nvidia-smi") is None)
    return options.cores if on_cpu else 1


def _unlock(config: Path) -> None:
    subprocess.run(manager.snakemake_command(config, "--cores", "1", "--unlock"), check=False, capture_output=True)


def _check_pango() -> None:
    """WeasyPrint needs a system library for the PDF; if it is missing, stop now, not after the training."""
    try:
        ctypes.CDLL("libpango-1.0.so.0")  # takes a millisecond; importing WeasyPrint takes a second
    except OSError:
        _check_weasyprint()


def _check_weasyprint() -> None:
    """WeasyPrint itself finds Pango under other names."""
    try:
        importlib.import_module("weasyprint")
    except OSError as error:
        raise UserError(f"the PDF needs the system library Pango; install it with: {PANGO}") from error


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
