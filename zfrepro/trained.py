"""A trained network on disk: weights and what is needed to rebuild it and to feed it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zfrepro import artifacts
from zfrepro.core.architecture import Network, Row, describe
from zfrepro.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import torch

MEAN = "mean image"  # name of the mean image's tensor beside the weights


@dataclass(frozen=True)
class Description:
    """What a weights file says of itself."""

    network: Network
    width: float
    input_size: int  # pixels
    classes: tuple[str, ...]

    def rows(self) -> list[Row]:
        return describe(self.network, self.input_size, len(self.classes), self.width)

    def metadata(self) -> dict[str, str]:
        return {
            "format": "zfrepro 1",
            "network": self.network.model_dump_json(),
            "width": repr(self.width),
            "input_size": str(self.input_size),
            "classes": json.dumps(self.classes, ensure_ascii=False),
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> Description:
        return cls(
            network=Network.model_validate_json(metadata["network"]),
            width=float(metadata["width"]),
            input_size=int(metadata["input_size"]),
            classes=tuple(json.loads(metadata["classes"])),
        )


def save(path: Path, weights: Mapping[str, torch.Tensor], mean: np.ndarray, description: Description) -> None:
    """Write a network's state_dict and the mean image (S, S, 3) its inputs are freed of, with the description."""
    import torch

    tensors = {name: tensor.detach().cpu().float() for name, tensor in weights.items()}
    artifacts.save_weights(path, {**tensors, MEAN: torch.from_numpy(mean).float()}, description.metadata())


def load(path: Path, device: torch.device | str = "cpu") -> tuple[torch.nn.Sequential, np.ndarray, Description]:
    """The network in evaluation mode, the mean image (S, S, 3) and the description. Raises UserError for a foreign file."""
    from zfrepro.core import nets

    tensors, metadata = artifacts.load_weights(path)
    try:
        description = Description.from_metadata(metadata)
        mean = tensors.pop(MEAN).numpy()
        net = nets.build(description.network, description.input_size, len(description.classes), description.width)
        net.load_state_dict(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: not a weights file of zfrepro ({str(error).splitlines()[0]})") from error
    return net.to(device).eval(), mean, description
