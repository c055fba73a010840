"""One figure per analysis; matplotlib is imported when one is drawn, and no window or global state is touched.

Images are inputs of a network. `show` turns such a tensor (C, H, W) into what is drawn, (C, H, W) in 0 ... 1; by default the values of an
image are stretched from its least to its largest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zfrepro.analysis.curves import InvarianceCurve
from zfrepro.analysis.occlusion import OcclusionMaps
from zfrepro.analysis.projection import Projection
from zfrepro.analysis.sign_changes import SignComparison
from zfrepro.analysis.strongest import TopPatches

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Show = Callable[[Tensor], Tensor]
INCH = 1.6  # of a small picture
COLOURS = (
    (0.27, 0.47, 0.67),
    (0.93, 0.40, 0.47),
    (0.13, 0.53, 0.20),
    (0.80, 0.73, 0.27),
    (0.40, 0.80, 0.93),
    (0.73, 0.73, 0.73),
)
UNITS = {"shift": "pixels down", "scale": "ratio", "rotation": "degrees"}


def stretch(image: Tensor) -> Tensor:
    """(C, H, W) from the least to the largest value: 0 ... 1."""
    low, high = image.min(), image.max()
    return (image - low) / (high - low).clamp(min=torch.finfo(image.dtype).tiny)


def grey_zero(pixels: Tensor) -> Tensor:
    """A projection (C, H, W) as 0 ... 1: 0 is middle grey, the largest magnitude black or white."""
    return 0.5 + 0.5 * pixels / pixels.abs().max().clamp(min=torch.finfo(pixels.dtype).tiny)


def plot_projection(projection: Projection, images: Tensor | None = None, show: Show = stretch) -> Figure:
    """One column per unit: its projection, cut to what the unit sees, and below it the same pixels of `images`, (U or 1, C, H, W)."""
    count = len(projection.maps)
    figure, axes = _grid(1 if images is None else 2, count)
    for column, box in enumerate(projection.boxes.tolist()):
        _draw(axes[0][column], _cut(grey_zero(projection.pixels[column]), box))
        axes[0][column].set_title(
            f"map {int(projection.maps[column])}: {float(projection.activations[column]):.3g}", fontsize=7
        )
        if images is not None:
            _draw(axes[1][column], _cut(show(images[column if len(images) > 1 else 0]), box))
    return figure


def plot_top_activations(top: TopPatches, show: Show = stretch) -> Figure:
    """One row per map: the patches with its highest activations. Raises ValueError where they were not kept."""
    if top.patches is None:
        raise ValueError("the patches were not kept; search with patches=True")
    figure, axes = _grid(*top.values.shape)
    for row, patches in enumerate(top.patches):
        for column, patch in enumerate(patches):
            _draw(axes[row][column], show(patch))
            axes[row][column].set_title(
                f"image {int(top.images[row, column])}: {float(top.values[row, column]):.3g}", fontsize=7
            )
        axes[row][0].set_ylabel(f"map {int(top.maps[row])}", fontsize=8)
    return figure


def plot_occlusion(
    maps: OcclusionMaps, images: Tensor | None = None, classes: Sequence[str] | None = None, show: Show = stretch
) -> Figure:
    """One row per image: the image (where given), the class's probability, the watched map, the most probable class, by position."""
    panels = ["probability", *(["activation"] if maps.activation is not None else []), "predicted"]
    first = 0 if images is None else 1
    figure, axes = _grid(len(maps.labels), len(panels) + first, INCH * 1.6)
    for row in range(len(maps.labels)):
        if images is not None:
            _draw(axes[row][0], show(images[row]))
        for axis, panel in zip(axes[row][first:], panels, strict=True):
            axis.set_title(_occlusion_title(maps, row, panel, classes), fontsize=7)
            if panel == "predicted":
                _draw_labels(axis, maps.predicted[row], classes)
            else:
                shown = axis.imshow(_array(getattr(maps, panel)[row].float()), cmap="viridis")
                figure.colorbar(shown, ax=axis, shrink=0.7).ax.tick_params(labelsize=6)
    return figure


