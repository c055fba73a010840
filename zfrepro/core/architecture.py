"""The networks of the paper as data, and their arithmetic: sizes, parameters, receptive fields. No torch.

A network is a mapping from the paper's layer number (1-7) to what that layer does; layer 8 is the softmax. Sources: Fig 3
(improved), Krizhevsky et al. 2012 as replicated in Table 2 (baseline, dense), Table 3 (the variants).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, field_validator

from zfrepro.core.windows import Axis
from zfrepro.spec import Base


@dataclass(frozen=True)
class Conv:
    """Convolution and ReLU. Sizes round up, as in cuda-convnet: 1 + ceil((in + 2 pad - kernel) / stride)."""

    maps: int
    kernel: int
    stride: int = 1
    pad: int = 0


@dataclass(frozen=True)
class Pool:
    """Max pooling with overlapping windows, sizes round up."""

    kernel: int = 3
    stride: int = 2


@dataclass(frozen=True)
class Norm:
    """Local response normalisation across maps."""


@dataclass(frozen=True)
class Linear:
    """Fully connected layer, ReLU, dropout."""

    units: int


Op = Conv | Pool | Norm | Linear
KINDS: dict[type[Op], str] = {
    Conv: "conv",
    Pool: "pool",
    Norm: "norm",
    Linear: "full",
}  # as in names of layers, in files too

_UPPER = {
    3: (Conv(384, 3, pad=1),),
    4: (Conv(384, 3, pad=1),),
    5: (Conv(256, 3, pad=1), Pool()),
    6: (Linear(4096),),
    7: (Linear(4096),),
}
BASES: dict[str, dict[int, tuple[Op, ...]]] = {
    "baseline": {
        1: (Conv(96, 11, stride=4), Norm(), Pool()),
        2: (Conv(256, 5, pad=2), Norm(), Pool()),
        **_UPPER,
    },
    "improved": {
        1: (Conv(96, 7, stride=2), Pool(), Norm()),
        2: (Conv(256, 5, stride=2), Pool(), Norm()),
        **_UPPER,
    },
}
SOFTMAX_LAYER = 8
Count = Annotated[int, Field(ge=1, le=2**20)]


class Network(Base):
    """One row of Table 3: a base network, layers taken out, sizes changed."""

    base: Literal["baseline", "improved"] = Field(description="baseline (Krizhevsky's) or improved (Fig 3)")
    remove: tuple[int, ...] = Field((), description="layers to remove, from 3, 4, 5, 6, 7")
    maps: tuple[Count, Count, Count] = Field((384, 384, 256), description="maps of layers 3, 4, 5 at width 1")
    units: Count = Field(4096, description="units of layers 6 and 7 at width 1")

    @field_validator("remove")
    @classmethod
    def _removable(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if not set(layers) <= {3, 4, 5, 6, 7} or len(set(layers)) != len(layers):
            raise ValueError("only layers 3, 4, 5, 6 and 7 can be removed, each once")
        return tuple(sorted(layers))

    def layers(self) -> dict[int, tuple[Op, ...]]:
        """Layer number -> its operations, at width 1."""
        sizes = {3: self.maps[0], 4: self.maps[1], 5: self.maps[2], 6: self.units, 7: self.units}
        operations = {n: ops for n, ops in BASES[self.base].items() if n not in self.remove}
        if 5 in self.remove:  # pool5 stays: without it layer 6 would grow by what is asked to shrink
            operations[max(n for n in operations if n < 5)] += (Pool(),)
        return {n: tuple(_resized(op, sizes.get(n)) for op in ops) for n, ops in sorted(operations.items())}


@dataclass(frozen=True)
class Row:
    """One operation in place: `size` is the side of its output in pixels (1 for fully connected layers)."""

    layer: int
    name: str
    op: Op
    inputs: int  # maps or units coming in, after flattening for the first full layer
    outputs: int
    input_size: int
    size: int
    parameters: int
    field: int  # side of the receptive field of one output unit, input pixels
    jump: int  # distance of neighbouring output units, input pixels


def describe(network: Network, input_size: int = 224, classes: int = 1000, width: float = 1.0) -> list[Row]:
    """Every operation of a network with its sizes. Raises ValueError, naming the layer, where the input is too small."""
    rows: list[Row] = []
    maps, size, field, jump = 3, input_size, 1, 1
    for layer, ops in {**network.layers(), SOFTMAX_LAYER: (Linear(classes),)}.items():
        for op in ops:
            inputs, before = maps, size
            if isinstance(op, Conv | Pool):
                size, field, jump = _output_size(op, size, layer), field + (op.kernel - 1) * jump, jump * op.stride
            if isinstance(op, Conv):
                maps = scaled(op.maps, width)
            elif isinstance(op, Linear):
                inputs, maps, size = (
                    maps * size * size,
                    (classes if layer == SOFTMAX_LAYER else scaled(op.units, width)),
                    1,
                )
                field, jump = input_size, input_size
            parameters = _parameters(op, inputs, maps)
            rows.append(Row(layer, _name(op, layer), op, inputs, maps, before, size, parameters, field, jump))
    return rows


def parameter_count(rows: list[Row]) -> int:
    return sum(row.parameters for row in rows)


def scaled(maps: int, width: float) -> int:
    """A layer's maps at a width multiplier, in multiples of 8 (what vector units like), at least 8."""
    return maps if width == 1 else max(8, round(maps * width / 8) * 8)


def _resized(op: Op, size: int | None) -> Op:
    if isinstance(op, Conv) and size is not None:
        return Conv(size, op.kernel, op.stride, op.pad)
    return Linear(size) if isinstance(op, Linear) and size is not None else op


def _output_size(op: Conv | Pool, size: int, layer: int) -> int:
    axis = Axis(op.kernel, op.stride, op.pad if isinstance(op, Conv) else 0, rounds_up=True)
    if size + 2 * axis.pad < op.kernel:
        raise ValueError(
            f"layer {layer} has an input of {size}x{size} pixels, smaller than its {op.kernel}x{op.kernel} window"
        )
    return axis.count(size)


def _parameters(op: Op, inputs: int, outputs: int) -> int:
    if isinstance(op, Conv):
        return outputs * (inputs * op.kernel**2 + 1)
    return outputs * (inputs + 1) if isinstance(op, Linear) else 0


def _name(op: Op, layer: int) -> str:
    return f"{KINDS[type(op)]}{layer}"
