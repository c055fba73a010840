"""Fig 7: what the network sees where a grey square covers the picture: strongest map, probability, label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import Column, Grid, Picture, Piece, Row, make_row
from zfrepro.measurements import files as measured_files
from zfrepro.measurements.estimate import Number
from zfrepro.storage import artifacts

TITLE = "What happens when a part is covered"
PAPER = "Figure 7"
HEADS = ("(a) Input", "(b) Strongest map", "(c) Its projections", "(d) P(true class)", "(e) Top label")
LABEL_COLOURS = (draw.BLUE, draw.ORANGE, draw.GREEN, draw.RED, draw.PURPLE, draw.SKY)
OTHERS = "#b9bec6"
WIDE, SIDE, TOP, FOOT, MARGIN = (
    7.4,
    1.36,
    0.24,
    0.42,
    0.04,
)  # inches: figure, panel, room for heads, under panels, border
COLUMNS = (
    Column("picture", "Picture", "label"),
    Column("true", "True class", "label"),
    Column("map", "Strongest map"),
    Column("p_clean", "P(true), uncovered"),
    Column("p_least", "P(true), lowest"),
    Column("p_on_object", "P(true), square on object"),
    Column("p_elsewhere", "P(true), elsewhere"),
    Column("label_kept", "Positions keeping the label (%)"),
)


def needs(config: Any) -> dict[str, str]:
    return measured_files.of_one_run(config, "occlusion")


def build(files: Mapping[str, Path]) -> Picture:
    arrays, about = artifacts.load_arrays(files["arrays"]), artifacts.load_json(files["about"])
    count = len(arrays["inputs"])
    numbers = [_row(i, arrays, about) for i in range(count)]
    return Picture(
        caption=f"A grey square of {about['square']} x {about['square']} pixels slides over the {about['input_size']} pixel input in "
        f"steps of {about['stride']}: {about['positions']} x {about['positions']} positions. (a) picture with the square; (b) summed "
        f"activation of the layer-{about['layer']} map that is strongest when nothing is covered, by position of the square; "
        "(c) that map's projections, this picture framed black, and three others; (d) probability of the true class; "
        "(e) most probable class.",
        columns=COLUMNS,
        rows=tuple(numbers),
        png=_drawn(range(count), arrays, about),
        alt=f"{count} rows of five panels: input, activation map, projections, probability map, label map.",
        notes=(
            "In (a) the square stands where it lowers the probability of the true class most. Maps are stretched to the picture's size, "
            "as in the paper; lighter is more (the paper uses the jet colour map).",
            *(
                ("No room: the square touches the object wherever it stands.",)
                if any("no room" in row.cells.values() for row in numbers)
                else ()
            ),
        ),
        pieces=tuple(_piece(i, arrays, about, numbers[i]) for i in range(count)),
        rows_title="The maps in numbers",
    )


def _row(i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Row:
    record, probability = about["pictures"][i], arrays["probability"][i]
    kept = 100 * float((arrays["label"][i] == arrays["clean_label"][i]).mean())
    shares = {
        "p_clean": arrays["clean_probability"][i],
        "p_least": probability.min(),
        "p_on_object": record["touching"],
        "p_elsewhere": record["elsewhere"],
    }
    cells = {key: "no room" if share is None else Number(float(share), 3) for key, share in shares.items()}
    cells |= {"picture": record["file"], "true": record["true"], "map": Number(int(arrays["map"][i]), 0)}
    return make_row(COLUMNS, cells | {"label_kept": Number(kept)})


def _piece(i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], row: Row) -> Piece:
    return Piece(
        f"picture{i + 1}",
        _drawn([i], arrays, about),
        f"{row.text('true')}: probability of the true class falls from {row.text('p_clean')} uncovered to {row.text('p_least')} at its "
        f"lowest; {row.text('label_kept')} % of positions keep the label.",
        row.text("true"),
        least=600,
        grids=_grids(i, arrays, about),
    )


def _grids(i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> tuple[Grid, ...]:
    """What the panels say at every position of the square; over the input, where its middle is."""
    half, stride, side = about["square"] / 2, about["stride"], about["input_size"]
    places = [f"{n * stride + half:g}" for n in range(about["positions"])]
    activation, classes = arrays["activation"][i], about["classes"]
    digits = 1 if activation.max() >= 10 else 3
    first, across = (half - stride / 2) / side, about["positions"] * stride / side
    return (
        _grid(0, [[f"square at x {x}, y {y}" for x in places] for y in places], first, across),
        _grid(1, [[f"map {number:.{digits}f}" for number in line] for line in activation.tolist()]),
        _grid(3, [[f"P(true) {number:.3f}" for number in line] for line in arrays["probability"][i].tolist()]),
        _grid(4, [[f"says {classes[label]}" for label in line] for line in arrays["label"][i].tolist()]),
    )


def _grid(column: int, cells: list[list[str]], first: float = 0.0, across: float = 1.0) -> Grid:
    """Cells over a panel of a piece, from `first` on and `across` wide and high, both in shares of the panel."""
    height = TOP + SIDE + FOOT
    left, top, size = _left(column) + first * SIDE, TOP + first * SIDE, across * SIDE
    shares = (left / WIDE, top / height, size / WIDE, size / height)
    return Grid(*(round(share, 5) for share in shares), tuple(map(tuple, cells)))


def _drawn(chosen: Iterable[int], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> bytes:
    chosen = list(chosen)
    height = TOP + (SIDE + FOOT) * len(chosen)
    with draw.figure(WIDE, height) as drawn:
        drawn.set_layout_engine("none")
        for line, i in enumerate(chosen):
            bottom = height - TOP - (line + 1) * (SIDE + FOOT) + FOOT
            axes = [_panel(drawn, column, bottom, height) for column in range(len(HEADS))]
            _line(axes, i, arrays, about)
            if line == 0:
                for ax, head in zip(axes, HEADS, strict=True):
                    ax.set_title(head, pad=4)
        return draw.png(drawn)


def _panel(drawn: Figure, column: int, bottom: float, height: float) -> Axes:
    ax = drawn.add_axes((_left(column) / WIDE, bottom / height, SIDE / WIDE, SIDE / height))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def _left(column: int) -> float:
    """Inches from the figure's left side to that of a panel."""
    return MARGIN + column * (SIDE + (WIDE - 2 * MARGIN - len(HEADS) * SIDE) / (len(HEADS) - 1))


