"""What a stage cannot measure on these data is recorded as its result, with the reason: the rest of the report is not lost.

It is known only once the images are prepared, so the jobs before it have been paid for.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

from zfrepro.errors import UserError
from zfrepro.storage import artifacts

KEY = "not_measured"  # of the JSON that a stage writes

Parameters = ParamSpec("Parameters")
Run = Callable[Parameters, None]


class NotMeasurable(UserError):
    """Why these data do not hold what a stage measures; one clause, which the report prints."""


def records_not_measurable(*files: str) -> Callable[[Run[Parameters]], Run[Parameters]]:
    """A stage's `run` that writes these files of `out` also where it raises NotMeasurable: the JSON holds the reason alone, the
    arrays are none."""

    def decorate(run: Run[Parameters]) -> Run[Parameters]:
        signature = inspect.signature(run)

        @functools.wraps(run)
        def run_or_record(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
            try:
                run(*args, **kwargs)
            except NotMeasurable as reason:
                _record(signature.bind(*args, **kwargs).arguments["out"], files, str(reason))

        return run_or_record

    return decorate


def reason_of(record: Any) -> str:
    """Of what a stage's JSON holds; "" for what was measured."""
    return str(record.get(KEY, "")) if isinstance(record, dict) else ""


def read_reason(path: Path) -> str:
    """The same of a file; "" for one of another kind, or none."""
    return reason_of(artifacts.load_json(path)) if path.suffix == ".json" and path.is_file() else ""


def _record(out: Path, files: tuple[str, ...], reason: str) -> None:
    print(json.dumps({KEY: reason}), flush=True)
    for name in sorted(files, key=lambda name: name.endswith(".json")):
        if name.endswith(".json"):
            artifacts.save_json(out / name, {KEY: reason})
        else:
            artifacts.save_arrays(out / name)
