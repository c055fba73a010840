"""Open a trained network: alone, or together with the split whose images it sees, each under its centre view."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from zfrepro.core.finite import require_finite
from zfrepro.errors import UserError
from zfrepro.models import devices
from zfrepro.storage import network_file
from zfrepro.storage.diverged import check_weights, explain_not_finite
from zfrepro.storage.not_measured import NotMeasurable
from zfrepro.storage.prepared_set import PreparedSet

if TYPE_CHECKING:
    import torch

    from zfrepro.core.crops import MeanSubtraction, View


class TrainedNetwork:
    """A network with finite weights on its device, and the conversion of crops to its inputs (channels last, mean subtracted).

    net, mean (S, S, 3), description; `size` is the side of its input, `view` the centre view of stored images.
    """

    def __init__(self, weights: Path, device: str | torch.device = "auto", threads: int | None = None):
        """Raises UserError for a foreign file, a training that diverged, and weights or a mean image that are not finite."""
        from zfrepro.core.crops import centre_view

        self.weights, self.device = weights, devices.choose(device, threads)
        self.net, self.mean, self.description = network_file.load(weights, self.device)
        with explain_not_finite(weights):
            check_weights(self.net.state_dict())
            require_finite(self.mean, "values", "mean image")
        self.size = self.description.input_size
        self.view: View = centre_view(self.mean.shape[0], self.size)

    @cached_property
    def subtract(self) -> MeanSubtraction:
        from zfrepro.core.crops import MeanSubtraction

        return MeanSubtraction(self.mean, self.device)

    @property
    def first_layer(self) -> torch.nn.Conv2d:
        return cast("torch.nn.Conv2d", self.net.get_submodule("conv1"))

    @property
    def convolution_layers(self) -> list[int]:
        """The paper's numbers of its convolution layers."""
        return [row.layer for row in self.description.rows() if row.name.startswith("conv")]

    def relu_of(self, layer: int) -> str:
        """Name of the child that rectifies a convolution layer's maps. Raises UserError where there is no such layer."""
        if layer not in self.convolution_layers:
            raise UserError(
                f"layer {layer}: the convolution layers of this network are {', '.join(map(str, self.convolution_layers))}"
            )
        return f"relu{layer}"

    def cut(self, images: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """uint8 (B, s, s, 3): the centre view of some of the stored images (N, S, S, 3)."""
        from zfrepro.core.crops import cut

        return cut(images, indices, self._views(len(indices)), self.size)

    def inputs(self, crops: np.ndarray) -> torch.Tensor:
        """uint8 (B, s, s, 3) -> float32 (B, 3, s, s)"""
        return self.subtract(crops, self._views(len(crops)))

    def subtract_mean(self, pixels: torch.Tensor) -> torch.Tensor:
        """Float pixels (B, 3, s, s), 0-255, as the centre view's inputs."""
        import torch

        black = self.inputs(np.zeros((1, self.size, self.size, 3), dtype=np.uint8))
        return (pixels + black).contiguous(memory_format=torch.channels_last)

    def _views(self, count: int) -> np.ndarray:
        return np.tile(np.array(self.view, dtype=np.int64), (count, 1))


class NetworkOnSplit(TrainedNetwork):
    """A trained network with one split of a prepared set: `images` is uint8 (N, S, S, 3), memory-mapped."""

    def __init__(self, weights: Path, manifest: Path, split: str, device: str = "auto", threads: int = 1):
        """Raises UserError also for a split that is missing, and a set stored at another size than the network's."""
        super().__init__(weights, device, threads)
        self.manifest, self.set, self.split = manifest, PreparedSet(manifest), split
        if split not in self.set.splits:
            raise NotMeasurable(f"the set has no split {split}; it has {', '.join(self.set.splits)}")
        self.images = self.set.images(split)
        if len(self.mean) != self.set.size:
            raise UserError(
                f"{manifest}: images of {self.set.size} px, but {weights} was trained on {len(self.mean)} px; prepare the set "
                "at that size"
            )

    def check_classes(self) -> None:
        """Raises UserError where the network was trained on other classes than the set's."""
        if tuple(self.set.classes) != self.description.classes:
            raise UserError(
                f"{self.weights}: trained on other classes than those of {self.manifest}; use the set it was trained on"
            )

    def crops(self, indices: np.ndarray) -> np.ndarray:
        """uint8 (B, s, s, 3): the centre views of some images."""
        return self.cut(self.images, indices)

    def boxes(self) -> np.ndarray:
        """float32 (N, 4): x0, y0, x1, y1 of the objects in input pixels, NaN where unknown."""
        top, left, _ = self.view
        return self.set.boxes(self.split) - np.array([left, top, left, top], dtype=np.float32)

    def batches(self, batch: int, positions: np.ndarray | None = None) -> Iterator[tuple[slice, torch.Tensor]]:
        """The whole split in order, or the images at these positions: (where, inputs (B, 3, s, s))."""
        from zfrepro.core.loading import Subset, fixed_view_batches

        images = self.set.reader(self.split)
        chosen = images if positions is None else Subset(images, positions)
        return fixed_view_batches(chosen, self.subtract, self.view, self.size, batch)
