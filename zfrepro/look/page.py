"""The page of `zfrepro look`: one HTML file with its images embedded; nothing is loaded from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zfrepro.exhibits.kit import draw
from zfrepro.look.draw import heat, number, overlay, percent, percents, ramp, rgb, sharp, source
from zfrepro.look.photo_network import GREY
from zfrepro.report import html
from zfrepro.storage.paths import printable

if TYPE_CHECKING:
    from zfrepro.look.inspect import Feature, Inspection, OcclusionMaps, WatchedMap
    from zfrepro.look.photo_network import PhotoNetwork
    from zfrepro.look.photographs import Photograph

GENERATOR = "zfrepro look"
BY_POSITION = "By position of the square: "
TINY = 16  # pixels; a smaller tile is enlarged sharp-edged
OTHER_COLOUR = "#b9bec6"  # colour of the labels that are too many for the palette


@dataclass(frozen=True)
class PageImage:
    """An image on the page."""

    source: str  # data URI
    alt: str
    tiny: bool = False


@dataclass(frozen=True)
class Pair:
    caption: str
    projection: PageImage
    patch: PageImage


@dataclass(frozen=True)
class Panel:
    """One of the occlusion maps: heading, note, and the ends of its scale or its legend."""

    title: str
    picture: PageImage
    note: str = ""
    scale: tuple[str, str] | None = None
    legend: tuple[tuple[str, str, str], ...] = ()  # colour, class, share of the positions


def render(network: PhotoNetwork, photographs: Sequence[Photograph], inspections: Sequence[Inspection]) -> str:
    """The page as HTML; names of files and classes are escaped."""
    environment = html.environment()
    environment.filters["percent"] = percent
    return environment.get_template("look.html").render(
        generator=GENERATOR,
        network=network,
        source=printable(os.path.basename(network.source)),
        refusal=_describe_refusal(network),
        ramp=source(ramp()),
        occlusion=next((inspection.occlusion for inspection in inspections if inspection.occlusion), None),
        photographs=[_section(network, *pair) for pair in zip(photographs, inspections, strict=True)],
    )


def is_look_page(page: Path) -> bool:
    """Whether an existing file was created by this command and may be replaced."""
    if not page.is_file():
        return False
    with open(page, "rb") as file:
        return f'content="{GENERATOR}"'.encode() in file.read(2000)


def _section(network: PhotoNetwork, photograph: Photograph, inspection: Inspection) -> dict[str, object]:
    """One photograph as the template takes it."""
    width, height = photograph.size
    square = max(1, round(min(width, height) * network.share))
    return {
        "name": photograph.name,
        "width": width,
        "height": height,
        "square": square,
        "elongated": max(width, height) > 1.5 * min(width, height),
        "resized": _describe_resizing(square, network.size),
        "picture": PageImage(source(sharp(photograph.crop)), f"{photograph.name} as the network sees it"),
        "top": [(network.classes[label], probability) for label, probability in inspection.top],
        "layers": [
            (heading, network.layers[heading], _pairs(heading, features))
            for heading, features in inspection.layers.items()
        ],
        "notes": [note.removesuffix("; its derivative was passed") for note in inspection.notes],
        "panels": _panels(network, photograph, inspection, inspection.occlusion) if inspection.occlusion else [],
        "summary": _describe_occlusion(network, inspection, inspection.occlusion) if inspection.occlusion else "",
    }


def _describe_refusal(network: PhotoNetwork) -> str:
    """Why layers are left out; empty where none is."""
    if not network.refusal and network.layers:
        return ""
    reason = network.refusal.partition("; choose a layer")[0]
    if not reason:
        return (
            "No layer is shown: no module of this network returns rectified maps, for which the deconvnet is defined."
        )
    shown = "Deeper layers are left out" if network.layers else "No layer is shown"
    return f"{shown}. {reason[0].upper()}{reason[1:]}. With --rectifier pass they are shown, but not by exact deconvnet passes."


def _describe_resizing(square: int, size: int) -> str:
    if square == size:
        return ""
    return f", {'enlarged' if square < size else 'reduced'} to {size} \u00d7 {size}"


def _pairs(layer: str, features: Sequence[Feature]) -> list[Pair]:
    pairs = []
    for feature in features:
        tiny, name = len(feature.patch) <= TINY, f"{layer}, map {feature.number}"
        projection = PageImage(
            source(draw.grey_zero(feature.projection)), f"{name}: projection of its strongest activation", tiny
        )
        patch = PageImage(source(feature.patch), f"{name}: patch of the photograph that causes it", tiny)
        pairs.append(Pair(f"map {feature.number}, activation {number(feature.activation)}", projection, patch))
    return pairs


def _panels(
    network: PhotoNetwork, photograph: Photograph, inspection: Inspection, occlusion: OcclusionMaps
) -> list[Panel]:
    top, left = _lowest_position(occlusion)
    hidden = photograph.crop.copy()
    hidden[top : top + occlusion.square, left : left + occlusion.square] = GREY
    uncovered, lowest, highest = _probabilities(inspection, occlusion)
    legend, codes = _legend(network, occlusion)
    panels = [
        Panel(
            "Position that lowers the probability most",
            PageImage(source(sharp(hidden)), f"{photograph.name} with the square at row {top}, column {left}"),
            f"{uncovered} uncovered, {lowest} with the square here",
        ),
        Panel(
            f"Probability of {network.classes[inspection.top[0][0]]}",
            PageImage(source(heat(occlusion.probability)), f"{BY_POSITION}{lowest} to {highest}"),
            scale=(lowest, highest),
        ),
    ]
    if occlusion.watched:
        panels.append(_watched_panel(network.watched_heading, occlusion.watched))
    panels.append(
        Panel(
            "Most probable class",
            PageImage(source(sharp(codes)), BY_POSITION + ", ".join(f"{name} {share}" for _, name, share in legend)),
            legend=legend,
        )
    )
    if inspection.grad_cam is not None:
        panels.append(_grad_cam_panel(network, photograph, inspection.grad_cam))
    return panels


def _watched_panel(heading: str, watched: WatchedMap) -> Panel:
    sums = (number(watched.activation.min()), number(watched.activation.max()))
    return Panel(
        f"{heading}, map {watched.number}",
        PageImage(source(heat(watched.activation)), f"{BY_POSITION}{sums[0]} to {sums[1]}"),
        f"summed activation; {number(watched.uncovered)} uncovered",
        scale=sums,
    )


def _grad_cam_panel(network: PhotoNetwork, photograph: Photograph, values: np.ndarray) -> Panel:
    alt = f"{photograph.name}, the parts light that speak for the class"
    note = f"{values.shape[0]} \u00d7 {values.shape[1]} values of {network.watched_heading}"
    if not values.any():
        note += "; none speaks for the class"
    return Panel("Grad-CAM", PageImage(source(overlay(values, photograph.crop)), alt), note, scale=("0", "most"))


def _describe_occlusion(network: PhotoNetwork, inspection: Inspection, occlusion: OcclusionMaps) -> str:
    """The occlusion maps in one sentence."""
    uncovered, lowest, highest = _probabilities(inspection, occlusion)
    best, (rows, columns) = inspection.top[0][0], occlusion.labels.shape
    changed = float((occlusion.labels != best).mean())
    effect = (
        f"the prediction changes at {percent(changed)} of them"
        if changed
        else "the prediction is the same at all of them"
    )
    return (
        f"Over {rows} \u00d7 {columns} positions of the square the probability of {network.classes[best]} ({uncovered} uncovered) "
        f"lies between {lowest} and {highest}; {effect}."
    )


def _probabilities(inspection: Inspection, occlusion: OcclusionMaps) -> list[str]:
    """Probability of the top class: uncovered, least, most."""
    return percents([inspection.top[0][1], float(occlusion.probability.min()), float(occlusion.probability.max())])


def _lowest_position(occlusion: OcclusionMaps) -> tuple[int, int]:
    """Top and left of the square where the class is least probable."""
    row, column = np.unravel_index(occlusion.probability.argmin(), occlusion.probability.shape)
    return int(row) * occlusion.stride, int(column) * occlusion.stride


def _legend(network: PhotoNetwork, occlusion: OcclusionMaps) -> tuple[tuple[tuple[str, str, str], ...], np.ndarray]:
    """The most frequent labels with their colours, the rest as one; and the map of labels, uint8 (P, P, 3)."""
    labels, counts = np.unique(occlusion.labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    listed = order[: len(draw.CYCLE) - (len(order) > len(draw.CYCLE))]
    legend = [(colour, network.classes[labels[i]], counts[i]) for colour, i in zip(draw.CYCLE, listed, strict=False)]
    picture = np.full((*occlusion.labels.shape, 3), rgb(OTHER_COLOUR), dtype=np.uint8)
    for (colour, _, _), i in zip(legend, listed, strict=True):
        picture[occlusion.labels == labels[i]] = rgb(colour)
    if others := len(order) - len(listed):
        legend.append((OTHER_COLOUR, f"{others} others", counts[order[len(listed) :]].sum()))
    return tuple((colour, name, percent(count / occlusion.labels.size)) for colour, name, count in legend), picture