def _draw_labels(axis: Axes, labels: Tensor, classes: Sequence[str] | None) -> None:
    """A colour for each of the most frequent classes, which a legend names; the rest share one."""
    from matplotlib.patches import Patch

    counts = labels.flatten().bincount()
    found = int((counts > 0).sum())
    frequent = counts.argsort(descending=True, stable=True)[: min(found, len(COLOURS) - 1)].tolist()
    ranks = torch.full_like(labels, len(COLOURS) - 1)
    for rank, label in enumerate(frequent):
        ranks[labels == label] = rank
    shown = torch.tensor(COLOURS)[ranks.cpu()]
    axis.imshow(_array(shown))
    names = [_class_name(label, classes) for label in frequent] + ["others"] * (found > len(frequent))
    colours = [*COLOURS[: len(frequent)], COLOURS[-1]]
    patches = [Patch(color=colour, label=name) for colour, name in zip(colours, names, strict=False)]
    axis.legend(handles=patches, fontsize=5, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=2, frameon=False)


def _class_name(label: int, classes: Sequence[str] | None) -> str:
    return f"class {label}" if classes is None else classes[label]


def _occlusion_title(maps: OcclusionMaps, row: int, panel: str, classes: Sequence[str] | None) -> str:
    if panel == "probability":
        name = _class_name(int(maps.labels[row]), classes)
        return f"probability of {name}\n{float(maps.uncovered_probability[row]):.3g} uncovered"
    if panel == "activation":
        assert maps.maps is not None
        assert maps.uncovered_activation is not None
        return f"map {int(maps.maps[row])}, summed\n{float(maps.uncovered_activation[row]):.3g} uncovered"
    changed = float((maps.predicted[row] != maps.uncovered_predicted[row]).float().mean())
    name = _class_name(int(maps.uncovered_predicted[row]), classes)
    return f"most probable class\n{name} uncovered, others at {changed:.0%}"


def plot_invariance(curves: Mapping[str, InvarianceCurve]) -> Figure:
    """One column per transformation; a row of distances per layer, and one of the probability; a line per image."""
    layers = list(next(iter(curves.values())).distances)
    figure, axes = _grid(len(layers) + 1, len(curves), INCH * 1.6, ticks=True)
    for column, (kind, curve) in enumerate(curves.items()):
        rows = [
            *((f"distance, {layer}", curve.distances[layer]) for layer in layers),
            ("probability", curve.probability),
        ]
        for axis, (name, values) in zip((line[column] for line in axes), rows, strict=True):
            axis.plot(_array(curve.amounts), _array(values.double().mT))
            axis.set_xlabel(UNITS.get(kind, kind), fontsize=7)
            axis.set_ylabel(name, fontsize=7)
        axes[0][column].set_title(kind, fontsize=8)
    return figure


def plot_correspondence(comparisons: Mapping[str, SignComparison], masks: Sequence[str] | None = None) -> Figure:
    """One panel per layer: of each mask the mean share of units whose sign of change differs, and its deviation over the pairs."""
    figure, axes = _grid(1, len(comparisons), INCH * 1.8, ticks=True)
    for axis, (layer, comparison) in zip(axes[0], comparisons.items(), strict=True):
        names = masks or [f"mask {number}" for number in range(len(comparison.mean))]
        axis.bar(list(names), _array(comparison.mean), yerr=_array(comparison.spread.nan_to_num()))
        axis.set_title(layer, fontsize=8)
        axis.set_ylabel("share of units that differ", fontsize=7)
        axis.tick_params(axis="x", labelrotation=45)
    return figure


def _grid(rows: int, columns: int, inch: float = INCH, ticks: bool = False) -> tuple[Figure, list[list[Axes]]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(inch * columns, inch * rows), layout="constrained")
    axes: list[list[Axes]] = figure.subplots(rows, columns, squeeze=False).tolist()
    for axis in (axis for row in axes for axis in row):
        axis.tick_params(labelsize=6)
        if not ticks:
            axis.set_xticks([])
            axis.set_yticks([])
    return figure, axes


def _draw(axis: Axes, image: Tensor) -> None:
    """(C, H, W) in 0 ... 1; one channel as grey, of others than three the mean."""
    colours = image if len(image) == 3 else image.mean(dim=0, keepdim=True)
    axis.imshow(
        _array(colours.float().clamp(0, 1).permute(1, 2, 0)), cmap="gray", vmin=0, vmax=1, interpolation="nearest"
    )


def _cut(image: Tensor, box: list[int]) -> Tensor:
    top, bottom, left, right = box
    return image[:, top : max(bottom, top + 1), left : max(right, left + 1)]


def _array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().cpu().numpy()
    return array
