"""Fig 7: how covering parts of an image with a grey square changes the strongest map, the probability and the label."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox
from PIL import Image

from zfrepro.exhibits.kit import draw, saving
from zfrepro.exhibits.kit.base import Cell, Column, Grid, Narrow, Picture, Piece, Row, make_row
from zfrepro.exhibits.kit.interaction import Ranking, ranks
from zfrepro.exhibits.kit.numbers import Number, probability_number, probability_text
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.exhibits.kit.texts import shorten, width_of
from zfrepro.measurements import files as measured_files
from zfrepro.storage import artifacts

TITLE = "Covering parts of the image"
PAPER = "Figure 7"
HEADS = ("(a) Input", "(b) Strongest map", "(c) Its projections", "(d) P(true class)", "(e) Top label")
LABEL_COLOURS = (draw.BLUE, draw.ORANGE, draw.GREEN, draw.RED, draw.PURPLE, draw.SKY)
OTHER_COLOUR = "#b9bec6"
WIDE, TOP, HIGH, LINE = 7.4, 0.2, 1.85, 0.1  # inches: the figure, the heads, a line of panels, a further line of labels
PANEL, SWATCH, BAR_GAP = 1.3, 0.16, 0.06  # inches: room below a panel, a colour beside a label, between numbers
SMALL, BAR, PLAIN = 5.5, 6.0, 7.0  # points: labels, numbers, labels on a narrow screen
NARROW, NARROW_HIGH = 2.9, 5.2  # inches: two panels side by side, for a phone
NO_BOX, NO_POSITION, MISCLASSIFIED = "no box", "no position", " (misclassified)"
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
    return measured_files.files_of_run(config, "occlusion")


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
        drawing=Drawing(_sheet(arrays, about).png),
        alt=f"{count} rows of five panels: input, activation map, projections, probability map, label map.",
        notes=(
            "In (a) the square is where it lowers the probability of the true class most. Maps are enlarged to the size of the image, "
            "as in the paper; lighter is more (the paper uses the jet colour map).",
            *_notes(about["pictures"][:count]),
        ),
        pieces=tuple(_piece(i, arrays, about, numbers[i]) for i in range(count)),
        rows_title="The maps in numbers",
    )


def _notes(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the table's words mean, of those that it holds, and which images are misclassified."""
    boxed = [record for record in records if record["box"] is not None]
    kinds = {
        f"{NO_BOX.capitalize()}: the data set gives no box around the object of this image.": len(boxed) < len(records),
        f"{NO_POSITION.capitalize()}, elsewhere: every position of the square touches the object.": any(
            record["elsewhere"] is None for record in boxed
        ),
        f"{NO_POSITION.capitalize()}, on the object: no position of the square touches the object.": any(
            record["touching"] is None for record in boxed
        ),
    }
    notes = [text for text, is_there in kinds.items() if is_there]
    if wrong := [record for record in records if not record["correct"]]:
        files = ", ".join(record["file"] for record in wrong)
        notes.append(f"Misclassified when nothing is covered, unlike the paper's images: {files}.")
    return notes


def _true_class(record: Mapping[str, Any]) -> str:
    return record["true"] + ("" if record["correct"] else MISCLASSIFIED)


