"""Print the GPUs that torch sees, as JSON: zfrepro/running/gpus.py runs this as a program, so that it need not load torch itself."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any


def list_gpus() -> list[dict[str, str]]:
    """In torch's order: `{"id": "GPU-5c1c...", "name": "NVIDIA H100 80GB HBM3"}`; ids as CUDA_VISIBLE_DEVICES takes them."""
    import torch

    amd = bool(torch.version.hip)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return describe([torch.cuda.get_device_properties(index) for index in range(count)], os.environ, amd)


def describe(properties: Sequence[Any], environment: Mapping[str, str], amd: bool) -> list[dict[str, str]]:
    """properties: of each GPU its name and, if torch knows it, its UUID."""
    given = given_ids(environment, amd)
    words = [given[index] if index < len(given) else str(index) for index in range(len(properties))]
    return [
        {"id": word if amd else _uuid(about) or word, "name": about.name}
        for about, word in zip(properties, words, strict=True)
    ]


def given_ids(environment: Mapping[str, str], amd: bool) -> list[str]:
    """The user's choice of GPUs, word by word; empty if there is none."""
    names = ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES") if amd else ("CUDA_VISIBLE_DEVICES",)
    text = next((environment[name] for name in names if name in environment), "")
    return [word.strip() for word in text.split(",") if word.strip()]


def _uuid(about: Any) -> str | None:
    """`GPU-5c1c...`, so that all runs on a machine name a GPU alike, whatever number it has for them.

    None for a slice of a GPU (MIG), which may have the UUID of the whole; AMD's driver takes no UUIDs here.
    """
    uuid = getattr(about, "uuid", None)
    return f"GPU-{str(uuid).removeprefix('GPU-')}" if uuid and " MIG " not in about.name else None


if __name__ == "__main__":
    print(json.dumps(list_gpus()))
