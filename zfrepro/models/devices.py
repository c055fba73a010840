"""Which device a stage computes on, and in which precision."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zfrepro.errors import UserError

if TYPE_CHECKING:
    import torch


def choose(name: str = "auto") -> torch.device:
    """auto: $ZFREPRO_DEVICE if set, else CUDA if there, else CPU. Raises UserError for a device that is not there."""
    import torch

    name = os.environ.get("ZFREPRO_DEVICE", "auto") if name == "auto" else name
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device {name}: not a device; say cpu, cuda or cuda:1") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device {name}: this torch sees no CUDA device; say --device cpu")
    return device


def precision(name: str, device: torch.device) -> torch.dtype:
    """auto: bfloat16 where the hardware multiplies it natively, else float32."""
    import torch

    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    able = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.12 cannot tell
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32
