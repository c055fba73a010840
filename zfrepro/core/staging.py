"""What passes between host and device: mini-batches of images that threads have read, and copies of a training's state.

On CUDA a copy that does not make the host wait needs page-locked memory, and it runs on a stream of its own beside the network. Two
events say when memory is free: `copied`, after which the host may overwrite its part, and `used`, after which the device may.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def slot(shape: Sequence[int], device: torch.device) -> Slot:
    return PinnedSlot(shape, device) if device.type == "cuda" else Slot(shape, device)


class Slot:
    """Room for one mini-batch, uint8, that is filled again and again: wait, fill `host`, upload, use, release."""

    def __init__(self, shape: Sequence[int], device: torch.device):
        self.device, self.host = device, torch.empty(tuple(shape), dtype=torch.uint8)

    def wait(self) -> None:
        """Until `host` may be overwritten. Any thread may wait."""

    def upload(self, count: int) -> Tensor:
        """The first `count` images on the device, until `release`."""
        return self.host[:count].to(self.device)

    def release(self) -> None:
        """The work that has been given to the device so far is the last that uses the images."""


class PinnedSlot(Slot):
    """The same for CUDA: nothing here makes the host wait but `wait`, which the reading threads call."""

    def __init__(self, shape: Sequence[int], device: torch.device):
        self.device = device
        self.host, self.pixels = _page_locked(shape), _on_device(shape, device)
        self.copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call] # sleeps instead of spinning
        self.used = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self.release()  # earlier work may still use the memory that `pixels` was given

    def wait(self) -> None:
        self.copied.synchronize()

    def upload(self, count: int) -> Tensor:
        stream = _copy_stream(self.device)
        with torch.cuda.stream(stream):
            stream.wait_event(self.used)
            self.pixels[:count].copy_(self.host[:count], non_blocking=True)
            self.copied.record(stream)
        torch.cuda.current_stream(self.device).wait_event(self.copied)
        return self.pixels[:count]

    def release(self) -> None:
        self.used.record(torch.cuda.current_stream(self.device))


def _page_locked(shape: Sequence[int]) -> Tensor:
    return torch.empty(tuple(shape), dtype=torch.uint8, pin_memory=True)


def _on_device(shape: Sequence[int], device: torch.device) -> Tensor:
    return torch.empty(tuple(shape), dtype=torch.uint8, device=device)


@functools.cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def copy_to_host(value: Any) -> Any:
    """The same dicts and lists with copies of their tensors on the CPU, which what happens to the originals does not change.

    The host waits once for all of them: from page-locked memory 500 MB take some 20 ms.
    """
    devices: set[torch.device] = set()
    copies = _start_copies(value, devices)
    for device in devices:
        torch.cuda.current_stream(device).synchronize()
    return copies


def _start_copies(value: Any, devices: set[torch.device]) -> Any:
    if isinstance(value, dict):
        return {key: _start_copies(part, devices) for key, part in value.items()}
    if isinstance(value, list):
        return [_start_copies(part, devices) for part in value]
    if not isinstance(value, Tensor):
        return value
    if value.is_cuda:
        devices.add(value.device)
    room = torch.empty(value.numel(), dtype=value.dtype, pin_memory=value.is_cuda)
    copy = room.as_strided(value.shape, value.stride())  # filters stay channels last
    return copy.copy_(value.detach(), non_blocking=value.is_cuda)
