"""Which GPUs a run uses: those that torch sees, or the user's choice among them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from zfrepro.errors import UserError
from zfrepro.running.options import Wish
from zfrepro.storage import machine


@dataclass(frozen=True)
class Gpu:
    """id: as CUDA_VISIBLE_DEVICES takes it."""

    id: str
    name: str


@dataclass(frozen=True)
class Choice:
    """The GPUs of a run, and how many jobs may share one of them."""

    gpus: tuple[Gpu, ...]
    jobs_per_gpu: int = 1

    @property
    def slots(self) -> int:
        """How many jobs can use them at once."""
        return len(self.gpus) * self.jobs_per_gpu


def visible() -> list[Gpu]:
    """What torch sees, in its order; asked in another process, because loading torch takes seconds. A machine without the driver of a
    GPU is not asked. Raises UserError if torch cannot be loaded."""
    if not machine.has_gpu_driver():
        return []
    command = [sys.executable, "-m", "zfrepro.models.gpu_list"]
    process = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if process.returncode:
        reason = (process.stderr.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        raise UserError(f"torch cannot say which GPUs there are: {reason}; without one: --device cpu")
    return [Gpu(**about) for about in json.loads(process.stdout.splitlines()[-1])]


def choose(device: str, wish: Wish | None, jobs_per_gpu: int | None) -> Choice | None:
    """What a run uses; None: the CPU. Raises UserError for what is not there.

    Without a wish these are the GPUs of the model that torch takes first: results of different models differ in their last digits, and
    the weakest may be one that only drives a screen.
    """
    if device == "cpu":
        return None
    there = visible()
    numbers = _numbers(device, wish, there)
    wishes = {f"--gpus {_text(wish)}": wish, f"--device {device}": device != "auto", "--jobs-per-gpu": jobs_per_gpu}
    option = next((option for option, given in wishes.items() if given), None)
    if option and (not there or max(numbers) >= len(there)):
        raise UserError(f"{option}: {_explain(there)}")
    return Choice(tuple(there[number] for number in numbers), jobs_per_gpu or 1) if there else None


def _numbers(device: str, wish: Wish | None, there: Sequence[Gpu]) -> Sequence[int]:
    """Of the GPUs to use, in torch's order; they need not be there."""
    if ":" in device:
        return [int(device.partition(":")[2])]
    if isinstance(wish, tuple):
        return wish
    if wish is None:
        return [number for number, gpu in enumerate(there) if gpu.name == there[0].name]
    return range(len(there) if wish == "all" else int(wish))


def _text(wish: Wish | None) -> str:
    """As the user has written it."""
    return ",".join(map(str, wish)) if isinstance(wish, tuple) else str(wish)


def _explain(there: Sequence[Gpu]) -> str:
    """`torch sees 2 GPUs here: 0 (NVIDIA H100 80GB HBM3), 1 (Tesla T4)`"""
    limits = [f"{name}={os.environ[name]}" for name in machine.GPU_CHOICE if name in os.environ]
    within = f" within {' and '.join(limits)}" if limits else ""
    if not there:
        return f"torch sees no GPU here{within}; use --device cpu"
    gpus = ", ".join(f"{number} ({gpu.name})" for number, gpu in enumerate(there))
    return f"torch sees {len(there)} GPU{'s' * (len(there) > 1)} here{within}: {gpus}"


def describe(choice: Choice | None, device: str, cores: int) -> str:
    """`2 GPUs (NVIDIA H100 80GB HBM3), 1 job on each`; cores: each job takes one at least. Empty where the CPU is no surprise."""
    if choice is None:
        doubtful = device != "cpu" and machine.has_gpu_driver()
        return "torch sees no GPU, though a driver is there: the CPU computes" if doubtful else ""
    count, jobs = len(choice.gpus), choice.jobs_per_gpu
    names = ", ".join(dict.fromkeys(gpu.name for gpu in choice.gpus))
    few = f"; but {cores} jobs at once, as many as there are cores" if cores < choice.slots else ""
    return f"{count} GPU{'s' * (count > 1)} ({names}), {jobs} job{'s' * (jobs > 1)} {'on each' if count > 1 else 'at once'}{few}"
