"""The look of every picture of the report: one style and one set of colours."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.text import Text
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from zfrepro.exhibits.kit import saving
from zfrepro.exhibits.kit.axes_numbers import set_tick_numbers
from zfrepro.exhibits.kit.interaction import Box, rounded
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.exhibits.kit.texts import FONT, POINTS, missing_letters, width_of, wrap, writable

# Okabe and Ito's palette, whose colours colour-blind readers can tell apart
BLUE, ORANGE, GREEN, RED, SKY, PURPLE, YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442",
)  # fmt: skip
CYCLE = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
INK, MUTED, LINE = "#1b1f24", "#6b7280", "#d5d9df"
OURS, PAPER = BLUE, RED
TITLE = 8.5  # points
TYPICAL = 98  # percentile of the magnitudes of a projection
SCALE = (  # what `show_projections` does, for captions
    f"Grey is zero; each projection has its own scale, on which the {TYPICAL}th percentile of its magnitudes is four fifths of the way to "
    "black or white."
)
BLUR, WEAK, STRONG, GREY = (
    0.045,
    0.25,
    0.85,
    128.0,
)  # of what is seen through a projection: radius by side, shares of its typical strength
LABELS, TITLE_GAP = 2.2, 0.12  # inches: the labels at the left of a dot plot, between a title and the next panel
STYLE: dict[Any, Any] = {
    "font.family": FONT,
    "font.size": 8,
    "axes.titlesize": TITLE,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=CYCLE),
    "axes.grid": False,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-99, 99),  # see axes_numbers: an offset in a corner would lie on the title
    "axes.formatter.min_exponent": 0,
    "grid.color": "#e8eaee",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "text.parse_math": False,  # a class name may hold a dollar sign
    "text.usetex": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.6,
    "image.interpolation": "nearest",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def figure(width: float, height: float) -> Iterator[Figure]:
    """An empty figure, in inches, in the report's style; draw and save it inside the block."""
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE, "backend": "agg"}):
        yield Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, ending: Literal["pdf", "jpg"] = "pdf") -> Drawing:
    """A figure, whose numbers and titles are made to fit; `jpg` where most of it is images."""
    fit_texts(figure)
    return saving.save(figure, ending)


def boxes_of(figure: Figure, parts: Iterable[Artist]) -> tuple[Box, ...]:
    """Where parts of a figure lie. It is laid out again: legends keep the pixels of the resolution at which they were last drawn."""
    figure.draw_without_rendering()
    boxes = [part.get_window_extent().transformed(figure.transFigure.inverted()) for part in parts]
    return tuple(rounded((float(b.x0), 1 - float(b.y1), float(b.width), float(b.height))) for b in boxes)


def save_narrow(figure: Figure, dpi: int = 210) -> bytes:
    """PNG of a figure drawn for a narrow screen: some two pixels for each that a page counts."""
    fit_texts(figure)
    return saving.encode(saving.render(figure, dpi))


def fit_texts(figure: Figure) -> None:
    """Choose the numbers along all axes, write letters that the font lacks as their codes, and wrap titles that are too wide."""
    set_tick_numbers(figure)
    _make_writable(figure)
    _fit_titles(figure)


def _make_writable(figure: Figure) -> None:
    for text in figure.findobj(Text):
        if missing_letters(text.get_text()):
            text.set_text(writable(text.get_text()))
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        if missing_letters("".join(labels)):
            axis.set_ticks(axis.get_ticklocs(), [writable(label) for label in labels])


def _fit_titles(figure: Figure) -> None:
    """Wrap titles that would reach into the next panel or leave the figure."""
    wide = [ax for ax in figure.axes if _may_be_wide(figure, ax)]
    if wide and (engine := figure.get_layout_engine()):
        engine.execute(figure)  # where the panels lie
    for ax in wide:
        left = ax.get_position().x0
        right = min(
            (other.get_position().x0 for other in figure.axes if other.get_position().x0 > left + 0.05), default=1.0
        )
        inches = (right - left) * figure.get_figwidth() - TITLE_GAP
        ax.set_title(wrap(ax.get_title(loc="left"), inches, TITLE, "bold"))


