"""What this machine computes with, as far as the system says so without torch."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
NVIDIA = Path("/proc/driver/nvidia/gpus")


def cpu() -> str:
    """`AMD EPYC 9B14`; what Python knows of the architecture where the system has no /proc/cpuinfo."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def gpus() -> list[str]:
    """Models of the NVIDIA GPUs that this process may use, sorted: `NVIDIA H100 80GB HBM3`."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return []
    lines = [line for path in NVIDIA.glob("*/information") for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(line.partition(":")[2].strip() for line in lines if line.startswith("Model:"))


def multiplies_bfloat16() -> bool:
    """Whether the processor itself does: see models/devices.precision."""
    try:
        flags = CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
