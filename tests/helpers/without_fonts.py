"""A configuration of fontconfig that finds no font, as on a machine without any."""

from __future__ import annotations

import os
from pathlib import Path


def environment(folder: Path) -> dict[str, str]:
    """The environment of a process that finds no font; folder: for fontconfig's files."""
    path = folder / "fonts.conf"
    path.write_text(f"<fontconfig><cachedir>{folder / 'cache'}</cachedir></fontconfig>", encoding="utf-8")
    return {**os.environ, "FONTCONFIG_FILE": str(path)}
