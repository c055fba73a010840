"""Open a trained network of ours or of torchvision, with the way from a photograph to its input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from zfrepro.core.finite import NotFiniteError
from zfrepro.core.images import stored_pixels
from zfrepro.errors import UserError
from zfrepro.look import torchvision_networks
from zfrepro.look.photographs import printable
from zfrepro.storage import diverged

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Sight:
    """A trained network and the way from a photograph to its input."""

    weights: Path
    net: nn.Sequential
    title: str  # what network it is
    classes: tuple[str, ...]
    size: int  # pixels of the input
    share: float  # of the photograph's shorter side that the network sees
    layers: dict[int, str]  # number -> child whose maps are shown
    crop: Callable[[Image.Image], np.ndarray]  # RGB -> uint8 (s, s, 3)
    inputs: Callable[[np.ndarray], torch.Tensor]  # uint8 (B, s, s, 3) -> (B, 3, s, s)

    @property
    def watched(self) -> str:
        """The child whose strongest map is watched while parts are covered; the paper: layer 5."""
        return self.layers[max(self.layers)]


def own(weights: Path, device: torch.device) -> Sight:
    """A network that zfrepro trained. Raises UserError for another file."""
    from zfrepro.models.opened import TrainedNetwork

    if weights.suffix in (".pth", ".pt"):
        raise UserError(f"{weights}: for weights of torchvision say --network alexnet or --network vgg16")
    network = TrainedNetwork(weights, device)
    description, stored = network.description, len(network.mean)
    sight = Sight(
        weights,
        network.net,
        f"The {description.network.base} network of zfrepro, width {description.width:g}",
        tuple(map(printable, description.classes)),
        network.size,
        network.size / stored,
        {layer: network.relu_of(layer) for layer in network.convolution_layers},
        lambda image: network.cut(stored_pixels(image, stored)[None], np.zeros(1, dtype=np.int64))[0],
        network.inputs,
    )
    return _checked(sight)


def torchvisions(network: str, weights: Path, names: tuple[str, ...] | None, device: torch.device) -> Sight:
    """torchvision's alexnet or vgg16; `names` of its classes, where they are not ImageNet's."""
    from zfrepro.core import nets

    net, count = torchvision_networks.load(network, weights)
    with said_of(weights):
        diverged.check_weights(net.state_dict())
    sight = Sight(
        weights,
        nets.to_device(net, device),
        f"{network} of torchvision",
        _class_names(names, count, weights),
        torchvision_networks.SIZE,
        torchvision_networks.SIZE / torchvision_networks.RESIZED,
        torchvision_networks.LAYERS[network],
        torchvision_networks.pixels,
        lambda crops: torchvision_networks.normalised(crops).to(device),
    )
    return _checked(sight)


@contextmanager
def said_of(weights: Path) -> Iterator[None]:
    """What the core cannot handle, it says as ValueError that names the layer; what is not finite, as NotFiniteError."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{weights}: {error}") from error
    except NotFiniteError as error:
        raise UserError(
            f"{weights}: {error}; the network has diverged, or the file is damaged: take other weights"
        ) from error


def _checked(sight: Sight) -> Sight:
    """Raises UserError, naming the layer, for a network whose maps cannot be projected."""
    from zfrepro.core import deconvnet

    with said_of(sight.weights):
        deconvnet.check(sight.net, list(sight.layers.values()))
    return sight


def _class_names(names: tuple[str, ...] | None, count: int, weights: Path) -> tuple[str, ...]:
    if names is None:
        known = torchvision_networks.imagenet_classes()
        return known if count == len(known) else tuple(f"class {i}" for i in range(count))
    if len(names) != count:
        raise UserError(f"--classes: {len(names)} names, but {weights} has {count} classes; one line a class is needed")
    return tuple(map(printable, names))
