"""Where the result store lies."""

from __future__ import annotations

import os
from pathlib import Path

from zfrepro.storage import paths

VARIABLE = "ZFREPRO_STORE"  # a folder, or `none`


def store_folder(results: Path = Path("results")) -> Path | None:
    """Below the results in the current folder, unless $ZFREPRO_STORE names another; None if it says none, or no results exist."""
    setting = os.environ.get(VARIABLE, "")
    if setting:
        return None if setting == "none" else paths.resolve(setting)
    return results / ".store" if results.is_dir() else None
