"""Inner products of all images' features, of those the training images of a fold see, standardised.

They are computed in float32 on every device: features are stored as float16, so the rounding of the products is far below theirs. What
multiplies float32 in less (TF32) must be off, as it is unless someone turns it on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zfrepro.core.finite import require_finite

COLUMNS = 4096  # features read at once
ROWS = 2048  # images whose products are computed at once: only with themselves and those after them


def gram(features: np.ndarray, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
    """(N, N) inner products of features (N, D), float16 or float32."""
    parts = (features[:, start : start + COLUMNS] for start in range(0, features.shape[1], COLUMNS))
    return gram_of_parts(parts, len(features), device, dtype)


def gram_of_parts(
    parts: Iterable[np.ndarray], count: int, device: torch.device | str, dtype: torch.dtype = torch.float32
) -> Tensor:
    """(N, N) inner products of features (N, D) that come as parts (N, d) of their columns, so that never all are in memory.

    They are taken from the mean of all rows: nearer to 0 fewer digits are lost. `standardise` takes them from its training
    images' mean, whatever this one was. Raises NotFiniteError.
    """
    products = torch.zeros(count, count, dtype=dtype, device=device)
    for part in parts:
        columns = require_finite(torch.from_numpy(np.array(part)).to(device).to(dtype), "features")
        _add_products(products, columns - columns.mean(0))
    for start in range(0, count, ROWS):
        products[start + ROWS :, start : start + ROWS] = products[start : start + ROWS, start + ROWS :].T
    return products


def _add_products(products: Tensor, columns: Tensor) -> None:
    """To the blocks on the diagonal and right of it; the others are their mirror images."""
    for start in range(0, len(columns), ROWS):
        products[start : start + ROWS, start:].addmm_(columns[start : start + ROWS], columns[start:].T)


@dataclass(frozen=True)
class Products:
    """Inner products of standardised images: (n, n) of the training images, (m, n) of the test images with them."""

    train: Tensor
    test: Tensor


def standardise(gram: Tensor, train: np.ndarray, test: np.ndarray) -> Products:
    """Products of the images at positions `train` (n,) and `test` (m,), taken from the training images' mean and scaled so that the
    training images' mean squared length is 1."""
    columns = torch.from_numpy(train).to(gram.device)
    inner, outer = (gram[torch.from_numpy(rows).to(gram.device)[:, None], columns] for rows in (train, test))
    means = inner.mean(0)
    inner = inner.sub_(means).sub_(means[:, None]).add_(means.mean())
    outer = outer.sub_(means).sub_(outer.mean(1, keepdim=True))
    square = inner.trace() / len(train)
    scale = torch.where(square > 0, square, 1.0)  # 0: images that are all alike
    return Products(inner.div_(scale), outer.div_(scale))
