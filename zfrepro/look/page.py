"""The page of `zfrepro look`: one HTML file with its pictures in it, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zfrepro.exhibits.kit import draw
from zfrepro.look.draw import heat, number, percent, percents, ramp, rgb, sharp, source
from zfrepro.look.inspect import GREY
from zfrepro.look.photographs import printable
from zfrepro.report import html

if TYPE_CHECKING:
    from zfrepro.look.inspect import Covered, Feature, Look
    from zfrepro.look.opened import Sight
    from zfrepro.look.photographs import Photograph

GENERATOR = "zfrepro look"
TINY = 16  # pixels; a smaller tile is enlarged sharp-edged
OTHERS = "#b9bec6"  # colour of the labels that are too many for the palette


@dataclass(frozen=True)
class Shown:
    """A picture on the page."""

    source: str  # data URI
    alt: str
    tiny: bool = False


@dataclass(frozen=True)
class Pair:
    caption: str
    projection: Shown
    patch: Shown


@dataclass(frozen=True)
class Panel:
    """One of the occlusion pictures: a heading, what it says, and the ends of its scale or its legend."""

    title: str
    picture: Shown
    note: str = ""
    scale: tuple[str, str] | None = None
    legend: tuple[tuple[str, str, str], ...] = ()  # colour, class, share of the positions


def render(sight: Sight, photographs: Sequence[Photograph], looks: Sequence[Look]) -> str:
    """The page as HTML; names of files and classes are escaped."""
    environment = html.environment()
    environment.filters["percent"] = percent
    return environment.get_template("look.html").render(
        generator=GENERATOR,
        sight=sight,
        weights=printable(sight.weights.name),
        ramp=source(ramp()),
        covered=next((look.covered for look in looks if look.covered), None),
        photographs=[_section(sight, *one) for one in zip(photographs, looks, strict=True)],
    )


def is_ours(page: Path) -> bool:
    """Whether an existing file was made here and may be replaced."""
    if not page.is_file():
        return False
    with open(page, "rb") as file:
        return f'content="{GENERATOR}"'.encode() in file.read(2000)


def _section(sight: Sight, photograph: Photograph, look: Look) -> dict[str, object]:
    """What the template shows of one photograph."""
    width, height = photograph.size
    square = max(1, round(min(width, height) * sight.share))
    return {
        "name": photograph.name,
        "width": width,
        "height": height,
        "square": square,
        "elongated": max(width, height) > 1.5 * min(width, height),
        "resized": _resized(square, sight.size),
        "picture": Shown(source(sharp(photograph.crop)), f"{photograph.name} as the network sees it"),
        "top": [(sight.classes[one], probability) for one, probability in look.top],
        "layers": [(layer, sight.layers[layer], _pairs(layer, features)) for layer, features in look.layers.items()],
        "panels": _panels(sight, photograph, look, look.covered) if look.covered else [],
        "said": _said(sight, look, look.covered) if look.covered else "",
    }


def _resized(square: int, size: int) -> str:
    if square == size:
        return ""
    return f", {'enlarged' if square < size else 'reduced'} to {size} \u00d7 {size}"


def _pairs(layer: int, features: Sequence[Feature]) -> list[Pair]:
    pairs = []
    for one in features:
        tiny, name = len(one.patch) <= TINY, f"Layer {layer}, map {one.number}"
        projection = Shown(source(draw.grey_zero(one.projection)), f"{name}: its strongest activation projected", tiny)
        patch = Shown(source(one.patch), f"{name}: the patch of the photograph that caused it", tiny)
        pairs.append(Pair(f"map {one.number}, activation {number(one.activation)}", projection, patch))
    return pairs


def _panels(sight: Sight, photograph: Photograph, look: Look, covered: Covered) -> list[Panel]:
    top, left = _lowest(covered)
    hidden = photograph.crop.copy()
    hidden[top : top + covered.square, left : left + covered.square] = GREY
    uncovered, least, most = _chances(look, covered)
    sums = (number(covered.activation.min()), number(covered.activation.max()))
    legend, codes = _legend(sight, covered)
    by_position = "By position of the square: "
    return [
        Panel(
            "Where covering costs most",
            Shown(source(sharp(hidden)), f"{photograph.name} with the square at row {top}, column {left}"),
            f"{uncovered} uncovered, {least} with the square here",
        ),
        Panel(
            f"Probability of {sight.classes[look.top[0][0]]}",
            Shown(source(heat(covered.probability)), f"{by_position}{least} to {most}"),
            scale=(least, most),
        ),
        Panel(
            f"Layer {max(sight.layers)}, map {covered.number}",
            Shown(source(heat(covered.activation)), f"{by_position}{sums[0]} to {sums[1]}"),
            f"summed activation; {number(covered.uncovered)} uncovered",
            scale=sums,
        ),
        Panel(
            "Most probable class",
            Shown(source(sharp(codes)), by_position + ", ".join(f"{name} {share}" for _, name, share in legend)),
            legend=legend,
        ),
    ]


def _said(sight: Sight, look: Look, covered: Covered) -> str:
    """The maps in one sentence."""
    uncovered, least, most = _chances(look, covered)
    best, (rows, columns) = look.top[0][0], covered.labels.shape
    changed = float((covered.labels != best).mean())
    answer = f"the answer changes at {percent(changed)} of them" if changed else "the answer is the same at all of them"
    return (
        f"Over {rows} \u00d7 {columns} positions of the square the probability of {sight.classes[best]}, {uncovered} uncovered, "
        f"lies between {least} and {most}; {answer}."
    )


def _chances(look: Look, covered: Covered) -> list[str]:
    """Probability of the top class: uncovered, least, most."""
    return percents([look.top[0][1], float(covered.probability.min()), float(covered.probability.max())])


def _lowest(covered: Covered) -> tuple[int, int]:
    """Top and left of the square where the class is least probable."""
    row, column = np.unravel_index(covered.probability.argmin(), covered.probability.shape)
    return int(row) * covered.stride, int(column) * covered.stride


def _legend(sight: Sight, covered: Covered) -> tuple[tuple[tuple[str, str, str], ...], np.ndarray]:
    """The commonest labels in colours, the rest as one, and uint8 (P, P, 3)."""
    found, counts = np.unique(covered.labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    named = order[: len(draw.CYCLE) - (len(order) > len(draw.CYCLE))]
    legend = [(colour, sight.classes[found[i]], counts[i]) for colour, i in zip(draw.CYCLE, named, strict=False)]
    picture = np.full((*covered.labels.shape, 3), rgb(OTHERS), dtype=np.uint8)
    for (colour, _, _), i in zip(legend, named, strict=True):
        picture[covered.labels == found[i]] = rgb(colour)
    if rest := len(order) - len(named):
        legend.append((OTHERS, f"{rest} others", counts[order[len(named) :]].sum()))
    return tuple((colour, name, percent(count / covered.labels.size)) for colour, name, count in legend), picture