def _may_be_wide(figure: Figure, ax: Axes) -> bool:
    place = ax.get_subplotspec()
    columns = place.get_gridspec().ncols if place else 1
    return width_of(ax.get_title(loc="left"), TITLE, "bold") > 0.75 * figure.get_figwidth() / columns


def grey_zero(values: np.ndarray, share: float = 99.5) -> np.ndarray:
    """uint8 of signed values: 0 becomes middle grey, the percentile `share` of the magnitudes black or white."""
    largest = float(np.percentile(np.abs(values), share)) or float(np.abs(values).max()) or 1.0
    return np.clip(np.round(127.5 + 127.5 * values / largest), 0, 255).astype(np.uint8)


def show_projections(projections: np.ndarray) -> np.ndarray:
    """uint8 of (N, f, f, 3), each tile on a scale of its own: 0 is middle grey, the percentile TYPICAL of its magnitudes lies four fifths
    of the way to black or white, and what is larger comes closer to these but is not clipped."""
    scaled = projections / _typical(np.abs(projections))
    return np.round(127.5 + 127.5 * scaled / np.cbrt(1 + np.abs(scaled) ** 3)).astype(np.uint8)


def see_through(patches: np.ndarray, projections: np.ndarray) -> np.ndarray:
    """uint8 of (N, f, f, 3): the patches where their projections are strong, middle grey where they are weak."""
    strengths = np.abs(projections).max(axis=-1)
    levels = np.round(255 * np.minimum(1, strengths / _typical(strengths))).astype(np.uint8)
    radius = BLUR * patches.shape[1]
    smooth = np.stack([np.asarray(Image.fromarray(tile).filter(ImageFilter.GaussianBlur(radius))) for tile in levels])
    weak, strong = WEAK * _typical(smooth), STRONG * _typical(smooth)
    opacity = np.clip((smooth - weak) / (strong - weak), 0, 1)[..., None]
    return np.round(GREY + opacity * (patches - GREY)).astype(np.uint8)


def _typical(magnitudes: np.ndarray) -> np.ndarray:
    """The percentile TYPICAL of every tile of (N, ...), to divide by: the largest where that is 0, and 1 for a tile of zeros."""
    tiles = magnitudes.reshape(len(magnitudes), -1)
    scale = np.percentile(tiles, TYPICAL, axis=1)
    scale = np.where(scale > 0, scale, tiles.max(axis=1))
    return np.where(scale > 0, scale, 1.0).reshape(-1, *[1] * (magnitudes.ndim - 1))


def stretch(values: np.ndarray) -> np.ndarray:
    """uint8 of values stretched from their least to their largest (first-layer filters)."""
    low, high = float(values.min()), float(values.max())
    return np.round(255 * (values - low) / ((high - low) or 1.0)).astype(np.uint8)


def resize(tile: np.ndarray, side: int) -> Image.Image:
    """A tile (f, f, 3) at `side` pixels; one of up to 16 pixels keeps sharp edges."""
    tiny = tile.shape[0] <= 16
    return Image.fromarray(tile).resize((side, side), Image.Resampling.NEAREST if tiny else Image.Resampling.LANCZOS)


def block(tiles: Sequence[np.ndarray], columns: int, side: int, gap: int, ground: str = "white") -> Image.Image:
    """Tiles (f, f, 3) uint8 in rows of `columns`, each `side` pixels wide, `gap` pixels apart."""
    return arrange([resize(tile, side) for tile in tiles], columns, gap, ground)


