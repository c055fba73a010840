"""Read what Snakemake prints: which jobs it starts, why, and how they end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

CHATTER = (
    "Using workflow specific profile",
    "Assuming unrestricted shared filesystem",
    "Using shell:",
    "host:",
    "Provided ",
)
FURTHER = "For further error details see"
LOG_SHOWN, FENCE = re.compile(r"Logfile .*:"), re.compile("={60,}")
REASON_LINES = 15  # shown of what Snakemake printed


@dataclass
class Job:
    """One job as Snakemake announces it."""

    rule: str
    id: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its wildcards: `improved`, `caltech101 random`; empty for the only job of its rule."""
        return " ".join(re.findall(r"\w+=([^,]+)", self.fields.get("wildcards", "")))

    @property
    def label(self) -> str:
        return f"{self.rule} {self.name}".strip()

    @property
    def key(self) -> tuple[str, ...]:
        """As in zfrepro/graph.py."""
        return (self.rule, *self.name.split())

    @property
    def log(self) -> str | None:
        return self.fields.get("log", "").split(" ")[0] or None

    @property
    def failure(self) -> str:
        """What Snakemake's executor says of a job that failed: `SLURM sbatch failed. ... Invalid partition name specified'.`"""
        message = self.fields.get("message", "None").partition("\n    sbatch call:")[0].partition(FURTHER)[0].strip()
        return "" if message == "None" else message

    @property
    def failure_logs(self) -> list[str]:
        """Of the job that failed: its own, and the cluster's on it."""
        return [name.split(" ")[0] for name in self.fields.get("logs", "").split(", ") if name]


@dataclass(frozen=True)
class Event:
    """kind: `start`, `finish`, `error` or `retry` of a job, or `total` with the number of all jobs as `count`, without the rule `all`."""

    kind: str
    job: Job | None = None
    count: int = 0


class Reader:
    """Turns lines of Snakemake's output into events; lines may come in several calls."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self._block: Job | None = None
        self._failed = False
        self._fences = 0  # lines `====` that are still to come around a log that Snakemake shows: a cluster's job is a Snakemake, too
        self._all = 0  # jobs of the rule `all`, which only names the targets: none if a run is asked for others

    def events(self, lines: Iterable[str]) -> Iterator[Event]:
        for line in lines:
            yield from self._line(line.rstrip("\n"))

    def _line(self, line: str) -> Iterator[Event]:
        if self._block is not None and self._is_message(self._block, line):
            self._block.fields["message"] += f"\n{line}"
            return
        if self._block is not None and not line.startswith("    "):
            yield self._end_block(self._block)
        if self._fences:
            self._fences -= bool(FENCE.fullmatch(line))
        elif LOG_SHOWN.fullmatch(line):
            self._fences = 2
        elif start := re.match(r"(?:local)?rule (\w+):$", line):
            self._block, self._failed = Job(start[1]), False
        elif start := re.match(r"Error in rule (\w+):$", line):
            self._block, self._failed = Job(start[1]), True
        elif self._block is not None and (pair := re.match(r"    (\w+): (.*)$", line)):
            self._block.fields[pair[1]] = pair[2]
        elif done := re.match(r"Finished jobid: (\d+)", line):
            yield Event("finish", self.jobs.get(done[1]))
        elif again := re.match(r"Trying to restart job (\d+)", line):
            yield Event("retry", self.jobs.get(again[1]))
        elif line == "Job stats:":
            self._all = 0
        elif targets := re.match(r"all +(\d+)$", line):
            self._all = int(targets[1])
        elif total := re.match(r"total +(\d+)$", line):
            yield Event("total", count=int(total[1]) - self._all)

    def _is_message(self, job: Job, line: str) -> bool:
        """Whether the line goes on with the message of a failure, whose lines are not indented; `jobid` comes after it."""
        return (
            self._failed
            and "message" in job.fields
            and not line.startswith("    jobid: ")
            and "jobid" not in job.fields
        )

    def _end_block(self, job: Job) -> Event:
        """After the block of indented lines on a job: it starts, or has failed."""
        self._block = None
        job.id = job.fields.get("jobid", "")
        if self._failed:
            started = self.jobs.get(job.id, Job(job.rule, job.id))
            failure = {"message": job.fields.get("message", "None"), "logs": job.fields.get("log", "")}
            return Event("error", replace(started, fields={**started.fields, **failure}))
        self.jobs[job.id] = job
        return Event("start", job)


def list_reasons(text: str) -> list[str]:
    """The last lines of what a Snakemake printed that failed before its first job, without those that it always prints."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith(CHATTER)][-REASON_LINES:]


def explain_reason(job: Job) -> str:
    """Why Snakemake starts the job, in a few words."""
    reason = job.fields.get("reason", "")
    if "Params have changed" in reason:
        return " and ".join(_changed_params(reason)) or "its rule changed"
    if "Missing output files" in reason:
        return "its output is missing"
    if "Input files updated by another job" in reason:
        return "its inputs will be rebuilt"
    if (notes := re.search(r"Updated input files: (\S+/data/\S+\.txt)", reason)) and job.rule == "prepare":
        return explain_data_change(Path(notes[1]))
    if "Updated input files" in reason:
        return f"newer input: {reason.partition('Updated input files:')[2].strip()}"
    if "Code has changed" in reason:
        return "its rule changed"
    if "Set of input files has changed" in reason:
        return "its list of input files changed"
    return reason or "requested"


def explain_data_change(note: Path) -> str:
    """`its data changed: 1,440 files before, 1,443 now`; note: see zfrepro/experiment/data_changes.py."""
    try:
        lines = note.read_text(encoding="utf-8").splitlines()
    except OSError:
        return "its data changed"
    now, before = (line.removeprefix("before: ").partition(" files")[0] for line in (lines[0], lines[-1]))
    return "its data changed" if now == before else f"its data changed: {before} files before, {now} now"


def _changed_params(reason: str) -> Iterator[str]:
    before, _, after = reason.partition(" before: ")[2].partition(" now: ")
    if "'code " in after:
        yield "its code changed"
    old, new = _settings(before), _settings(after)
    if old or new:
        keys = sorted(key for key in {**old, **new} if old.get(key) != new.get(key))
        yield f"its settings changed ({', '.join(keys)})" if keys else "its settings changed"


def _settings(text: str) -> dict[str, object]:
    """The JSON object among the params that Snakemake lists; empty if there is none."""
    if match := re.search(r"""(['"])(\{.*\})\1""", text):
        try:
            return json.loads(match[2].replace("\\'", "'").replace("\\\\", "\\"))
        except ValueError:
            return {"": match[2]}
    return {}
