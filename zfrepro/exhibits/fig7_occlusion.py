"""Fig 7: how covering parts of an image with a grey square changes the strongest map, the probability and the label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import Column, Grid, Picture, Piece, Row, make_row
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.measurements import files as measured_files
from zfrepro.storage import artifacts

TITLE = "Covering parts of the image"
PAPER = "Figure 7"
HEADS = ("(a) Input", "(b) Strongest map", "(c) Its projections", "(d) P(true class)", "(e) Top label")
LABEL_COLOURS = (draw.BLUE, draw.ORANGE, draw.GREEN, draw.RED, draw.PURPLE, draw.SKY)
OTHER_COLOUR = "#b9bec6"
WIDE, TOP, HIGH = 7.4, 0.2, 1.85  # inches: the figure, the heads, a line of panels
COLUMNS = (
    Column("picture", "Image", "label"),
    Column("true", "True class", "label"),
    Column("map", "Strongest map"),
    Column("p_clean", "P(true), uncovered"),
    Column("p_least", "P(true), minimum"),
    Column("p_on_object", "P(true), square on object"),
    Column("p_elsewhere", "P(true), elsewhere"),
    Column("label_kept", "Positions that keep the label (%)"),
)


def needs(config: Any) -> dict[str, str]:
    return measured_files.of_one_run(config, "occlusion")


def build(files: Mapping[str, Path]) -> Picture:
    arrays, about = artifacts.load_arrays(files["arrays"]), artifacts.load_json(files["about"])
    count = len(arrays["inputs"])
    numbers = [_row(i, arrays, about) for i in range(count)]
    return Picture(
        caption=f"A grey square of {about['square']} x {about['square']} pixels slides over the {about['input_size']} pixel input in "
        f"steps of {about['stride']}: {about['positions']} x {about['positions']} positions. (a) image with the square; (b) summed "
        f"activation of the layer-{about['layer']} map that is strongest when nothing is covered, by position of the square; "
        "(c) that map's projections, this image's framed in black, and three others; (d) probability of the true class; "
        "(e) most probable class.",
        columns=COLUMNS,
        rows=tuple(numbers),
        png=_sheet(arrays, about),
        alt=f"{count} rows of five panels: input, activation map, projections, probability map, label map.",
        notes=(
            "In (a) the square is where it lowers the probability of the true class most. Maps are enlarged to the size of the image, "
            "as in the paper; lighter is more (the paper uses the jet colour map).",
            *(
                ("No position: every position of the square touches the object.",)
                if any("no position" in row.cells.values() for row in numbers)
                else ()
            ),
        ),
        pieces=tuple(_piece(i, arrays, about, numbers[i]) for i in range(count)),
        rows_title="The maps in numbers",
    )


def _row(i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Row:
    record, probability = about["pictures"][i], arrays["probability"][i]
    label_kept = 100 * float((arrays["label"][i] == arrays["clean_label"][i]).mean())
    shares = {
        "p_clean": arrays["clean_probability"][i],
        "p_least": probability.min(),
        "p_on_object": record["touching"],
        "p_elsewhere": record["elsewhere"],
    }
    cells = {key: "no position" if share is None else Number(float(share), 3) for key, share in shares.items()}
    cells |= {"picture": record["file"], "true": record["true"], "map": Number(int(arrays["map"][i]), 0)}
    return make_row(COLUMNS, cells | {"label_kept": Number(label_kept)})


def _piece(i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], row: Row) -> Piece:
    with _figure(1) as figure:
        axes = _panels(figure, [i], arrays, about)[0]
        png = draw.png(figure)
        grids = _grids(i, arrays, about, [ax.get_position() for ax in axes])
    return Piece(
        f"picture{i + 1}",
        png,
        f"{row.text('true')}: probability of the true class falls from {row.text('p_clean')} uncovered to {row.text('p_least')} at its "
        f"lowest; {row.text('label_kept')} % of positions keep the label.",
        row.text("true"),
        least=600,
        grids=grids,
    )


def _grids(
    i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], panels: Sequence[Bbox]
) -> tuple[Grid, ...]:
    """The values at every position of the square, over the panels; over the input, at the middle of the square.

    panels: where each panel lies, in shares of the figure, from the lower left.
    """
    half, stride, side = about["square"] / 2, about["stride"], about["input_size"]
    centres = [f"{n * stride + half:g}" for n in range(about["positions"])]
    activation, classes = arrays["activation"][i], about["classes"]
    digits = 1 if activation.max() >= 10 else 3
    first, across = (half - stride / 2) / side, about["positions"] * stride / side
    return (
        _grid(panels[0], [[f"square at x {x}, y {y}" for x in centres] for y in centres], first, across),
        _grid(panels[1], [[f"map {number:.{digits}f}" for number in line] for line in activation.tolist()]),
        _grid(panels[3], [[f"P(true) {number:.3f}" for number in line] for line in arrays["probability"][i].tolist()]),
        _grid(panels[4], [[f"predicted: {classes[label]}" for label in line] for line in arrays["label"][i].tolist()]),
    )


def _grid(panel: Bbox, cells: list[list[str]], first: float = 0.0, across: float = 1.0) -> Grid:
    """Cells over a panel, from `first` on and `across` wide and high, both in shares of the panel."""
    left, top = panel.x0 + first * panel.width, 1 - panel.y1 + first * panel.height
    width, height = across * panel.width, across * panel.height
    return Grid(round(left, 5), round(top, 5), round(width, 5), round(height, 5), tuple(map(tuple, cells)))


def _sheet(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> bytes:
    count = len(arrays["inputs"])
    with _figure(count) as figure:
        _panels(figure, range(count), arrays, about)
        return draw.png(figure)


def _figure(lines: int) -> AbstractContextManager[Figure]:
    return draw.figure(WIDE, TOP + HIGH * lines)


def _panels(
    figure: Figure, images: Sequence[int], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> np.ndarray:
    """Axes (images, 5): a row of panels per image, the heads above the first."""
    axes = figure.subplots(len(images), len(HEADS), squeeze=False)
    for line, i in zip(axes, images, strict=True):
        for ax in line:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        _line(list(line), i, arrays, about)
    for ax, head in zip(axes[0], HEADS, strict=True):
        ax.set_title(head)
    return axes


def _line(axes: list[Axes], i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    _input(axes[0], i, arrays, about)
    _heat(axes[1], arrays["activation"][i])
    _projections(axes[2], arrays["projections"][i])
    _heat(axes[3], arrays["probability"][i])
    _labels(axes[4], arrays["label"][i], int(arrays["true"][i]), about["classes"])


def _input(ax: Axes, i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """The square is drawn where it lowers the probability of the true class most."""
    top, left = np.unravel_index(arrays["probability"][i].argmin(), arrays["probability"][i].shape)
    corner = (left * about["stride"] - 0.5, top * about["stride"] - 0.5)
    ax.imshow(arrays["inputs"][i], interpolation="antialiased")
    ax.add_patch(
        Rectangle(corner, about["square"], about["square"], facecolor=[about["grey"] / 255] * 3, edgecolor="none")
    )
    ax.set_xlabel(
        f"{draw.shortened(about['pictures'][i]['true'], 18)}\nP = {arrays['clean_probability'][i]:.2f} uncovered",
        fontsize=6.5,
    )


def _heat(ax: Axes, values: np.ndarray) -> None:
    image = ax.imshow(values, cmap="viridis")
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((0, -0.09, 1, 0.05)), orientation="horizontal", ticks=ticks)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=6, length=2, pad=1)


def _projections(ax: Axes, projections: np.ndarray) -> None:
    tiles = [np.array(draw.resized(tile, 96)) for tile in draw.grey_zero(projections)]
    tiles[0][:4], tiles[0][-4:], tiles[0][:, :4], tiles[0][:, -4:] = 0, 0, 0, 0
    ax.imshow(draw.block(tiles, 2, 96, 4), interpolation="antialiased")


def _labels(ax: Axes, labels: np.ndarray, true: int, classes: list[str]) -> None:
    """The most frequent labels in colours, with a legend below; the rest in grey."""
    present, counts = np.unique(labels, return_counts=True)
    order = present[np.argsort(-counts, kind="stable")]
    largest = order[: len(LABEL_COLOURS) - (len(order) > len(LABEL_COLOURS))]
    codes = np.full(labels.shape, len(largest))
    for code, label in enumerate(largest):
        codes[labels == label] = code
    ax.imshow(codes, cmap=ListedColormap([*LABEL_COLOURS[: len(largest)], OTHER_COLOUR]), vmin=0, vmax=len(largest))
    handles = [
        Patch(color=colour, label=draw.shortened(classes[label], 18) + (" (true)" if label == true else ""))
        for colour, label in zip(LABEL_COLOURS, largest, strict=False)
    ]
    if len(order) > len(largest):
        handles.append(Patch(color=OTHER_COLOUR, label=f"{len(order) - len(largest)} others"))
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=1 + (len(handles) > 3), fontsize=5.5,
              handlelength=0.8, handleheight=0.8, columnspacing=0.8, borderpad=0, labelspacing=0.25)  # fmt: skip
