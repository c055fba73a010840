"""How many CPUs a process may use: by its affinity and by the quota of its control groups."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from zfrepro.storage import machine

NONE = Path("/nonexistent")


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of eight CPUs; returns its folder of control groups."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "OWN_CGROUPS", tmp_path / "own")
    return tmp_path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_gpu_is_looked_for_where_a_driver_is_and_the_user_hides_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hidden: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine, "AMD_DRIVER", tmp_path / "kfd")
    monkeypatch.setattr(machine, "CUDA_DRIVER", "libnosuch.so.1")
    assert not machine.has_gpu_driver()
    monkeypatch.setattr(machine, "CUDA_DRIVER", None)  # a library that is always there: Python itself
    assert machine.has_gpu_driver()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not machine.has_gpu_driver()


def test_a_gpu_of_amd_is_looked_for_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine, "CUDA_DRIVER", "libnosuch.so.1")
    monkeypatch.setattr(machine, "AMD_DRIVER", tmp_path)
    assert machine.has_gpu_driver()


def test_one_cpu_by_taskset_is_one_core(monkeypatch: pytest.MonkeyPatch, eight: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5})
    assert machine.cores() == 1


@pytest.mark.parametrize(
    ("group", "files", "cores"),
    [
        ("", {}, 8),  # no control groups
        ("0::/", {"cpu.max": "max 100000"}, 8),
        ("0::/", {"cpu.max": "300000 100000"}, 3),
        ("0::/", {"cpu.max": "250000 100000"}, 2),  # two and a half: three would wait for each other
        ("0::/", {"cpu.max": "50000 100000"}, 1),  # half a CPU
        ("0::/", {"cpu.max": "1600000 100000"}, 8),  # more than there are
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2),  # a batch system's group above
        ("0::/host/only", {"cpu.max": "400000 100000"}, 4),  # in a container, the path is the host's
        ("4:cpu,cpuacct:/job", {"cpu/job/cpu.cfs_quota_us": "200000", "cpu/job/cpu.cfs_period_us": "100000"}, 2),  # version 1
        ("4:cpu,cpuacct:/job", {"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"}, 8),
        ("3:memory:/job", {"cpu/job/cpu.cfs_quota_us": "100000", "cpu/job/cpu.cfs_period_us": "100000"}, 8),
        ("0::/", {"cpu.max": "broken"}, 8),
    ],
)  # fmt: skip
def test_the_quota_of_control_groups(eight: Path, group: str, files: dict[str, str], cores: int) -> None:
    _write(eight / "own", group)
    for name, text in files.items():
        _write(eight / name, text)
    assert machine.cores() == cores


def test_nothing_counts_cpus_without_asking_what_it_may_use() -> None:
    package = Path(machine.__file__).parents[1]
    users = [path.name for path in package.rglob("*.py") if "cpu_count" in path.read_text(encoding="utf-8")]
    assert users == ["machine.py"]
    assert "nproc" not in (package.parent / "Makefile").read_text(encoding="utf-8")


# What decides how numbers are added up


@pytest.mark.parametrize(
    ("text", "instructions", "bfloat16"),
    [
        ("processor : 0\nflags\t\t: fpu avx avx2 avx512f avx512_bf16\n", "avx512f", True),
        ("flags : fpu avx avx2\nmodel name : of no avx512f\n", "avx2", False),
        ("flags : fpu amx_bf16 avx512f\n\nprocessor : 1\nflags : fpu\n", "avx512f", True),
        ("flags : fpu avx512vl avx2_like\n", "", False),
        ("Features\t: fp asimd sve\n", "sve", False),
        ("", "", False),
    ],
)
def test_instructions_by_hand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, instructions: str, bfloat16: bool
) -> None:
    _write(tmp_path / "cpuinfo", text)
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    assert machine.instruction_set() == f"x86_64 {instructions}".strip()
    assert machine.multiplies_bfloat16() == bfloat16


def test_a_system_without_that_file_is_named_by_its_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CPU_INFO", NONE)
    assert machine.instruction_set() == machine.platform.machine()
    assert not machine.multiplies_bfloat16()


def test_the_cpus_of_a_slurm_job_are_obeyed_where_the_cluster_does_not_enforce_them(monkeypatch):
    monkeypatch.setattr(machine, "_quotas", lambda: iter(()))
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(64)))
    assert machine.cores() == 64
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "4")
    assert machine.cores() == 4


def test_a_batch_job_is_named(monkeypatch):
    for name in machine.BATCH_JOBS:
        monkeypatch.delenv(name, raising=False)
    assert machine.batch_job() == ""
    monkeypatch.setenv("PBS_JOBID", "7.server")
    assert machine.batch_job() == "PBS job 7.server"


def test_a_process_is_known_by_its_number_and_its_start():
    assert machine.has_process(os.getpid(), time.time())
    assert not machine.has_process(os.getpid(), 0.0)  # a later one with the same number
    assert not machine.has_process(2**22 + 1, time.time())


def test_each_start_of_the_machine_has_a_name(monkeypatch, tmp_path):
    assert machine.boot_id() == machine.boot_id()
    monkeypatch.setattr(machine, "BOOT", tmp_path / "none")
    assert machine.boot_id() == ""
