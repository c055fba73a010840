"""Open a trained network, ours, torchvision's or the user's own, with the functions that turn a photograph into its input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from zfrepro.core.finite import NotFiniteError
from zfrepro.core.images import stored_pixels
from zfrepro.errors import UserError
from zfrepro.look import own_model, torchvision_networks
from zfrepro.look.preprocessing import Preprocessing, Three
from zfrepro.storage.paths import printable

if TYPE_CHECKING:
    import torch
    from torch import nn

    from zfrepro.analysis import Network

Rectifier = Literal["error", "pass"]
GREY = 124  # of the square, and of the image on which layers are tried; measured in the paper's Fig 7


@dataclass(frozen=True)
class PhotoNetwork:
    """A trained network, with the functions that turn a photograph into its input."""

    source: str  # weights file or function, for messages
    net: nn.Module
    title: str  # what network it is
    classes: tuple[str, ...]
    size: int  # pixels of the input
    share: float  # of the photograph's shorter side that the network sees
    layers: dict[str, str]  # heading -> module whose maps are shown
    crop: Callable[[Image.Image], np.ndarray]  # RGB -> uint8 (s, s, 3)
    inputs: Callable[[np.ndarray], torch.Tensor]  # uint8 (B, s, s, 3) -> (B, 3, s, s)
    watched: str | None = None  # the module whose strongest map is watched while parts are covered; the paper: layer 5
    rectifier: Rectifier = "error"  # see zfrepro.analysis.project
    refusal: str = ""  # why there are no layers deeper than those shown

    @cached_property
    def opened(self) -> Network:
        """The network, checked once for all photographs."""
        from zfrepro.analysis import open_network

        return open_network(self.net)

    @property
    def watched_heading(self) -> str:
        return next((heading for heading, name in self.layers.items() if name == self.watched), self.watched or "")


@dataclass(frozen=True)
class Choices:
    """What the user may choose for a network that is not ours; None: the default."""

    class_names: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None
    rectifier: Rectifier = "error"
    size: int | None = None
    mean: Three | None = None
    deviation: Three | None = None

    def prepare(self, preset: Preprocessing) -> Preprocessing:
        return preset.changed(self.size, self.mean, self.deviation)


def open_trained(weights: Path, device: torch.device, layers: tuple[str, ...] | None = None) -> PhotoNetwork:
    """A network that zfrepro trained. Raises UserError for another file."""
    from zfrepro.models.trained_network import TrainedNetwork

    if weights.suffix in (".pth", ".pt"):
        raise UserError(
            f"{weights}: for torchvision weights pass --network with its name, for example --network resnet50"
        )
    trained = TrainedNetwork(weights, device)
    description, stored = trained.description, len(trained.mean)
    headings = {f"Layer {layer}": trained.relu_of(layer) for layer in trained.convolution_layers}
    network = PhotoNetwork(
        str(weights),
        trained.net,
        f"zfrepro's {description.network.base} network, width {description.width:g}",
        tuple(map(printable, description.classes)),
        trained.size,
        trained.size / stored,
        headings,
        lambda image: trained.cut(stored_pixels(image, stored)[None], np.zeros(1, dtype=np.int64))[0],
        trained.inputs,
        watched=list(headings.values())[-1],
    )
    with report_source(network.source):
        return network if layers is None else _with_layers(network, layers)


def open_torchvision(name: str, weights: Path | None, choices: Choices, device: torch.device) -> PhotoNetwork:
    """A classifier of torchvision by its name."""
    torchvision_networks.check_name(name)
    if weights is None:
        raise UserError(
            f"--network {name}: pass --weights FILE, a state_dict of this network; nothing is downloaded. torchvision's own: "
            f"{torchvision_networks.where_weights_are(name)}"
        )
    preprocessing = choices.prepare(torchvision_networks.preprocessing(name, weights))
    net = torchvision_networks.load(name, weights, preprocessing.size)
    return _open(str(weights), net, f"torchvision's {name}", preprocessing, choices, device)


def open_own(function: str, choices: Choices, device: torch.device) -> PhotoNetwork:
    """A network that the user's own function builds."""
    net = own_model.build(function)
    title = f"{type(net).__name__} of your own"
    return _open(f"--model {function}", net, title, choices.prepare(Preprocessing()), choices, device)


def _open(
    source: str, net: nn.Module, title: str, preprocessing: Preprocessing, choices: Choices, device: torch.device
) -> PhotoNetwork:
    """Any classifier; runs it once, on grey, to learn its classes and layers."""
    import torch

    with report_source(source):
        network = PhotoNetwork(
            source,
            _to_device(net, device),
            title,
            (),
            preprocessing.size,
            preprocessing.size / preprocessing.resized,
            {},
            preprocessing.pixels,
            lambda crops: preprocessing.normalise(crops).to(device, memory_format=torch.channels_last),
            rectifier=choices.rectifier,
        )
        network = replace(network, classes=_class_names(choices.class_names, _count_classes(network), source))
        return _with_layers(network, choices.layers) if choices.layers else _with_chosen_layers(network)


def _to_device(net: nn.Module, device: torch.device) -> nn.Module:
    """Its filters channels last."""
    import torch

    return net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _grey(network: PhotoNetwork) -> torch.Tensor:
    """Inputs (1, 3, s, s): noise about grey, so that rectifiers have something to rectify."""
    noise = np.random.default_rng(0).integers(GREY - 60, GREY + 60, (1, network.size, network.size, 3), dtype=np.uint8)
    return network.inputs(noise)


def _count_classes(network: PhotoNetwork) -> int:
    from zfrepro.analysis.checks import class_scores

    image = network.opened.prepare(_grey(network))
    _, returned = network.opened.observe_independent(image, [])
    return class_scores(returned).shape[1]


def _with_chosen_layers(network: PhotoNetwork) -> PhotoNetwork:
    from zfrepro.analysis import choose_layers

    choice = choose_layers(network.opened, _grey(network), rectifier=network.rectifier)
    return replace(network, layers={name: name for name in choice.layers}, watched=choice.last, refusal=choice.refusal)


def _with_layers(network: PhotoNetwork, names: Sequence[str]) -> PhotoNetwork:
    """With the layers that the user named. Raises ValueError for one that is missing or has no deconvnet."""
    from zfrepro.analysis import project

    headings = {name: heading for heading, name in network.layers.items()}
    maps = [name for name in names if len(network.opened.find(name, _grey(network)).shape) == 3]
    for name in names:
        project(network.opened, _grey(network), name, 0, rectifier=network.rectifier)
    watched = maps[-1] if maps else network.watched
    return replace(network, layers={headings.get(name, name): name for name in names}, watched=watched)


@contextmanager
def report_source(source: str) -> Iterator[None]:
    """Turn ValueError (a network or layer that cannot be handled) and NotFiniteError into UserError naming weights or function."""
    try:
        yield
    except ValueError as error:
        text = str(error).replace('rectifier="pass"', "--rectifier pass")
        raise UserError(f"{source}: {text}") from error
    except NotFiniteError as error:
        raise UserError(
            f"{source}: {error}; the network has diverged or the file is damaged; use other weights"
        ) from error


def _class_names(names: tuple[str, ...] | None, count: int, source: str) -> tuple[str, ...]:
    if names is None:
        imagenet = torchvision_networks.imagenet_classes()
        return imagenet if count == len(imagenet) else tuple(f"class {i}" for i in range(count))
    if len(names) != count:
        raise UserError(
            f"--classes: {len(names)} names, but {source} has {count} classes; the file needs one line per class"
        )
    return tuple(map(printable, names))
