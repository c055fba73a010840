"""Read what Snakemake prints: which jobs it starts, why, how they end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass
class Job:
    """One job as Snakemake announces it."""

    rule: str
    id: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What tells it from the other jobs of its rule: `improved`, `caltech101 scratch`; empty if it is alone."""
        return " ".join(re.findall(r"\w+=([^,]+)", self.fields.get("wildcards", "")))

    @property
    def label(self) -> str:
        return f"{self.rule} {self.name}".strip()

    @property
    def log(self) -> str | None:
        return self.fields.get("log", "").split(" ")[0] or None


@dataclass(frozen=True)
class Event:
    """kind: `start`, `finish` or `error` of a job, or `total` with the number of all jobs in `count`."""

    kind: str
    job: Job | None = None
    count: int = 0


class Reader:
    """Feed it lines, get events."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self._block: Job | None = None
        self._failed = False

    def events(self, lines: Iterable[str]) -> Iterator[Event]:
        for line in lines:
            yield from self._line(line.rstrip("\n"))

    def _line(self, line: str) -> Iterator[Event]:
        if self._block is not None and not line.startswith("    "):
            yield self._announced()
        if start := re.match(r"(?:local)?rule (\w+):$", line):
            self._block, self._failed = Job(start[1]), False
        elif start := re.match(r"Error in rule (\w+):$", line):
            self._block, self._failed = Job(start[1]), True
        elif self._block is not None and (pair := re.match(r"    (\w+): (.*)$", line)):
            self._block.fields[pair[1]] = pair[2]
        elif done := re.match(r"Finished jobid: (\d+)", line):
            yield Event("finish", self.jobs.get(done[1]))
        elif total := re.match(r"total +(\d+)$", line):
            yield Event("total", count=int(total[1]))

    def _announced(self) -> Event:
        """The block of indented lines is over: a job starts, or has failed."""
        job, self._block = self._block, None
        job.id = job.fields.get("jobid", "")
        if self._failed:
            return Event("error", self.jobs.get(job.id, job))
        self.jobs[job.id] = job
        return Event("start", job)


def explain_reason(job: Job) -> str:
    """Snakemake's reason in a few plain words."""
    said = job.fields.get("reason", "")
    if "Params have changed" in said:
        return " and ".join(_changed_params(said)) or "its rule changed"
    if "Missing output files" in said:
        return "not made yet"
    if "Input files updated by another job" in said:
        return "what it reads is made anew"
    if "Updated input files" in said:
        return f"newer input: {said.partition('Updated input files:')[2].strip()}"
    if "Code has changed" in said:
        return "its rule changed"
    if "Set of input files has changed" in said:
        return "it reads other files"
    return said or "asked for"


def _changed_params(reason: str) -> Iterator[str]:
    before, _, now = reason.partition(" before: ")[2].partition(" now: ")
    if "'code " in now:
        yield "its code changed"
    settings = [_setting(text) for text in (before, now)]
    if any(settings):
        old, new = settings
        keys = sorted(key for key in {**old, **new} if old.get(key) != new.get(key))
        yield f"its settings changed ({', '.join(keys)})" if keys else "its settings changed"


def _setting(text: str) -> dict[str, object]:
    """The JSON object among the params that Snakemake lists, or nothing."""
    if found := re.search(r"""(['"])(\{.*\})\1""", text):
        try:
            return json.loads(found[2].replace("\\'", "'").replace("\\\\", "\\"))
        except ValueError:
            return {"": found[2]}
    return {}
