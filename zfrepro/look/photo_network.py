"""Open a trained network of ours or of torchvision, with the functions that turn a photograph into its input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from zfrepro.core.finite import NotFiniteError
from zfrepro.core.images import stored_pixels
from zfrepro.errors import UserError
from zfrepro.look import torchvision_networks
from zfrepro.storage import diverged
from zfrepro.storage.paths import printable

if TYPE_CHECKING:
    import torch
    from torch import nn

    from zfrepro.analysis import Network


@dataclass(frozen=True)
class PhotoNetwork:
    """A trained network, with the functions that turn a photograph into its input."""

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

    @cached_property
    def opened(self) -> Network:
        """The network, checked once for all photographs."""
        from zfrepro.analysis import open_network

        return open_network(self.net)


def open_trained(weights: Path, device: torch.device) -> PhotoNetwork:
    """A network that zfrepro trained. Raises UserError for another file."""
    from zfrepro.models.trained_network import TrainedNetwork

    if weights.suffix in (".pth", ".pt"):
        raise UserError(f"{weights}: for torchvision weights pass --network alexnet or --network vgg16")
    trained = TrainedNetwork(weights, device)
    description, stored = trained.description, len(trained.mean)
    network = PhotoNetwork(
        weights,
        trained.net,
        f"zfrepro's {description.network.base} network, width {description.width:g}",
        tuple(map(printable, description.classes)),
        trained.size,
        trained.size / stored,
        {layer: trained.relu_of(layer) for layer in trained.convolution_layers},
        lambda image: trained.cut(stored_pixels(image, stored)[None], np.zeros(1, dtype=np.int64))[0],
        trained.inputs,
    )
    return _check(network)


def open_torchvision(name: str, weights: Path, names: tuple[str, ...] | None, device: torch.device) -> PhotoNetwork:
    """torchvision's alexnet or vgg16; `names` of its classes, where they are not ImageNet's."""
    from zfrepro.core import nets

    net, count = torchvision_networks.load(name, weights)
    with report_weights_file(weights):
        diverged.check_weights(net.state_dict())
    network = PhotoNetwork(
        weights,
        nets.to_device(net, device),
        f"torchvision's {name}",
        _class_names(names, count, weights),
        torchvision_networks.SIZE,
        torchvision_networks.SIZE / torchvision_networks.RESIZED,
        torchvision_networks.LAYERS[name],
        torchvision_networks.pixels,
        lambda crops: torchvision_networks.normalise(crops).to(device),
    )
    return _check(network)


@contextmanager
def report_weights_file(weights: Path) -> Iterator[None]:
    """Turn ValueError (a layer that the core cannot handle) and NotFiniteError into UserError naming the weights file."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{weights}: {error}") from error
    except NotFiniteError as error:
        raise UserError(
            f"{weights}: {error}; the network has diverged or the file is damaged; use other weights"
        ) from error


def _check(network: PhotoNetwork) -> PhotoNetwork:
    """Raises UserError, naming the layer, for a network whose maps cannot be projected."""
    from zfrepro.core import deconvnet

    with report_weights_file(network.weights):
        deconvnet.check(network.net, list(network.layers.values()))
    return network


def _class_names(names: tuple[str, ...] | None, count: int, weights: Path) -> tuple[str, ...]:
    if names is None:
        imagenet = torchvision_networks.imagenet_classes()
        return imagenet if count == len(imagenet) else tuple(f"class {i}" for i in range(count))
    if len(names) != count:
        raise UserError(
            f"--classes: {len(names)} names, but {weights} has {count} classes; the file needs one line per class"
        )
    return tuple(map(printable, names))
