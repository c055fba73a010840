"""Cover parts of images and record what any network makes of them (paper section 4.2, Fig 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zfrepro.analysis.checks import Network, labels_of, numbers, open_network, predict, size_at_least
from zfrepro.core.layers import largest_output
from zfrepro.core.network_graph import UntraceableError
from zfrepro.core.occlusion import FullPasses, Occluder, Prediction, corners

VALUES_AT_ONCE = 2**26  # numbers in the largest layer of one forward pass: 256 MiB in float32
FULL_PASS = 16  # covered images in one full pass on a CPU; 64 take a tenth more time each (resnet18 at 224 pixels)
LARGEST_SHARE = 0.9  # of the convolutions' products; where windows need more, full passes are as fast
Fill = float | Sequence[float] | Tensor


@dataclass(frozen=True)
class OcclusionMaps:
    """B images, each with the square at P x Q positions; on the network's device."""

    probability: Tensor  # (B, P, Q) of the class `labels`
    predicted: Tensor  # int64 (B, P, Q): the most probable class
    activation: Tensor | None  # (B, P, Q): the map `maps` of the layer, summed over space; None without a layer
    labels: Tensor  # int64 (B,)
    maps: Tensor | None  # int64 (B,)
    uncovered_probability: Tensor  # (B,) of `labels`
    uncovered_predicted: Tensor  # int64 (B,)
    uncovered_activation: Tensor | None  # (B,)
    tops: Tensor  # int64 (P,): first row of the square, pixels
    lefts: Tensor  # int64 (Q,): first column
    square: int  # pixels
    passes: str  # "windows": only what the square reaches was recomputed; "full": one forward pass per position
    notes: tuple[str, ...] = ()  # why there were full passes


def occlusion_maps(
    model: nn.Module | Network,
    images: Tensor,
    layer: str | None = None,
    *,
    square: int = 50,
    stride: int = 6,
    fill: Fill = 0.0,
    labels: int | Sequence[int] | Tensor | None = None,
    maps: int | Sequence[int] | Tensor | None = None,
    batch: int | None = None,
) -> OcclusionMaps:
    """Slide a square over images; at every position, the probability of a class, the most probable class, and a map's summed activation.

    model   any network in evaluation mode that returns class scores (B, classes), or what `open_network` has made of one;
            it is left as it was
    images  (B, C, H, W), the network's inputs
    layer   a module of maps (B, C, h, w), by its name in `model.named_modules()`, one of whose maps is watched; the paper: layer 5
    square  side in pixels, at most that of the image; the paper: 50 at 224
    stride  step in pixels: tops and lefts are 0, stride, 2 stride, ... as long as the square lies in the image; the paper: 6
    fill    what the square shows, in terms of the network's inputs: a number, one per channel, or an image (C, H, W);
            0 is the mean colour where the mean is subtracted
    labels  the class of each image (or one for all); None: the most probable when nothing is covered
    maps    the watched map of each image (or one for all); None: the one with the largest sum when nothing is covered
    batch   positions that are computed together; None: 64, full passes on a CPU 16; fewer where the network's maps are large

    Only what the square reaches is recomputed (`passes` is "windows"), which gives the same numbers sooner, through convolutions,
    poolings, batch and local response normalisation, functions of single values, sums and concatenations. A network that torch.fx cannot
    trace, or that mixes all positions early, and any on a device other than the CPU, is run once per position (`passes` is "full");
    `notes` say why.
    Raises ValueError for bad input and NotFiniteError where outputs are not finite. Source: paper section 4.2.
    """
    network = open_network(model)
    images = network.prepare(images)
    _check_geometry(images, square, stride)
    positions = _batches(network, images) if batch is None else (size_at_least(batch, 1, "batch"),) * 2
    if not network.keeps_images_apart:
        network.observe_independent(images[:1], [] if layer is None else [layer])
    colour = _filled(fill, images)
    uncovered = _predict(network, images, layer)
    chosen = labels_of(labels, uncovered.probabilities)
    watched = None if layer is None else _watched(maps, uncovered.activations)
    cover, notes = _cover(network, images[0], layer, square, stride, positions)
    covered = [cover(image, colour) for image in images]
    rows = torch.arange(len(images), device=images.device)
    tops, lefts = (torch.tensor(corners(side, square, stride), device=images.device) for side in images.shape[2:])
    return OcclusionMaps(
        probability=torch.stack(
            [part.probabilities[..., label] for part, label in zip(covered, chosen.tolist(), strict=True)]
        ),
        predicted=torch.stack([part.probabilities.argmax(dim=-1) for part in covered]),
        activation=None if watched is None else _select(covered, watched),
        labels=chosen,
        maps=watched,
        uncovered_probability=uncovered.probabilities[rows, chosen],
        uncovered_predicted=uncovered.probabilities.argmax(dim=1),
        uncovered_activation=None if watched is None else uncovered.activations[rows, watched],
        tops=tops,
        lefts=lefts,
        square=square,
        passes="full" if notes else "windows",
        notes=notes,
    )


