"""Start Snakemake on an experiment and show its jobs until all have ended, one has failed, or a signal stops it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zfrepro.running import manager
from zfrepro.running.profiles import Profile
from zfrepro.running.progress import Display
from zfrepro.running.snakemake_log import Event, Reader, list_reasons


@dataclass(frozen=True)
class Outcome:
    """code: exit status. done: jobs that were finished, taken: those of them whose results were in the store."""

    code: int
    done: int
    taken: int


def run(
    config: Path,
    results: Path,
    record: Path,
    device: str,
    profile: Profile,
    limits: Sequence[str],
    targets: Sequence[str],
    force: bool = False,
) -> Outcome:
    """record: of the manager, see manager.run_lock; limits: options of Snakemake; targets: empty for the report; force: also build
    targets that are up to date."""
    options = ["--rerun-incomplete", *limits, *(["--force"] if force else [])]
    command = manager.snakemake_command(config, *options, "--", *targets, profile=profile)
    output = results / "logs" / "snakemake.log"
    stops: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: stops.append(received))
    process = manager.start(command, record, output, device, profile.executor)
    recorded = json.loads(record.read_text(encoding="utf-8"))
    with Display(sys.stdout) as display:
        for event in _follow(output, process, stops):
            display.show(event)
    if stops:
        print(f"Stopping ...{'' if profile.is_local else ' the jobs on the cluster save their progress'}", flush=True)
        manager.stop(recorded)
        print("Stopped. Run the same command to resume.", flush=True)
        return Outcome(128 + stops[0], display.done, display.taken)
    if process.returncode:
        manager.cancel_on_cluster(recorded)  # what a Snakemake that crashed has left
        if not display.started:
            print(explain_early_failure(output), file=sys.stderr)
        print(f"Failed. Full log: {output}", file=sys.stderr)
    return Outcome(process.returncode, display.done, display.taken)


def explain_early_failure(output: Path) -> str:
    """The end of the log of a Snakemake that failed before its first job: its reason, which no job's log holds."""
    reasons = list_reasons(output.read_text(encoding="utf-8", errors="replace"))
    return "\n".join(["Snakemake failed before the first job:", *(f"    {line}" for line in reasons)])


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