def _row(i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Row:
    record, probability = about["pictures"][i], arrays["probability"][i]
    label_kept = 100 * float((_labels_of(arrays, i) == arrays["clean_top_labels"][i, 0]).mean())
    shares = {
        "p_clean": arrays["clean_probability"][i],
        "p_least": probability.min(),
        "p_on_object": record["touching"],
        "p_elsewhere": record["elsewhere"],
    }
    missing = NO_BOX if record["box"] is None else NO_POSITION
    cells: dict[str, Cell] = {
        key: missing if share is None else probability_number(float(share)) for key, share in shares.items()
    }
    cells |= {"picture": record["file"], "true": _true_class(record), "map": Number(int(arrays["map"][i]), 0)}
    return make_row(COLUMNS, cells | {"label_kept": Number(label_kept)})


def _piece(i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], row: Row) -> Piece:
    with _figure([i], arrays, about) as figure:
        axes = _panels(figure, [i], arrays, about)[0]
        drawing = draw.save(figure, "jpg")  # after which the panels lie as in its PNG
        grids = _grids(i, arrays, about, [ax.get_position() for ax in axes])
        places = draw.boxes_of(figure, _coloured(axes))
    return Piece(
        f"picture{i + 1}",
        drawing,
        f"{row.text('true')}: probability of the true class falls from {row.text('p_clean')} uncovered to {row.text('p_least')} at its "
        f"lowest; {row.text('label_kept')} % of positions keep the label.",
        row.text("true"),
        least=600,
        grids=grids,
        images=places,
        narrow=_narrow(i, arrays, about),
        interaction=_ranking(i, arrays, about),
    )


def _coloured(axes: Sequence[Axes]) -> Iterator[Artist]:
    """Panels, bars of colours below them, and the colours of labels."""
    for ax in axes:
        yield ax
        yield from ax.child_axes
        if legend := ax.get_legend():
            yield from legend.get_patches()


