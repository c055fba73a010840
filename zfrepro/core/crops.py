"""Cut network inputs from stored images: training crops and flips, the centre view, the ten views.

Stored images are uint8 (N, S, S, 3); inputs are float32 (B, 3, s, s), RGB minus the mean image at the same position, about
-128..128 (paper section 3). Which crop a training image gets follows from (seed, epoch, index) alone.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

View = tuple[int, int, bool]  # top, left, mirrored


def ten_views(stored: int, size: int) -> list[View]:
    """The four corners and the centre, each also mirrored."""
    far, middle = stored - size, (stored - size) // 2
    corners = [(0, 0), (0, far), (far, 0), (far, far), (middle, middle)]
    return [(top, left, mirrored) for mirrored in (False, True) for top, left in corners]


def centre_view(stored: int, size: int) -> View:
    return (stored - size) // 2, (stored - size) // 2, False


def training_views(kind: str, count: int, stored: int, size: int, seed: int, epoch: int) -> np.ndarray:
    """int64 (count, 3): top, left, mirrored of every image's crop in one epoch.

    kind  ten: one of the ten views, the paper's sub-crops; random: any position, mirrored or not; centre: no augmentation.
    """
    generator = np.random.default_rng([seed, epoch, 1])
    if kind == "ten":
        return np.array(ten_views(stored, size), dtype=np.int64)[generator.integers(10, size=count)]
    if kind == "random":
        return generator.integers([stored - size + 1, stored - size + 1, 2], size=(count, 3))
    if kind == "centre":
        return np.tile(np.array(centre_view(stored, size), dtype=np.int64), (count, 1))
    raise ValueError(f"unknown kind of crop {kind!r}")


def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """int64 (count,): the order in which an epoch visits the images."""
    return np.random.default_rng([seed, epoch, 0]).permutation(count)


def cut(images: np.ndarray, indices: np.ndarray, views: np.ndarray, size: int) -> np.ndarray:
    """uint8 (B, size, size, 3): image indices[i] cut at views[i] = (top, left, mirrored), mirrored where asked."""
    out = np.empty((len(indices), size, size, 3), dtype=np.uint8)
    for row, (index, (top, left, mirrored)) in enumerate(zip(indices, views, strict=True)):
        window = images[index, top : top + size, left : left + size]
        out[row] = window[:, ::-1] if mirrored else window
    return out


class MeanSubtraction:
    """Turn cut images into network inputs on a device; the mean image (S, S, 3) is cut and mirrored alike.

    `scale` multiplies what is left after the subtraction; it is 1 for a saved network.
    """

    def __init__(self, mean: np.ndarray, device: torch.device, scale: float = 1.0):
        self.scale, self.device = scale, device
        self.offset = torch.from_numpy(np.ascontiguousarray(mean, dtype=np.float32)).to(device) * -scale
        self.mirrored = self.offset.flip(1)

    def __call__(self, crops: np.ndarray, views: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
        """uint8 (B, s, s, 3) and int (B, 3) -> (B, 3, s, s), channels last"""
        pixels = torch.from_numpy(crops).to(self.device, non_blocking=True)
        inputs = torch.empty(pixels.shape, dtype=dtype, device=self.device)
        for output, pixel, view in zip(
            inputs, pixels, views.tolist(), strict=True
        ):  # image by image: stays in the cache
            torch.add(self._window(view, crops.shape[1]), pixel, alpha=self.scale, out=output)
        return inputs.permute(0, 3, 1, 2)

    def from_stored(self, pixels: Tensor, views: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Whole images uint8 (B, S, S, 3) and int64 (B, 3), both on the device -> (B, 3, size, size), channels last.

        The same bits as cutting first: on a CPU image by image, on a GPU all at once and without waiting for it.
        """
        if self.device.type == "cpu":
            return self._cut_each(pixels, views.tolist(), size, dtype)
        return self._cut_all(pixels, views, size, dtype)

    def _cut_each(self, pixels: Tensor, views: list[list[int]], size: int, dtype: torch.dtype) -> Tensor:
        inputs = torch.empty((len(pixels), size, size, 3), dtype=dtype)
        for output, image, view in zip(inputs, pixels, views, strict=True):
            top, left, mirrored = view
            window = image[top : top + size, left : left + size]
            window = window.flip(1) if mirrored else window  # torch's is ten times as fast as numpy's here
            torch.add(self._window(view, size), window, alpha=self.scale, out=output)
        return inputs.permute(0, 3, 1, 2)

    def _cut_all(self, pixels: Tensor, views: Tensor, size: int, dtype: torch.dtype) -> Tensor:
        """Subtraction first, in one pass over whole images; the rest is one look-up by row and column."""
        whole = torch.empty(pixels.shape, dtype=dtype, device=pixels.device)
        torch.add(self.offset, pixels, alpha=self.scale, out=whole)
        top, left, mirrored = views.unbind(1)
        step, number = (torch.arange(n, device=pixels.device) for n in (size, len(pixels)))
        rows = (number * pixels.shape[1] + top)[:, None] + step
        columns = left[:, None] + torch.where(mirrored[:, None] != 0, size - 1 - step, step)
        return whole.flatten(0, 1)[rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def _window(self, view: list[int], size: int) -> Tensor:
        top, left, mirrored = view
        if mirrored:
            left = self.offset.shape[1] - size - left
        return (self.mirrored if mirrored else self.offset)[top : top + size, left : left + size]
