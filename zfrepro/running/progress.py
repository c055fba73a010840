"""Show the progress of a run: bars on a terminal, elsewhere one line per finished job."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from zfrepro.running import TAKEN
from zfrepro.running.snakemake_log import Event, Job

LOG_TAIL = 15  # lines shown of a failed job's log
PROGRESS_FIELDS = {  # key of a job's log line -> its label
    "epoch": "epoch",
    "done": "done",
    "of": "of",
    "loss": "loss",
    "val_top1_error": "top-1 error",
    "accuracy": "accuracy",
}


class Display:
    """Prints the events of a run. A context manager; `show` takes an Event, or None to refresh the bars."""

    def __init__(self, stream: TextIO):
        self.console = Console(file=stream, highlight=False, soft_wrap=True, markup=False)
        self.done, self.taken, self.started, self.total = 0, 0, 0, 0
        self.running: dict[str, tuple[Job, float, TaskID]] = {}  # job id -> job, start, bar
        columns = (
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            "{task.fields[progress]}",
        )
        self.bars = Progress(
            *(TextColumn(column, markup=False) if isinstance(column, str) else column for column in columns),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self.all_jobs = self.bars.add_task("all jobs", total=None, progress="")

    def __enter__(self) -> Display:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def show(self, event: Event | None) -> None:
        if event is None:
            self._refresh()
        elif event.kind == "total" and not self.total:
            self.total = event.count
        elif event.job is not None and event.job.rule != "all":
            {"start": self._start, "finish": self._finish, "error": self._error, "retry": self._retry}[event.kind](
                event.job
            )

    def _start(self, job: Job) -> None:
        self.started += 1
        self.running[job.id] = (job, time.monotonic(), self.bars.add_task(f"  {job.label}", total=None, progress=""))

    def _finish(self, job: Job) -> None:
        self.done += 1
        seconds, taken = self._end(job), job.log is not None and TAKEN in _last_line(Path(job.log))
        self.taken += taken
        self._print(f"{self.done}/{self.total}  {job.label}  {'from the store' if taken else f'{seconds:.0f} s'}")

    def _error(self, job: Job) -> None:
        self._print(f"FAILED  {job.label}  after {self._end(job):.0f} s")
        lines = [f"    {line}" for line in job.failure.splitlines()]
        log = next((path for path in map(Path, job.failure_logs) if _has_text(path)), None)
        if log is not None:
            tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
            lines += [f"    {line}" for line in [f"{log}:", *tail]]
        if lines:
            self.console.print("\n".join(lines))

    def _retry(self, job: Job) -> None:
        self._print(f"again   {job.label}")

    def _end(self, job: Job) -> float:
        """Remove the job's bar; returns how many seconds it ran."""
        _, started, bar = self.running.pop(job.id, (job, time.monotonic(), None))
        if bar is not None:
            self.bars.remove_task(bar)
        return time.monotonic() - started

    def _print(self, text: str) -> None:
        self.console.print(f"{time.strftime('%H:%M:%S')}  {text}")

    def _refresh(self) -> None:
        if self.console.is_terminal:
            self.bars.update(self.all_jobs, completed=self.done, total=self.total or None)
            for job, _, bar in self.running.values():
                self.bars.update(bar, progress=latest_progress(Path(job.log)) if job.log else "")


def latest_progress(log: Path) -> str:
    """The last JSON line of a job's log in short, `epoch 3, of 16, loss 1.2`; empty if there is none."""
    try:
        record = json.loads(_last_line(log))
        return ", ".join(f"{label} {record[key]:.4g}" for key, label in PROGRESS_FIELDS.items() if key in record)
    except (ValueError, TypeError):
        return ""


def _has_text(log: Path) -> bool:
    return log.is_file() and log.stat().st_size > 0


def _last_line(log: Path) -> str:
    """Empty for a log that is empty or cannot be read."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - 2000))
            return file.read().decode("utf-8", "replace").splitlines()[-1]
    except (OSError, IndexError):
        return ""
