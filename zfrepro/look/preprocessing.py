"""From a photograph to a network's input, as torchvision does it: resize the shorter side, cut the centre, normalise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import torch

Three = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    size: int = 224  # pixels, of the input
    resized: int = 256  # pixels, of the shorter side before the centre is cut
    mean: Three = (0.485, 0.456, 0.406)  # ImageNet's, of values 0 ... 1
    deviation: Three = (0.229, 0.224, 0.225)
    bicubic: bool = False

    def changed(self, size: int | None, mean: Three | None, deviation: Three | None) -> Preprocessing:
        """With some values replaced; the share of the photograph that is seen stays."""
        size = size or self.size
        resized = round(size * self.resized / self.size)
        return replace(self, size=size, resized=resized, mean=mean or self.mean, deviation=deviation or self.deviation)

    def pixels(self, image: Image.Image) -> np.ndarray:
        """uint8 (size, size, 3) of an RGB picture: resize and centre crop as one resampling.

        Both at once, since the resized picture as a whole may be huge: a strip of 1 x 30000 pixels would become 256 x 7680000.
        """
        short = min(image.size)
        sides = [self.resized * side // short for side in image.size]
        corner = [round((side - self.size) / 2) for side in sides]
        left, top, right, bottom = (
            (start + far) * original / side
            for far in (0, self.size)
            for start, original, side in zip(corner, image.size, sides, strict=True)
        )
        method = Image.Resampling.BICUBIC if self.bicubic else Image.Resampling.BILINEAR
        resized = image.resize((self.size, self.size), method, box=(left, top, right, bottom))
        return np.array(resized, dtype=np.uint8)

    def normalise(self, crops: np.ndarray) -> torch.Tensor:
        """uint8 (B, s, s, 3) -> float32 (B, 3, s, s), channels last"""
        import torch

        values = torch.from_numpy(crops).float() / 255
        return ((values - torch.tensor(self.mean)) / torch.tensor(self.deviation)).permute(0, 3, 1, 2)
