"""Open a trained network together with the split it looks at, each picture under its centre view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zfrepro.errors import UserError
from zfrepro.models import checked_network, devices
from zfrepro.storage.prepared_set import PreparedSet

if TYPE_CHECKING:
    import torch


class Viewing:
    """net, description, the prepared set, and its pictures as network inputs (channels last, minus the network's mean)."""

    def __init__(self, weights: Path, images: Path, split: str, device: str, threads: int):
        import torch

        from zfrepro.core.crops import MeanSubtraction, centre_view

        torch.set_num_threads(threads)
        self.device = devices.choose(device)
        self.net, mean, self.description = checked_network.load(weights, self.device)
        self.set, self.split = PreparedSet(images), split
        self.files = images, weights
        self._check(images, weights, mean.shape[0])
        self.size = self.description.input_size
        self.view = centre_view(self.set.size, self.size)
        self.subtract = MeanSubtraction(mean, self.device)
        self.pictures = self.set.images(split)  # uint8 (N, S, S, 3), memory-mapped

    def _check(self, images: Path, weights: Path, mean_size: int) -> None:
        self.set.where(self.split)
        if mean_size != self.set.size:
            raise UserError(
                f"{images}: pictures of {self.set.size} px, {weights} was trained on {mean_size}; prepare at that size"
            )

    def check_classes(self) -> None:
        """Raises UserError where the network was trained on other classes than the set's."""
        images, weights = self.files
        if tuple(self.set.classes) != self.description.classes:
            raise UserError(
                f"{weights}: trained on other classes than those of {images}; give the set it was trained on"
            )

    def crops(self, indices: np.ndarray) -> np.ndarray:
        """uint8 (B, s, s, 3)"""
        from zfrepro.core.crops import cut

        return cut(self.pictures, indices, self._views(len(indices)), self.size)

    def inputs(self, crops: np.ndarray) -> torch.Tensor:
        """uint8 (B, s, s, 3) -> float32 (B, 3, s, s)"""
        return self.subtract(crops, self._views(len(crops)))

    def boxes(self) -> np.ndarray:
        """float32 (N, 4): x0, y0, x1, y1 of the objects in input pixels, NaN where unknown."""
        top, left, _ = self.view
        return self.set.boxes(self.split) - np.array([left, top, left, top], dtype=np.float32)

    def freed(self, pixels: torch.Tensor) -> torch.Tensor:
        """Float pixels (B, 3, s, s), 0-255, as the centre view's inputs."""
        import torch

        black = self.inputs(np.zeros((1, self.size, self.size, 3), dtype=np.uint8))
        return (pixels + black).contiguous(memory_format=torch.channels_last)

    def batches(self, batch: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """The whole split in order: (where, inputs (B, 3, s, s))."""
        from zfrepro.core.crops import fixed_view_batches

        return fixed_view_batches(self.pictures, self.subtract, self.view, self.size, batch)

    def rectified(self, layer: int) -> str:
        """Name of the child that rectifies a convolution layer's maps. Raises UserError where there is no such layer."""
        layers = [row.layer for row in self.description.rows() if row.name.startswith("conv")]
        if layer not in layers:
            raise UserError(f"layer {layer}: this network has convolution layers {', '.join(map(str, layers))} only")
        return f"relu{layer}"

    def _views(self, count: int) -> np.ndarray:
        return np.tile(np.array(self.view, dtype=np.int64), (count, 1))