def arrange(images: Sequence[Image.Image], columns: int, gap: int, ground: str = "white") -> Image.Image:
    """Images of one size in rows of `columns`."""
    columns = max(1, min(columns, len(images)))
    lines = -(-len(images) // columns)
    width, height = images[0].size
    sheet = Image.new("RGB", (columns * (width + gap) - gap, lines * (height + gap) - gap), ground)
    for i, image in enumerate(images):
        sheet.paste(image, (i % columns * (width + gap), i // columns * (height + gap)))
    return sheet


def join_columns(images: Sequence[Image.Image], gap: int) -> Image.Image:
    """Images in one line, aligned at the top."""
    sheet = Image.new("RGB", (sum(i.width + gap for i in images) - gap, max(i.height for i in images)), "white")
    left = 0
    for image in images:
        sheet.paste(image, (left, 0))
        left += image.width + gap
    return sheet


def join_rows(images: Sequence[Image.Image], gap: int) -> Image.Image:
    """Images one below the other, aligned at the left."""
    sheet = Image.new("RGB", (max(i.width for i in images), sum(i.height + gap for i in images) - gap), "white")
    top = 0
    for image in images:
        sheet.paste(image, (0, top))
        top += image.height + gap
    return sheet


def add_title(image: Image.Image, text: str, size: int) -> Image.Image:
    """The image with a bold title above it, `size` pixels high, in as many lines as it needs."""
    lines = wrap(writable(text), (image.width - 2) / POINTS, size, "bold")  # a pixel for a point
    height = round(1.7 * size) + round(1.3 * size) * lines.count("\n")
    sheet = Image.new("RGB", (image.width, image.height + height), "white")
    sheet.paste(image, (0, height))
    font = ImageFont.truetype(font_manager.findfont(f"{FONT}:bold"), size)
    for line, words in enumerate(lines.split("\n")):
        ImageDraw.Draw(sheet).text((0, line * round(1.3 * size)), words, fill=INK, font=font)
    return sheet


def dot_plot(
    labels: Sequence[str],
    panels: Sequence[tuple[str, Sequence, Sequence]],
    unit: str,
    headings: Container[int] = (),
    seeds: Sequence[Sequence[Sequence[float]]] = (),
    zero: bool = False,
) -> Drawing:
    """A row per label, a panel per quantity: the paper's number hollow, ours filled, a line between them.

    Each panel is (title, the paper's numbers, ours), a number or None per label; ours show their interval or spread. `headings`:
    indices of labels that are headings, in bold. `seeds`: per panel and row, the single measurements behind a mean of ours, drawn
    as small dots where there are several. `zero`: the numbers are effects, and a line marks none.
    """
    lines = [wrap(label, LABELS, STYLE["ytick.labelsize"]) for label in labels]
    with figure(6.6, 0.75 + 0.27 * len(labels) + 0.06 * sum("\n" in label for label in lines)) as plot:
        axes = plot.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for i, (ax, (title, paper, ours)) in enumerate(zip(axes, panels, strict=True)):
            _dots(ax, paper, ours, seeds[i] if seeds else ())
            if zero:
                ax.axvline(0, color=MUTED, linewidth=0.9, zorder=1)
            ax.set_title(title)
            ax.set_xlabel(unit)
        axes[0].set_yticks(range(len(labels)), lines, linespacing=1.05)
        for i, label in enumerate(axes[0].get_yticklabels()):
            label.set_fontweight("bold" if i in headings else "normal")
        axes[0].set_ylim(len(labels) - 0.4, -0.6)
        handles = axes[0].get_legend_handles_labels()
        plot.legend(*handles, loc="outside upper right", ncols=2, handletextpad=0.2)
        return save(plot)


def _dots(
    ax: Axes, paper: Sequence[Number | None], ours: Sequence[Number | None], seeds: Sequence[Sequence[float]]
) -> None:
    ax.grid(axis="both")
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    for y, (theirs, our) in enumerate(zip(paper, ours, strict=True)):
        if theirs and our:
            ax.plot([theirs.value, our.value], [y, y], color=LINE, linewidth=2.2, zorder=1, solid_capstyle="round")
        if our and (our.low is not None or our.spread is not None):
            low = our.low if our.low is not None else our.value - (our.spread or 0)
            high = our.high if our.high is not None else our.value + (our.spread or 0)
            ax.plot([low, high], [y, y], color=OURS, linewidth=1.2, zorder=2)
    for y, several in enumerate(seeds):
        if len(several) > 1:
            ax.scatter(several, [y + 0.24] * len(several), zorder=2, color=OURS, s=5, linewidths=0)
    _scatter(ax, ours, "this experiment", {"color": OURS, "marker": "D", "s": 15, "linewidths": 0})
    _scatter(ax, paper, "paper", {"facecolors": "none", "edgecolors": PAPER, "marker": "o", "s": 34, "linewidths": 1.4})
    ax.margins(x=0.08)


def _scatter(ax: Axes, numbers: Sequence[Number | None], label: str, style: dict) -> None:
    points = [(number.value, y) for y, number in enumerate(numbers) if number]
    ax.scatter([x for x, _ in points], [y for _, y in points], zorder=3, label=label, **style)
