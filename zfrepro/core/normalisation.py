"""Local response normalisation across maps, in Krizhevsky's formula, fast on CPU and GPU.

    b_i = a_i / (k + alpha * sum of a_j^2 over the n maps j around i) ^ beta        (alpha is not divided by n)

The sum over neighbouring maps is a 1x1 convolution of the squares with a banded matrix, which costs a fraction of
torch.nn.LocalResponseNorm's padded 3-d average pooling.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class CrossMapNorm(nn.Module):
    """(B, C, H, W) -> same shape. Defaults are Krizhevsky's k = 2, n = 5, alpha = 1e-4, beta = 0.75."""

    band: Tensor  # (maps, maps, 1, 1): 1 where two maps are neighbours, else 0

    def __init__(self, maps: int, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k
        order = torch.arange(maps)
        band = ((order[:, None] - order[None, :]).abs() <= size // 2).float()
        self.register_buffer("band", band[:, :, None, None], persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        return _normalise(maps, self.band, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{len(self.band)}, size={self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class _Normalise(torch.autograd.Function):
    """y = a * s^-beta with s = k + alpha * band(a^2). Works in place where it can: these passes are bound by memory.

    Autocast is off inside, so that all of it stays in the type of `maps`: CUDA's would give rsqrt in float32, and the backward
    pass, where autocast is off, would meet two types.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, band: Tensor, alpha: float, beta: float, k: float) -> Tensor:
        with _without_autocast(maps.device):
            band = band.to(maps.dtype)
            scale = functional.conv2d(maps * maps, alpha * band, band.new_full((len(band),), k))
            power = _power(scale, beta)
            ctx.save_for_backward(maps, scale, power, band)
            ctx.factor = -2 * alpha * beta
            return maps * power

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        maps, scale, power, band = ctx.saved_tensors
        with _without_autocast(maps.device):
            grad = grad.to(maps.dtype)
            through = grad * power
            across = functional.conv2d((through * maps).div_(scale), ctx.factor * band)  # the band is symmetric
            return through.addcmul_(maps, across), None, None, None, None


_normalise: Callable[[Tensor, Tensor, float, float, float], Tensor] = _Normalise.apply


def _without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Some devices, `meta` among them, have no autocast."""
    return torch.autocast(device.type, enabled=False) if torch.amp.is_autocast_available(device.type) else nullcontext()


def _power(scale: Tensor, beta: float) -> Tensor:
    """scale ^ -beta; two square roots where beta is 0.75, several times cheaper than pow."""
    if beta != 0.75:
        return scale.pow(-beta)
    root = scale.rsqrt()
    return root.sqrt().mul_(root)
