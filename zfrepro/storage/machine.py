"""The name of this machine's processor."""

from __future__ import annotations

import platform
from pathlib import Path


def cpu() -> str:
    """`AMD EPYC 9B14`; what Python knows of the architecture where the system has no /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
