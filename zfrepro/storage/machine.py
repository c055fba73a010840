"""What this process may compute with, as far as the system says so without torch."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
NVIDIA = Path("/proc/driver/nvidia/gpus")
CUDA_DRIVER, AMD_DRIVER = "libcuda.so.1", Path("/dev/kfd")
GPU_CHOICE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")  # variables that limit which GPUs a process sees
BOOT = Path("/proc/sys/kernel/random/boot_id")
BATCH_JOBS = {"SLURM_JOB_ID": "SLURM", "PBS_JOBID": "PBS", "LSB_JOBID": "LSF"}  # set in a job of a batch system

VECTORS = ("avx512f", "avx2", "avx", "sve", "asimd")  # instruction sets, the first that a processor has counts


def cpu() -> str:
    """`AMD EPYC 9B14`; what Python knows of the architecture where the system has no /proc/cpuinfo."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def cores() -> int:
    """CPUs that this process may use, at least 1: those of its affinity (taskset), within the quota of its control groups
    (containers, batch systems) and of its SLURM job, which not every cluster enforces."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min([count, *(int(quota) for quota in _quotas()), *_slurm_cores()]))


def _slurm_cores() -> Iterator[int]:
    if (number := os.environ.get("SLURM_CPUS_ON_NODE", "")).isdigit():
        yield int(number)


def boot_id() -> str:
    """Another one each time that the machine is started; empty where the system does not say."""
    try:
        return BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def has_process(pid: int, moment: float) -> bool:
    """Whether the process exists and is no later one with the same number; moment: a time at which it was at work."""
    import psutil

    try:
        return psutil.Process(pid).create_time() <= moment + 1
    except psutil.Error:
        return False


def batch_job() -> str:
    """`SLURM job 1234`; empty outside a batch system."""
    jobs = (f"{system} job {os.environ[name]}" for name, system in BATCH_JOBS.items() if os.environ.get(name))
    return next(jobs, "")


def _quotas() -> Iterator[float]:
    """CPUs that each control group of this process, and each above it, may use."""
    for folder in _cgroup_folders():
        if limits := _numbers(folder / "cpu.max"):  # version 2: `150000 100000`, or `max 100000`
            yield limits[0] / limits[-1]
        elif (quota := _numbers(folder / "cpu.cfs_quota_us")) and (period := _numbers(folder / "cpu.cfs_period_us")):
            yield quota[0] / period[0]  # version 1


def _cgroup_folders() -> Iterator[Path]:
    """`/sys/fs/cgroup/a/b`, `/sys/fs/cgroup/a`, `/sys/fs/cgroup`; of version 1 below the controller `cpu`.

    In a container the path may be one of the host's, of which only the uppermost folder is there.
    """
    try:
        lines = OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            top = CGROUPS / "cpu" if controllers else CGROUPS
            folder = top / path.lstrip("/")
            yield from (parent for parent in (folder, *folder.parents) if parent == top or top in parent.parents)


def _numbers(path: Path) -> list[float]:
    """Positive numbers of a file; empty for a file that is not there or says that there is no limit."""
    try:
        numbers = [float(word) for word in path.read_text(encoding="utf-8").split()]
    except (OSError, ValueError):
        return []
    return numbers if all(number > 0 for number in numbers) else []


def has_gpu_driver() -> bool:
    """Whether torch may see a GPU; it says so itself, but takes seconds to load. Without a driver this takes less than 1 ms."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return False
    return AMD_DRIVER.exists() or _can_load(CUDA_DRIVER)


def _can_load(library: str) -> bool:
    import ctypes

    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def gpus() -> list[str]:
    """Models of the NVIDIA GPUs that this process may use, sorted: `NVIDIA H100 80GB HBM3`."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return []
    lines = [line for path in NVIDIA.glob("*/information") for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(line.partition(":")[2].strip() for line in lines if line.startswith("Model:"))


def multiplies_bfloat16() -> bool:
    """Whether the processor itself does: see models/devices.precision."""
    return not _flags().isdisjoint({"avx512_bf16", "amx_bf16"})


def instruction_set() -> str:
    """`x86_64 avx2`: libraries choose by it how they add and multiply, so the last bits of a number differ between two of them."""
    flags = _flags()
    return " ".join([platform.machine(), *[vectors for vectors in VECTORS if vectors in flags][:1]])


def _flags() -> set[str]:
    """Of the first processor."""
    try:
        with open(CPU_INFO, encoding="utf-8", errors="replace") as lines:
            line = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    except OSError:
        return set()
    return set(line.partition(":")[2].split())