def _narrow(i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Narrow:
    """Two panels side by side, the labels beside the last."""
    with draw.figure(NARROW, NARROW_HIGH) as figure:
        *axes, beside = figure.subplots(3, 2).flat
        _line(_clear(axes), i, arrays, about, beside)
        beside.set_axis_off()
        for ax, head in zip(axes, HEADS, strict=True):
            ax.set_title(head)
        png = draw.save_narrow(figure)
        grids = _grids(i, arrays, about, [ax.get_position() for ax in axes])
        places = draw.boxes_of(figure, (part for part in _coloured([*axes, beside]) if part is not beside))
    return Narrow(png, tuple(dataclasses.replace(grid, cells=()) for grid in grids), places)


def _ranking(i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Ranking:
    labels, true = arrays["top_labels"][i], int(arrays["true"][i])
    present = np.unique([*labels.flat, *arrays["clean_top_labels"][i], true]).tolist()
    numbers = {label: number for number, label in enumerate(present)}
    covered = [
        tuple(ranks(*cell, numbers) for cell in zip(*line, strict=True))
        for line in zip(labels.tolist(), arrays["top_probabilities"][i].tolist(), strict=True)
    ]
    uncovered = arrays["clean_top_labels"][i].tolist(), arrays["clean_top_probabilities"][i].tolist()
    names = tuple(about["classes"][label] for label in present)
    drawn = _lowest(arrays["probability"][i])
    return Ranking(
        names, numbers[true], ranks(*uncovered, numbers), tuple(covered), drawn, _beneath(i, drawn, arrays, about)
    )


def _beneath(i: int, drawn: tuple[int, int], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> bytes:
    """The part of the image that the square covers."""
    top, left = (number * about["stride"] for number in drawn)
    covered = arrays["inputs"][i][top : top + about["square"], left : left + about["square"]]
    return saving.encode(Image.fromarray(covered))


def _lowest(probability: np.ndarray) -> tuple[int, int]:
    """Row and column."""
    row, column = np.unravel_index(probability.argmin(), probability.shape)
    return int(row), int(column)


def _labels_of(arrays: Mapping[str, np.ndarray], i: int) -> np.ndarray:
    """int64 (P, P): the most probable class at every position."""
    labels: np.ndarray = arrays["top_labels"][i, :, :, 0]
    return labels


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
    covered = about["square"] / side
    return (
        dataclasses.replace(
            _grid(panels[0], [[f"square at x {x}, y {y}" for x in centres] for y in centres], first, across),
            cover=(round(covered * panels[0].width, 5), round(covered * panels[0].height, 5)),
        ),
        _grid(panels[1], [[f"map {number:.{digits}f}" for number in line] for line in activation.tolist()]),
        _grid(
            panels[3],
            [
                [f"P(true) {probability_text(number, 3)}" for number in line]
                for line in arrays["probability"][i].tolist()
            ],
        ),
        _grid(
            panels[4], [[f"predicted: {classes[label]}" for label in line] for line in _labels_of(arrays, i).tolist()]
        ),
    )


def _grid(panel: Bbox, cells: list[list[str]], first: float = 0.0, across: float = 1.0) -> Grid:
    """Cells over a panel, from `first` on and `across` wide and high, both in shares of the panel."""
    left, top = panel.x0 + first * panel.width, 1 - panel.y1 + first * panel.height
    width, height = across * panel.width, across * panel.height
    return Grid(round(left, 5), round(top, 5), round(width, 5), round(height, 5), tuple(map(tuple, cells)))


def _sheet(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Drawing:
    count = len(arrays["inputs"])
    with _figure(range(count), arrays, about) as figure:
        _panels(figure, range(count), arrays, about)
        return draw.save(figure)


def _figure(
    chosen: Sequence[int], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> AbstractContextManager[Figure]:
    """As high as the longest list of labels needs."""
    lines = max(_legend(_labels_of(arrays, i), int(arrays["true"][i]), about["classes"]).lines for i in chosen)
    lines = max([lines, *(3 for i in chosen if not about["pictures"][i]["correct"])])
    return draw.figure(WIDE, TOP + (HIGH + LINE * max(0, lines - 3)) * len(chosen))


def _panels(
    figure: Figure, images: Sequence[int], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> np.ndarray:
    """Axes (images, 5): a row of panels per image, the heads above the first."""
    axes = figure.subplots(len(images), len(HEADS), squeeze=False)
    for line, i in zip(axes, images, strict=True):
        _line(_clear(line), i, arrays, about)
    for ax, head in zip(axes[0], HEADS, strict=True):
        ax.set_title(head)
    return axes


def _clear(axes: Sequence[Axes]) -> list[Axes]:
    """Without ticks and frames."""
    for ax in axes:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    return list(axes)


def _line(
    axes: list[Axes], i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], beside: Axes | None = None
) -> None:
    """beside: axes for the legend of the labels; None: it stands below their panel."""
    _input(axes[0], i, arrays, about)
    _heat(axes[1], arrays["activation"][i])
    _projections(axes[2], arrays["projections"][i])
    _heat(axes[3], arrays["probability"][i])
    _labels(axes[4], _labels_of(arrays, i), int(arrays["true"][i]), about["classes"], beside)


def _input(ax: Axes, i: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """The square is drawn where it lowers the probability of the true class most."""
    top, left = _lowest(arrays["probability"][i])
    corner = (left * about["stride"] - 0.5, top * about["stride"] - 0.5)
    ax.imshow(arrays["inputs"][i], interpolation="antialiased")
    ax.add_patch(
        Rectangle(corner, about["square"], about["square"], facecolor=[about["grey"] / 255] * 3, edgecolor="none")
    )
    record, probability = about["pictures"][i], probability_text(float(arrays["clean_probability"][i]))
    below = [shorten(record["true"], PANEL, 6.5), _equals(probability) + " uncovered"]
    ax.set_xlabel("\n".join(below if record["correct"] else [*below, MISCLASSIFIED.strip()]), fontsize=6.5)


def _equals(probability: str) -> str:
    return f"P {probability}" if probability[0] in "<>" else f"P = {probability}"


def _heat(ax: Axes, values: np.ndarray) -> None:
    """With a bar of colours below it, whose numbers stay inside the panel: its neighbour has numbers too."""
    low, high = float(values.min()), float(values.max())
    shown = ax.imshow(values, cmap="viridis", vmin=low, vmax=high if high > low else low + 1)
    bar = ax.figure.colorbar(shown, cax=ax.inset_axes((0, -0.09, 1, 0.05)), orientation="horizontal")
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=BAR, length=2, pad=1)
    ticks = _bar_ticks(low, high)
    bar.set_ticks(list(ticks), labels=list(ticks.values()))
    for text, x in zip(bar.ax.get_xticklabels(), ticks, strict=True):
        share = (x - low) / (high - low) if high > low else 0.0
        text.set_horizontalalignment("left" if share < 0.1 else "right" if share > 0.9 else "center")


def _bar_ticks(low: float, high: float) -> dict[float, str]:
    """Place -> number, as many as there is room for; a bar of one value has that value."""
    if high <= low:
        return {low: f"{low:.3g}"}
    for count in (4, 3, 2, 1):
        places = [x for x in MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= x <= high]
        texts = [f"{x:.6g}" for x in places]
        if (
            len(set(texts)) == len(texts) > 1
            and sum(width_of(text, BAR) + BAR_GAP for text in texts) <= PANEL - BAR_GAP
        ):
            return dict(zip(places, texts, strict=True))
    ends = next(
        ([f"{low:.{n}g}", f"{high:.{n}g}"] for n in (2, 3, 4) if f"{low:.{n}g}" != f"{high:.{n}g}"), [f"{low:.4g}"]
    )
    return dict(zip((low, high), ends, strict=False))


def _projections(ax: Axes, projections: np.ndarray) -> None:
    tiles = [np.array(draw.resize(tile, 96)) for tile in draw.show_projections(projections)]
    tiles[0][:4], tiles[0][-4:], tiles[0][:, :4], tiles[0][:, -4:] = 0, 0, 0, 0
    ax.imshow(draw.block(tiles, 2, 96, 4), interpolation="antialiased")


@dataclass(frozen=True)
class _Legend:
    """Colour and text of the most frequent labels, and of the rest together; `largest`: the labels that have a colour."""

    largest: np.ndarray
    entries: tuple[tuple[str, str], ...]

    @property
    def columns(self) -> int:
        widest = max(width_of(text, SMALL) for _, text in self.entries)
        return 2 if len(self.entries) > 3 and widest + SWATCH <= PANEL / 2 else 1

    @property
    def lines(self) -> int:
        return -(-len(self.entries) // self.columns)


def _legend(labels: np.ndarray, true: int, classes: Sequence[str], size: float = SMALL) -> _Legend:
    present, counts = np.unique(labels, return_counts=True)
    order = present[np.argsort(-counts, kind="stable")]
    largest = order[: len(LABEL_COLOURS) - (len(order) > len(LABEL_COLOURS))]
    entries = [
        (colour, _entry(classes[label], label == true, size))
        for colour, label in zip(LABEL_COLOURS, largest, strict=False)
    ]
    if len(order) > len(largest):
        entries.append((OTHER_COLOUR, f"{len(order) - len(largest)} others"))
    return _Legend(largest, tuple(entries))


def _entry(name: str, is_true: bool, size: float) -> str:
    end = " (true)" if is_true else ""
    return shorten(name, PANEL - SWATCH - width_of(end, size), size) + end


def _labels(ax: Axes, labels: np.ndarray, true: int, classes: Sequence[str], beside: Axes | None) -> None:
    """The most frequent labels in colours, with a legend; the rest in grey."""
    size = PLAIN if beside else SMALL
    legend = _legend(labels, true, classes, size)
    count = len(legend.largest)
    codes = np.full(labels.shape, count)
    for code, label in enumerate(legend.largest):
        codes[labels == label] = code
    ax.imshow(codes, cmap=ListedColormap([*LABEL_COLOURS[:count], OTHER_COLOUR]), vmin=0, vmax=count)
    handles = [Patch(color=colour, label=text) for colour, text in legend.entries]
    place = (
        {"loc": "upper left"}
        if beside
        else {"bbox_to_anchor": (0.5, -0.01), "loc": "upper center", "ncols": legend.columns}
    )
    (beside or ax).legend(handles=handles, **place, fontsize=size, handlelength=0.8, handleheight=0.8, columnspacing=0.8,
                          borderpad=0, labelspacing=0.25)  # fmt: skip
