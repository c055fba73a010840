"""Windows of a network's maps along one axis: how far a change spreads upward, what a window of outputs reads from below."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.nn.modules.utils import _pair as pair

from zfrepro.core.nets import CeilConv2d


@dataclass(frozen=True)
class Axis:
    """Output o of a convolution or pooling reads the inputs o * stride - pad ... o * stride - pad + kernel - 1."""

    kernel: int  # inputs from the first to the last that is read; larger than the filter where that is dilated
    stride: int
    pad: int
    rounds_up: bool = False

    def count(self, size: int) -> int:
        """Outputs of a map of `size` places."""
        steps = size + 2 * self.pad - self.kernel
        return 1 + (-(-steps // self.stride) if self.rounds_up else steps // self.stride)

    def reached(self, low: int, high: int, count: int) -> tuple[int, int]:
        """Outputs (first, one past last), of `count`, that read any of the inputs low ... high - 1."""
        first = max(0, (low + self.pad - self.kernel) // self.stride + 1)
        return first, max(first, min(count, -(-(high + self.pad) // self.stride)))

    def read(self, start: int, width: int) -> tuple[int, int]:
        """Start and width of the inputs that `width` outputs from `start` on read; they may lie outside the map."""
        return start * self.stride - self.pad, (width - 1) * self.stride + self.kernel


def axes(child: nn.Conv2d | nn.MaxPool2d) -> tuple[Axis, Axis]:
    """Of rows and of columns."""
    sizes = (pair(getattr(child, key)) for key in ("kernel_size", "stride", "padding", "dilation"))
    rounds_up = isinstance(child, CeilConv2d) or getattr(child, "ceil_mode", False)
    rows, columns = (
        Axis(dilation * (kernel - 1) + 1, stride, pad, rounds_up)
        for kernel, stride, pad, dilation in zip(*sizes, strict=True)
    )
    return rows, columns
