"""Windows of a network's maps along one axis: how far a change spreads upward, which inputs a window of outputs reads. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    Start = TypeVar("Start", int, Tensor)


@dataclass(frozen=True)
class Axis:
    """Output o of a convolution or pooling reads the inputs o * stride - pad ... o * stride - pad + kernel - 1."""

    kernel: int  # inputs from the first to the last that is read; larger than the filter where that is dilated
    stride: int
    pad: int
    rounds_up: bool = False
    begins_inside: bool = False  # torch's pools that round up drop a last window that would begin beyond the map

    def count(self, size: int) -> int:
        """Outputs of a map of `size` positions."""
        steps = size + 2 * self.pad - self.kernel
        count = 1 + (-(-steps // self.stride) if self.rounds_up else steps // self.stride)
        return count - (self.begins_inside and self.first_input(count - 1) >= size)

    def reached(self, low: int, high: int, count: int) -> tuple[int, int]:
        """Outputs (first, one past last), of `count`, that read any of the inputs low ... high - 1."""
        first = max(0, (low + self.pad - self.kernel) // self.stride + 1)
        return first, max(first, min(count, -(-(high + self.pad) // self.stride)))

    def first_input(self, output: Start) -> Start:
        """The first input that an output reads; it may lie outside the map."""
        return output * self.stride - self.pad

    def span(self, outputs: int) -> int:
        """How many inputs so many neighbouring outputs read, from the first to the last."""
        return (outputs - 1) * self.stride + self.kernel
