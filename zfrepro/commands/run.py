"""Run an experiment from pictures to report; the same command goes on after any stop."""

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
from zfrepro.running.snakemake_log import Reader


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    _check_pango()
    config = loading.load(options.config)
    loading.check_folders(config, str(options.config))
    started = time.monotonic()
    with manager.run_lock(RESULTS) as note:
        if manager.locked():
            _unlock(options.config)
        code = _snakemake(options, config, note)
    if code:
        sys.exit(code)
    report = config.results() / "report"
    print(f"report: {report / 'index.html'}  {report / 'report.pdf'}  ({_minutes(time.monotonic() - started)})")


def _parser() -> argparse.ArgumentParser:
    parser = manager.experiment_parser("run", __doc__)
    parser.add_argument("--cores", type=int, default=os.cpu_count(), metavar="N", help="default: all")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1; default: CUDA if there, else CPU")
    parser.add_argument("targets", nargs="*", help="files or rules to make, instead of the whole report")
    return parser


def _snakemake(options: argparse.Namespace, config: Config, note: Path) -> int:
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
    process = manager.start(command, note, output, options.device)
    group = json.loads(note.read_text())
    with Display(sys.stdout) as display:
        for line in _follow(output, process, stops):
            display.show(line)
    if stops:
        print("stopping; what is done stays, and the same command goes on from there", flush=True)
        manager.stop_group(process.pid, group["started"])
        return 128 + stops[0]
    if process.returncode:
        print(f"failed; all of Snakemake's words: {output}", file=sys.stderr)
    return process.returncode


def _follow(output: Path, process: subprocess.Popen, stops: list[int]) -> Iterator[object]:
    """Events as they are written, None where nothing was, until Snakemake ends or a stop is asked for."""
    reader = Reader()
    with open(output, encoding="utf-8", errors="replace") as file:
        ended, rest = False, ""
        while not stops:
            rest += file.read()
            *lines, rest = rest.split("\n")
            yield from reader.events(lines)
            if ended:
                return
            yield None
            ended = process.poll() is not None
            if not ended:
                time.sleep(0.2)


def _gpu_jobs(options: argparse.Namespace) -> int:
    """How many jobs that want the GPU may run at once: one on a GPU, as many as there are cores without."""
    on_cpu = options.device == "cpu" or (options.device == "auto" and shutil.which("nvidia-smi") is None)
    return options.cores if on_cpu else 1


def _unlock(config: Path) -> None:
    subprocess.run(manager.snakemake_command(config, "--cores", "1", "--unlock"), check=False, capture_output=True)


def _check_pango() -> None:
    """WeasyPrint needs a system library for the PDF; say so now, not after the training."""
    try:
        ctypes.CDLL("libpango-1.0.so.0")  # in a millisecond, where importing WeasyPrint takes a second
    except OSError:
        _check_weasyprint()


def _check_weasyprint() -> None:
    """Where Pango has another name, WeasyPrint itself knows."""
    try:
        importlib.import_module("weasyprint")
    except OSError as error:
        raise UserError(f"the PDF needs the system library Pango; install it with: {PANGO}") from error


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
