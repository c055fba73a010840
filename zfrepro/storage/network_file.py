"""A trained network on disk: weights and what is needed to rebuild it and to feed it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zfrepro.core.architecture import Network, Row, describe
from zfrepro.errors import UserError
from zfrepro.storage import artifacts

if TYPE_CHECKING:
    import numpy as np
    import torch

FORMAT = "zfrepro 1"  # key of the description in a weights file
MEAN = "mean image"  # name of the mean image's tensor beside the weights


@dataclass(frozen=True)
class Description:
    """What a weights file says of itself."""

    network: Network
    width: float
    input_size: int  # pixels
    classes: tuple[str, ...]
    diverged: str = ""  # where training stopped being finite; the file then holds no weights

    def rows(self) -> list[Row]:
        return describe(self.network, self.input_size, len(self.classes), self.width)

    def metadata(self) -> dict[str, str]:
        """One entry alone: safetensors writes several in an order that changes from run to run."""
        stored = {
            "network": self.network.model_dump(mode="json"),
            "width": self.width,
            "input_size": self.input_size,
            "classes": self.classes,
        } | ({"diverged": self.diverged} if self.diverged else {})
        return {FORMAT: json.dumps(stored, sort_keys=True, ensure_ascii=False)}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> Description:
        stored = json.loads(metadata[FORMAT])
        network = Network.model_validate(stored["network"])
        sizes = float(stored["width"]), int(stored["input_size"])
        return cls(network, *sizes, tuple(stored["classes"]), stored.get("diverged", ""))


def save(path: Path, weights: Mapping[str, torch.Tensor], mean: np.ndarray, description: Description) -> None:
    """Write a network's state_dict and the mean image (S, S, 3) its inputs are freed of, with the description."""
    import torch

    tensors = {name: tensor.detach().cpu().float() for name, tensor in weights.items()}
    artifacts.save_weights(path, {**tensors, MEAN: torch.from_numpy(mean).float()}, description.metadata())


def load(path: Path, device: torch.device | str = "cpu") -> tuple[torch.nn.Sequential, np.ndarray, Description]:
    """The network (evaluation mode, channels last), the mean image (S, S, 3) and the description.

    Raises UserError for a foreign file, and for the file of a training that diverged.
    """
    from zfrepro.core import nets

    tensors, metadata = artifacts.load_weights(path)
    try:
        description = Description.from_metadata(metadata)
        if description.diverged:
            raise UserError(f"{path}: holds no weights, its training diverged ({description.diverged})")
        mean = tensors.pop(MEAN).numpy()
        net = nets.build(description.network, description.input_size, len(description.classes), description.width)
        net.load_state_dict(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: not a weights file of zfrepro ({str(error).splitlines()[0]})") from error
    return nets.to_device(net, device).eval(), mean, description
