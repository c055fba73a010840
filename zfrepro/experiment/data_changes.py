"""Notice that the files of a data set changed since it was prepared: `results/NAME/data/<set>.txt` is an input of its rule.

The file says what lies in the folders now. It is written anew only if that differs from what `prepare` found (manifest.json), so a
`touch`, or an archive that `prepare` itself has unpacked, reruns nothing.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from zfrepro.datasets import contents
from zfrepro.datasets.contents import Contents
from zfrepro.experiment.config import Config
from zfrepro.stages import prepare


def note_files(config: Config) -> dict[str, Path]:
    """Set -> the file that says what lies in its folders; sets that are drawn have none."""
    return {name: config.results() / "data" / f"{name}.txt" for name in _folders(config)}


def note_changes(config: Config) -> None:
    """Write these files. Takes some seconds for a million images."""
    notes = note_files(config)
    for name, folders in _folders(config).items():
        manifest = config.results() / config.graph.outputs(("prepare", name))["manifest"]
        _note(notes[name], contents.of_folders(folders), manifest)


def _folders(config: Config) -> dict[str, list[Path]]:
    roots = {name: contents.roots(prepare.parse_options(spec)) for name, spec in config.prepare.items()}
    return {name: folders for name, folders in roots.items() if folders}


def _note(path: Path, now: Contents, manifest: Path) -> None:
    before = _recorded(manifest)
    text = f"{now}\n" if before in (None, now) else f"{now}\nbefore: {before}\n"
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if before == now:  # nothing is newer than the prepared set
        os.utime(path, ns=(manifest.stat().st_mtime_ns - 1,) * 2)


def _recorded(manifest: Path) -> Contents | None:
    """What `prepare` found; None if it has not run."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        record: dict[str, Any] = json.loads(manifest.read_bytes())["data"]
        return Contents(**record)
    return None
