"""Run a stage, unless the result store has what it would compute."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from zfrepro.errors import UserError
from zfrepro.running import TAKEN, gpu_lease, job_key
from zfrepro.storage import artifacts, code_stamp, input_check, result_store
from zfrepro.storage.result_store import ResultStore
from zfrepro.storage.source_code import Kept, Package
from zfrepro.storage.store_folder import store_folder


def run(stage: str, module: ModuleType, arguments: dict[str, Any]) -> None:
    """Call `module.run(**arguments)`, or put the files of an equal job in place; leave a record of it beside them.

    Raises UserError for an input that is damaged: what came of it must not be stored.
    """
    root = None if stage in job_key.NOT_STORED else store_folder()
    out = Path(arguments["out"])
    if root is None:
        _remove_record(stage, out)
        _take_gpu(stage, arguments)
        module.run(**arguments)
        return
    store, kept = ResultStore(root), Kept(root)
    parts = _parts(stage, module, arguments, kept)
    if parts is not None and _take(store, stage, parts, out):
        return
    input_check.require_whole(job_key.input_paths(arguments), root / "checked")
    if _take_gpu(stage, arguments):  # a while may have passed; and where GPUs differ, the key tells which one it is
        parts = _parts(stage, module, arguments, kept)
        if parts is not None and _take(store, stage, parts, out):
            return
    _remove_record(stage, out)
    started = time.monotonic()
    with artifacts.record_written() as written:
        before = module.run(**arguments) or 0.0
    seconds = max(before, time.monotonic() - started)
    folder = result_store.folder_of(stage, out)
    names = [
        path.relative_to(folder).as_posix() for path in dict.fromkeys(written) if path == out or out in path.parents
    ]
    key = _store(store, stage, module, arguments, kept, parts, folder, names, seconds)
    _save_record(stage, out, key, taken=False, seconds=seconds)
    kept.save()


def _take_gpu(stage: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the job has waited for a GPU and now sees this one alone."""
    return gpu_lease.take(job_key.device_name(stage, arguments))


def _parts(stage: str, module: ModuleType, arguments: Mapping[str, Any], kept: Kept) -> dict[str, Any] | None:
    """None where an input cannot be read: the stage says so itself. None also if the code that this process has imported may be other
    than what is on disk now."""
    try:
        parts = job_key.key_parts(stage, module, arguments, Package(kept=kept))
        return parts if code_stamp.at_start() == code_stamp.now() else None
    except (OSError, UserError):
        return None


def _take(store: ResultStore, stage: str, parts: Mapping[str, Any], out: Path) -> bool:
    key = job_key.of_parts(parts)
    try:
        entry = store.take(key, result_store.folder_of(stage, out))
    except OSError as error:
        _log(note=f"{store.root}: not used, {result_store.explain(error)}")
        return False
    if entry is None:
        return False
    _save_record(stage, out, key, taken=True, seconds=entry.seconds)
    _log(note=f"the same settings, code and inputs have been computed before: {TAKEN}", key=key)
    return True


def _store(
    store: ResultStore,
    stage: str,
    module: ModuleType,
    arguments: Mapping[str, Any],
    kept: Kept,
    parts: Mapping[str, Any] | None,
    folder: Path,
    names: list[str],
    seconds: float,
) -> str | None:
    """The key under which the files are stored; None where they are not: that costs no result, only time later."""
    if parts is None or not names:
        return None
    if _parts(stage, module, arguments, kept) != parts:
        _log(note="not stored: code or inputs have changed while it was computed")
        return None
    if not job_key.is_device_right(arguments, parts):
        _log(note="not stored: torch has not computed on the device that this machine seems to have")
        return None
    key = job_key.of_parts(parts)
    try:
        store.add(key, stage, parts, folder, names, seconds)
    except OSError as error:
        _log(note=f"{store.root}: the result is not stored, {result_store.explain(error)}; the run goes on without")
        return None
    return key


def _remove_record(stage: str, out: Path) -> None:
    """Of an earlier result in the same place."""
    with suppress(OSError):
        result_store.record_path(stage, out).unlink()


def _save_record(stage: str, out: Path, key: str | None, taken: bool, seconds: float) -> None:
    """Without it the report shows other times, and `zfrepro store --prune` keeps less: no reason to lose a result."""
    record = {"key": key, "taken": taken, "seconds": round(seconds, 1)}
    try:
        artifacts.save_json(result_store.record_path(stage, out), record)
    except OSError as error:
        _log(note=f"{result_store.record_path(stage, out)}: not written, {result_store.explain(error)}")


def _log(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)
