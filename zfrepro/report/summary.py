"""What the site's index shows of a report: verdicts, key numbers, machine and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from zfrepro.report import training_setup

Plain = Mapping[str, Any]


def build_summary(spec: Any, exhibits: Sequence[Plain], origin: Plain, files: Mapping[str, int]) -> dict[str, Any]:
    """spec: the report's; files: path in the report's folder -> bytes."""
    board: Plain = next((exhibit["data"] for exhibit in exhibits if exhibit["name"] == "claims"), {})
    return {
        "experiment": spec.experiment,
        "title": spec.title,
        "subtitle": spec.subtitle,
        "made": origin["made"],
        "reductions": list(spec.reductions),
        "counts": dict(board.get("counts", {})),
        "claims": [_claim(claim) for claim in board.get("claims", ())],
        "highlights": [
            _highlight(exhibit["name"], highlight) for exhibit in exhibits for highlight in exhibit["highlights"]
        ],
        "training": training_setup.summarise(origin.get("networks", {}), origin),
        "hardware": {key: origin["hardware"][key] for key in ("cpu", "cores", "gpus")},
        "seconds": round(sum(stage["seconds"] for stage in origin["time"].values()), 1),
        "exhibits": [_exhibit(exhibit) for exhibit in exhibits],
        "files": dict(files),
    }


def _claim(claim: Plain) -> dict[str, Any]:
    keys = (
        "number",
        "says",
        "paper",
        "verdict",
        "value",
        "low",
        "high",
        "unit",
        "n",
        "of",
        "estimate",
        "part",
        "effect",
    )
    return {key: claim[key] for key in keys}


def _exhibit(exhibit: Plain) -> dict[str, Any]:
    plot = all(piece["plot"] for piece in exhibit["pieces"])
    return {**{key: exhibit[key] for key in ("name", "title", "paper")}, "plot": plot}


def _highlight(exhibit: str, highlight: Plain) -> dict[str, str]:
    return {**{key: highlight[key] for key in ("label", "ours", "paper")}, "exhibit": exhibit}


def sizes(folder: Path, unwritten: Mapping[str, str]) -> dict[str, int]:
    """Path -> bytes of every finished file in the report's folder but the summary; unwritten: texts that follow."""
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("[!.]*")) if path.is_file()}
    file_sizes = {name: path.stat().st_size for name, path in paths.items() if name != "summary.json"}
    return dict(sorted({**file_sizes, **{name: len(text.encode("utf-8")) for name, text in unwritten.items()}}.items()))


def format_date(iso_time: str) -> str:
    """`24 November 2026` of an ISO moment."""
    moment = datetime.fromisoformat(iso_time)
    return f"{moment.day} {moment:%B %Y}"
