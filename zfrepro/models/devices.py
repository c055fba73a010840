"""Which device a stage computes on, in which precision, and the names of the hardware."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from zfrepro.errors import UserError
from zfrepro.storage import machine

if TYPE_CHECKING:
    import torch


def choose(name: str | torch.device = "auto", threads: int | None = None) -> torch.device:
    """auto: $ZFREPRO_DEVICE if set, else CUDA if available, else CPU; `threads`, if given, is how many cores torch uses.

    On CUDA float32 is then computed without TF32 in the whole process. Bits are not promised there: torch's deterministic
    algorithms stay off, since they slow every step of a training down, and another card, driver or version of cuDNN would give other
    bits all the same. Networks trained from several seeds show how far that moves a number.

    Raises UserError for a device that does not exist.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    name = os.environ.get("ZFREPRO_DEVICE", "auto") if name == "auto" else name
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device {name}: unknown device; use cpu, cuda or cuda:1") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device {name}: this torch finds no CUDA device; use --device cpu")
    if device.type == "cuda":
        _require(device)
        _keep_float32()
    return device


def _require(device: torch.device) -> None:
    import torch

    count = torch.cuda.device_count()
    if (device.index or 0) >= count:
        numbers = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise UserError(f"--device {device}: this torch finds {count} CUDA device{'s' * (count > 1)}; use {numbers}")


def _keep_float32() -> None:
    """float32 means float32: no TF32 (10 bits after the point instead of 23) in convolutions, torch's default, and in matrix
    products, which some containers switch on (TORCH_ALLOW_TF32_CUBLAS_OVERRIDE).

    For training too: whoever wants speed trains in bfloat16, which every card that has TF32 multiplies, twice as fast. Only the flags
    named here must be used: torch raises where old ones (allow_tf32) are read beside them.
    """
    import torch

    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined] # a module that replaces itself
    torch.backends.cuda.matmul.fp32_precision = "ieee"


def precision(name: str, device: torch.device) -> torch.dtype:
    """auto: bfloat16 where the hardware multiplies it natively, else float32."""
    import torch

    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.12 cannot tell
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32


def hardware(device: torch.device) -> str:
    """Name of what computes: `NVIDIA H100 80GB HBM3` or `AMD EPYC 9B14`."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else machine.cpu()


def describe(device: torch.device, precision_name: str) -> tuple[str, ...]:
    """What work that is continued must have in common with its beginning: device, precision; on a CPU its instruction set and the
    number of threads."""
    import torch

    on_cpu = (machine.instruction_set(), str(torch.get_num_threads())) if device.type == "cpu" else ()
    return (device.type, str(precision(precision_name, device)), *on_cpu)
