"""A trained network on disk: weights and what is needed to rebuild it and to feed it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, StrictStr, ValidationError

from zfrepro.core.architecture import Network, Row, describe, parameter_count
from zfrepro.errors import UserError
from zfrepro.spec import Base
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
    def from_metadata(cls, metadata: Mapping[str, str]) -> Description:
        """Raises ValueError, naming the key, where the description is missing or one of its values is odd."""
        if FORMAT not in metadata:
            raise ValueError(f"its metadata have no key `{FORMAT}`")
        json.loads(metadata[FORMAT], object_pairs_hook=_refuse_duplicates)
        try:
            stored = _Stored.model_validate_json(metadata[FORMAT])
        except ValidationError as error:
            fault = error.errors()[0]
            key = ".".join(map(str, fault["loc"])) or FORMAT
            raise ValueError(
                f"key `{key}` of its description: {fault['msg']} (got {_shorten(fault['input'])})"
            ) from error
        return cls(stored.network, stored.width, stored.input_size, stored.classes, stored.diverged)


class _Stored(Base):
    """The description as JSON holds it."""

    network: Network
    width: float = Field(gt=0, le=64, strict=True)
    input_size: int = Field(gt=0, le=65536, strict=True)
    classes: tuple[StrictStr, ...] = Field(min_length=1)
    diverged: str = ""


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"key `{key}` of its description is there twice")
    return dict(pairs)


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


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
            raise UserError(f"{path}: contains no weights, because its training diverged ({description.diverged})")
        mean = _pop_mean(tensors, description)
        _check_numbers(tensors, description)
        net = nets.build(description.network, description.input_size, len(description.classes), description.width)
        net.load_state_dict(tensors)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{path}: not a weights file of zfrepro ({str(error).splitlines()[0]})") from error
    return nets.to_device(net, device).eval(), mean, description


def _pop_mean(tensors: dict[str, torch.Tensor], description: Description) -> np.ndarray:
    """The mean image, float32 (S, S, 3), removed from the tensors. Raises ValueError if it cannot be the network's."""
    if MEAN not in tensors:
        raise ValueError(f"it has no tensor `{MEAN}`")
    mean = tensors.pop(MEAN)
    side = mean.shape[0] if mean.ndim else 0
    if tuple(mean.shape) != (side, side, 3) or side < description.input_size or not mean.is_floating_point():
        shape = " x ".join(map(str, mean.shape)) or "one number"
        raise ValueError(
            f"its tensor `{MEAN}` is {shape} of {str(mean.dtype).removeprefix('torch.')}; it must be square, at least the input_size of "
            f"{description.input_size} pixels, with three colours"
        )
    pixels: np.ndarray = mean.float().numpy()
    return pixels


def _check_numbers(tensors: Mapping[str, torch.Tensor], description: Description) -> None:
    """Before memory is taken for the network: its description and its tensors agree in how many numbers there are."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise ValueError(f"its tensor `{name}` holds no floating-point numbers")
    stored, described = sum(tensor.numel() for tensor in tensors.values()), parameter_count(description.rows())
    if stored != described:
        raise ValueError(
            f"its tensors contain {stored} numbers; the network of its `network`, `width`, `input_size` and `classes` has {described}"
        )
