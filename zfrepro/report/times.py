"""How long jobs took: Snakemake's benchmark files, and for results that were taken from the store the record beside them."""

from __future__ import annotations

import csv
from pathlib import Path

from zfrepro.graph import Job, out_of
from zfrepro.storage import result_store


def benchmark_path(results: Path, job: Job) -> Path:
    """File in which Snakemake writes how long a job took."""
    return results / "benchmarks" / job[0] / f"{'-'.join(job[1:])}.tsv"


def read_cost(results: Path, job: Job) -> tuple[float, float] | None:
    """Seconds of computing and MB of a job; None if it was not measured.

    A result taken from the store counts with the seconds of the job that computed it, a training that was stopped with all of
    its parts.
    """
    path = benchmark_path(results, job)
    if not path.is_file():
        return None
    seconds, memory = read_benchmark(path)
    return max(seconds, _to_float(result_store.read_record(job[0], results / out_of(job)).get("seconds"))), memory


def read_benchmark(path: Path) -> tuple[float, float]:
    """Seconds and MB of one job; 0 MB for a job too short to be measured."""
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    seconds, memory = ([_to_float(line.get(column)) for line in lines] for column in ("s", "max_rss"))
    return sum(seconds), max(memory, default=0.0)


def _to_float(value: object) -> float:
    try:
        return float(value or 0)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0