def _line(axes: list[Axes], i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    _input(axes[0], i, arrays, about)
    _heat(axes[1], arrays["activation"][i])
    _projections(axes[2], arrays["projections"][i])
    _heat(axes[3], arrays["probability"][i])
    _labels(axes[4], arrays["label"][i], int(arrays["true"][i]), about["classes"])


def _input(ax: Axes, i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """The square is drawn where it lowers the true class most."""
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
    shown = ax.imshow(values, cmap="viridis")
    bar = ax.figure.colorbar(shown, cax=ax.inset_axes((0, -0.09, 1, 0.05)), orientation="horizontal")
    bar.outline.set_visible(False)
    bar.locator.set_params(nbins=4)
    bar.ax.tick_params(labelsize=6, length=2, pad=1)


def _projections(ax: Axes, projections: np.ndarray) -> None:
    tiles = [np.array(draw.resized(tile, 96)) for tile in draw.grey_zero(projections)]
    tiles[0][:4], tiles[0][-4:], tiles[0][:, :4], tiles[0][:, -4:] = 0, 0, 0, 0
    ax.imshow(draw.block(tiles, 2, 96, 4), interpolation="antialiased")


def _labels(ax: Axes, labels: np.ndarray, true: int, classes: list[str]) -> None:
    """The commonest labels in colours, named by share below; the rest grey."""
    found, counts = np.unique(labels, return_counts=True)
    order = found[np.argsort(-counts, kind="stable")]
    named = order[: len(LABEL_COLOURS) - (len(order) > len(LABEL_COLOURS))]
    codes = np.full(labels.shape, len(named))
    for code, label in enumerate(named):
        codes[labels == label] = code
    ax.imshow(codes, cmap=ListedColormap([*LABEL_COLOURS[: len(named)], OTHERS]), vmin=0, vmax=len(named))
    handles = [
        Patch(color=colour, label=draw.shortened(classes[label], 18) + (" (true)" if label == true else ""))
        for colour, label in zip(LABEL_COLOURS, named, strict=False)
    ]
    if len(order) > len(named):
        handles.append(Patch(color=OTHERS, label=f"{len(order) - len(named)} others"))
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=1 + (len(handles) > 3), fontsize=5.5,
              handlelength=0.8, handleheight=0.8, columnspacing=0.8, borderpad=0, labelspacing=0.25)  # fmt: skip
