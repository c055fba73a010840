"""Build the paper's networks in torch from their description; one flat nn.Sequential with the paper's layer numbers.

Children are named conv1 relu1 pool1 norm1 ... flatten full6 relu6 dropout6 full7 relu7 dropout7 full8, so that a layer is
found by name and the deconvnet can walk the chain. Input: (B, 3, S, S), RGB minus the mean image, about -128..128.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.utils import _pair as pair

from zfrepro.core.architecture import SOFTMAX_LAYER, Conv, Linear, Network, Norm, Pool, Row, describe
from zfrepro.core.normalisation import CrossMapNorm

# For `he`: the share of He et al.'s standard deviation in the first and the last layer, and the biases of those between.
HE_PARTS = {"conv1": 0.1, "full8": 0.2}
HE_BIAS = 0.1


class CeilConv2d(nn.Conv2d):
    """Convolution whose output size rounds up: zeros are added at the right and bottom until the last window fits."""

    def forward(self, maps: Tensor) -> Tensor:
        bottom, right = (
            -(side + 2 * pad - dilation * (kernel - 1) - 1) % stride
            for side, pad, dilation, kernel, stride in zip(
                maps.shape[2:], pair(self.padding), self.dilation, self.kernel_size, self.stride, strict=True
            )
        )
        return super().forward(functional.pad(maps, (0, right, 0, bottom)) if bottom or right else maps)


def build(
    network: Network, input_size: int = 224, classes: int = 1000, width: float = 1.0, dropout: float = 0.5
) -> nn.Sequential:
    """A network with torch's default initial weights; see `initialise`."""
    children: OrderedDict[str, nn.Module] = OrderedDict()
    for row in describe(network, input_size, classes, width):
        if isinstance(row.op, Linear):
            children.setdefault("flatten", nn.Flatten())
        children.update(_modules(row, dropout))
    return nn.Sequential(children)


def initialise(net: nn.Sequential, scheme: str, seed: int, reference: dict[str, int] | None = None) -> None:
    """Fill the weights from `seed` and set the biases.

    scheme  gaussian: std 0.01 and biases 0, the paper's. matched: std 0.01 times the root of (full-size fan-in / fan-in), which
            keeps the full-size network's activations at reduced width; `reference` maps a layer's name to its full-size
            fan-in. he: for inputs scaled to about -4..4 and few epochs: std sqrt(2 / fan-in), a tenth of it in layer 1, so
            that what layer 1 learns soon outweighs what it began with, and a fifth in layer 8; biases 0.1 in layers 2 to 7.
            Small first scores and open rectifiers together shorten the time that the loss stays where chance has it.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, layer in net.named_children():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            std = _standard_deviation(scheme, name, layer.weight[0].numel(), reference)
            with torch.no_grad():
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * std)
                if layer.bias is not None:
                    layer.bias.fill_(HE_BIAS if scheme == "he" and name not in HE_PARTS else 0.0)


def to_device(net: nn.Sequential, device: torch.device | str) -> nn.Sequential:
    """The same network on a device, its filters channels last."""
    return net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return] # works since torch 1.5


def fan_ins(rows: list[Row]) -> dict[str, int]:
    """Layer name -> inputs of one unit."""
    return {row.name: row.parameters // row.outputs - 1 for row in rows if row.parameters}


def scores(net: nn.Sequential, images: Tensor) -> Tensor:
    """The same values and gradients as `net(images)`, sooner.

    A ReLU that a max pool follows is applied behind it, where a quarter of the values is left: the two commute.
    """
    children = list(net.children())
    order = iter(range(len(children)))
    for i in order:
        child, after = children[i], children[i + 1] if i + 1 < len(children) else None
        if isinstance(child, nn.ReLU) and isinstance(after, nn.MaxPool2d):
            images = child(after(images))
            next(order)
        else:
            images = child(images)
    return images


def layer_outputs(net: nn.Sequential, images: Tensor, layers: dict[str, int]) -> dict[int, Tensor]:
    """One forward pass, keeping the outputs of the named children: {"pool5": 5} -> {5: (B, C, H, W)}."""
    outputs = {}
    for name, child in net.named_children():
        images = child(images)
        if name in layers:
            outputs[layers[name]] = images
        if len(outputs) == len(layers):
            break
    return outputs


def last_child_of(net: nn.Sequential, layer: int) -> str:
    """Name of the last child of a paper layer: relu4, pool5, norm2, dropout7."""
    return [name for name, _ in net.named_children() if name.endswith(str(layer))][-1]


def clip_filters(net: nn.Sequential, rms: float) -> None:
    """Scale every convolution filter whose root mean square exceeds `rms` back to it (paper section 3); biases stay."""
    with torch.no_grad():
        for layer in net.children():
            if isinstance(layer, nn.Conv2d):
                size = layer.weight.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
                layer.weight.mul_((rms / size).clamp(max=1))


def _standard_deviation(scheme: str, name: str, fan_in: int, reference: dict[str, int] | None) -> float:
    if scheme == "gaussian":
        return 0.01
    if scheme == "matched":
        return 0.01 * float(((reference or {}).get(name, fan_in) / fan_in) ** 0.5)
    if scheme == "he":
        return float((2 / fan_in) ** 0.5) * HE_PARTS.get(name, 1.0)
    raise ValueError(f"unknown initialisation {scheme!r}")


def _modules(row: Row, dropout: float) -> dict[str, nn.Module]:
    op, layer = row.op, row.layer
    if isinstance(op, Conv):
        conv = CeilConv2d(row.inputs, row.outputs, op.kernel, op.stride, op.pad)
        return {f"conv{layer}": conv, f"relu{layer}": nn.ReLU()}
    if isinstance(op, Pool):
        return {f"pool{layer}": nn.MaxPool2d(op.kernel, op.stride, ceil_mode=True)}
    if isinstance(op, Norm):
        return {f"norm{layer}": CrossMapNorm(row.outputs)}
    assert isinstance(op, Linear)
    full: dict[str, nn.Module] = {f"full{layer}": nn.Linear(row.inputs, row.outputs)}
    if layer == SOFTMAX_LAYER:
        return full
    return full | {f"relu{layer}": nn.ReLU(), f"dropout{layer}": nn.Dropout(dropout)}