def _select(covered: Sequence[Prediction], watched: Tensor) -> Tensor:
    """(B, P, Q): of every image the sums of its own map."""
    return torch.stack([part.activations[..., number] for part, number in zip(covered, watched.tolist(), strict=True)])


def _batches(network: Network, images: Tensor) -> tuple[int, int]:
    """Positions that are recomputed together, and in one full pass."""
    most = max(1, min(64, VALUES_AT_ONCE // largest_output(network.model, images[:1])))
    return most, min(most, FULL_PASS) if images.device.type == "cpu" else most


def _check_geometry(images: Tensor, square: int, stride: int) -> None:
    size_at_least(square, 1, "square")
    size_at_least(stride, 1, "stride")
    if square > min(images.shape[2:]):
        raise ValueError(
            f"square: {square} pixels, but the images have {images.shape[2]} x {images.shape[3]}; choose a smaller square"
        )


def _filled(fill: Fill, images: Tensor) -> Tensor:
    """(C, H, W)"""
    colour = torch.as_tensor(fill, dtype=images.dtype, device=images.device)
    shape = images.shape[1:]
    if colour.dim() == 1 and len(colour) == shape[0]:
        colour = colour[:, None, None]
    if colour.dim() not in (0, 3) or (colour.dim() == 3 and colour.shape not in (shape, (shape[0], 1, 1))):
        raise ValueError(
            f"fill: give a number, {shape[0]} numbers, or an image of shape {tuple(shape)}, not {tuple(colour.shape)}"
        )
    if not bool(colour.isfinite().all()):
        raise ValueError("fill: a value is not finite")
    return colour.expand(shape).contiguous()


def _watched(maps: int | Sequence[int] | Tensor | None, sums: Tensor) -> Tensor:
    return sums.argmax(dim=1) if maps is None else numbers(maps, len(sums), sums.shape[1], "maps", sums.device)


def _predict(network: Network, images: Tensor, layer: str | None) -> Prediction:
    """One forward pass per image, as each is covered: leading dimension B."""
    parts = [_predict_batch(network, image[None], layer) for image in images]
    return Prediction(
        torch.cat([part.probabilities for part in parts]), torch.cat([part.activations for part in parts])
    )


def _predict_batch(network: Network, images: Tensor, layer: str | None) -> Prediction:
    outputs, probabilities = predict(network, images, [] if layer is None else [layer])
    if layer is None:
        return Prediction(probabilities, probabilities.new_zeros(len(images), 0))
    if outputs[layer].dim() != 4:
        raise ValueError(
            f"layer {layer}: its output has the shape {tuple(outputs[layer].shape)}; choose a layer of maps (B, C, h, w)"
        )
    return Prediction(probabilities, outputs[layer].sum(dim=(2, 3)))


def _cover(
    network: Network, image: Tensor, layer: str | None, square: int, stride: int, positions: tuple[int, int]
) -> tuple[Occluder | FullPasses, tuple[str, ...]]:
    """By windows, or by full passes with the reason; `positions` at once of the one and of the other."""
    reason = "it has no weights"
    if network.dtype is not None:
        try:
            return _by_windows(network, image, layer, square, stride, positions[0]), ()
        except (UntraceableError, _NoWindowsError) as error:
            reason = str(error)
    full = FullPasses(lambda covered: _predict_batch(network, covered, layer), square, stride, positions[1])
    return full, (f"one full forward pass per position: {reason}",)


class _NoWindowsError(Exception):
    """Says why windows would not help."""


def _by_windows(network: Network, image: Tensor, layer: str | None, square: int, stride: int, batch: int) -> Occluder:
    """Of a chain's own modules where the network is one, so that its head is found. Raises UntraceableError and _NoWindowsError."""
    if image.device.type != "cpu":
        raise _NoWindowsError(f"windows are faster on CPUs only, and this network is on {image.device.type}")
    chain, net, watched = network.chain, network.model, layer
    if chain is not None and (layer is None or chain.child(layer) is not None):
        net, watched = chain.net, None if layer is None else chain.child(layer)
    try:
        occluder = Occluder(net, watched, square, stride, batch)
    except ValueError as error:
        raise _NoWindowsError(f"its trace does not show layer {layer}") from error
    if occluder.share(image) > LARGEST_SHARE:
        raise _NoWindowsError("the square reaches nearly all of what the convolutions compute")
    return occluder
