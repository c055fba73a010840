"""Images of the target sets that are also in the source's training set, found by correlation and left out."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from zfrepro.exhibits.kit import draw, saving
from zfrepro.exhibits.kit.axes_numbers import make_logarithmic
from zfrepro.exhibits.kit.base import Column, Piece, Row, Table, heading, make_row
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.storage import artifacts

TITLE = "Overlap of target and source images"
PAPER = "Section 5.2"
PRINTED = {  # the paper's section 5.2: images left out, images in all, most left out in one class
    "caltech101": (44, 9144, 10),
    "caltech256": (243, 30607, 18),
}
NAMES = {"caltech101": "Caltech-101", "caltech256": "Caltech-256", "voc2012": "PASCAL VOC 2012"}
COLUMNS = (
    Column("target", "Target", "label"),
    Column("paper_left_out", "paper: left out", "paper"),
    Column("paper_most", "paper: most in a class", "paper"),
    Column("pictures", "Images"),
    Column("compared", "Compared with (source)"),
    Column("largest", "Largest correlation"),
    Column("left_out", "Left out", "ours"),
    Column("most", "Most in a class", "ours"),
    Column("duplicates", "Copies within the set", "ours"),
)
MAX_PAIRS = 12  # pairs of a target
SIDE, GAP = 106, 4  # pixels: an image, so that a line of pairs is as wide as the histograms; the space between two
BINS = np.linspace(-0.2, 1, 61).tolist()


def needs(config: Any) -> dict[str, str]:
    if not config.folds:
        raise LookupError("a set in `folds`")
    return {
        f"{target}/{file}": f"folds/{target}/{file}"
        for target in config.folds
        for file in ("folds.json", "folds.npz", "overlap.npz")
    }


@dataclass(frozen=True)
class _Target:
    name: str
    record: Mapping[str, Any]
    correlations: np.ndarray  # (N,): each image's largest
    pairs: Mapping[str, np.ndarray]

    @property
    def title(self) -> str:
        return NAMES.get(self.name, self.name)

    @property
    def left_out(self) -> Counter[str]:
        """Class -> number of images left out as too similar."""
        return Counter(image["class"] for image in self.record["overlap"]["left_out"])


def build(files: Mapping[str, Path]) -> Table:
    targets = [_load(files, name) for name in sorted({label.partition("/")[0] for label in files})]
    rule = targets[0].record["overlap"]
    variants = ", as it is or mirrored" if rule["mirrored"] else ""
    variants += ", whole or (for the most similar) cropped by up to a fifth of its side" if rule["crops"] else ""
    pieces = [
        Piece(
            "correlations",
            _histograms(targets),
            _describe(targets),
            "Largest correlation per image",
            least=560,
            plot=True,
        )
    ]
    pieces += [_pairs(target) for target in targets]
    return Table(
        caption="Images of each target set whose thumbnail correlates with that of a training image of the source"
        f"{variants}, by at least {_thresholds(targets)}; thumbnails of {rule['size']} x {rule['size']} pixels, mean-subtracted per "
        "channel. They are excluded from all folds.",
        columns=COLUMNS,
        rows=(*(_row(target) for target in targets), *_by_class(targets)),
        drawing=Drawing(_sheet(targets)),
        alt=_describe(targets),
        notes=(
            "The paper also finds such images by normalised correlation, gives no size or threshold, and removes them from ImageNet before "
            "training again; here they are removed from the target, which needs no training.",
            "The pairs shown are the most similar of each target, left out or not, so that the threshold can be judged by eye.",
        ),
        pieces=tuple(pieces),
    )


def _load(files: Mapping[str, Path], name: str) -> _Target:
    correlations = artifacts.load_arrays(files[f"{name}/folds.npz"])["correlation"]
    record, pairs = (
        artifacts.load_json(files[f"{name}/folds.json"]),
        artifacts.load_arrays(files[f"{name}/overlap.npz"]),
    )
    return _Target(name, record, correlations, pairs)


def _thresholds(targets: Sequence[_Target]) -> str:
    return " or ".join(f"{value:g}" for value in sorted({target.record["overlap"]["threshold"] for target in targets}))


def _row(target: _Target) -> Row:
    printed = PRINTED.get(target.name)
    overlap, largest = target.record["overlap"], target.record["overlap"]["largest"]
    return make_row(COLUMNS, {
        "target": f"{target.title}: {target.record['target']}",
        "paper_left_out": f"{printed[0]} of {printed[1]:,}" if printed else None,
        "paper_most": Number(printed[2], 0) if printed else None,
        "pictures": f"{target.record['pictures']:,}",
        "compared": f"{overlap['source_pictures']:,} of {overlap['source']}",
        "largest": None if largest is None else Number(largest, 3),
        "left_out": Number(len(overlap["left_out"]), 0),
        "most": Number(max(target.left_out.values(), default=0), 0),
        "duplicates": Number(len(target.record["duplicates"]), 0),
    })  # fmt: skip


def _by_class(targets: Sequence[_Target]) -> list[Row]:
    """For every target with images left out: how many of each class, most first."""
    rows = []
    for target in targets:
        if target.left_out:
            rows.append(heading(f"Left out of {target.title}, by class", COLUMNS))
            counts = sorted(target.left_out.items(), key=lambda item: (-item[1], item[0]))
            rows += [
                make_row(COLUMNS, {"target": name, "left_out": Number(count, 0)}, partial=True)
                for name, count in counts
            ]
    return rows


def _histograms(targets: Sequence[_Target]) -> Drawing:
    with draw.figure(6.6, 2.1) as figure:
        axes = figure.subplots(1, len(targets), sharey=True, squeeze=False)[0]
        for ax, target in zip(axes, targets, strict=True):
            _histogram(ax, target)
        axes[0].set_ylim(0.7, 8 * axes[0].get_ylim()[1])  # room for the legends
        axes[0].set_ylabel("images")
        return draw.save(figure)


def _histogram(ax: Axes, target: _Target) -> None:
    threshold = target.record["overlap"]["threshold"]
    ax.hist(target.correlations, bins=BINS, color=draw.OURS)
    ax.axvline(threshold, color=draw.PAPER, linewidth=1.1, linestyle=(0, (4, 3)), label=f"left out from {threshold:g}")
    make_logarithmic(ax)
    ax.set_xlim(min(0.0, float(target.correlations.min(initial=0))), 1.02)
    ax.set_title(target.title)
    ax.set_xlabel("largest correlation")
    ax.legend(loc="upper left")


def _strip(target: _Target) -> np.ndarray:
    """(2 SIDE + GAP, ..., 3): target images above, source images below."""
    pairs = target.pairs["pairs"][:MAX_PAIRS]
    images = [image for half in (0, 1) for image in pairs[:, half]]
    return np.asarray(draw.block(images, len(pairs), SIDE, GAP))


def _pairs(target: _Target) -> Piece:
    correlations = [
        f"{value:.3f}{' (left out)' if out else ''}"
        for value, out in zip(target.pairs["correlation"], target.pairs["left_out"], strict=True)
    ][:MAX_PAIRS]
    title = f"{target.title}: the most similar pairs, target above, source below"
    image = Image.fromarray(_strip(target))
    return Piece(
        f"pairs_{target.name}",
        saving.save_images(image, image, saved=saving.SAVED_SMALL // 2),  # thumbnails: no more pixels than these
        f"{title}. Correlations: {', '.join(correlations)}.",
        title,
        least=560,
    )


def _sheet(targets: Sequence[_Target]) -> bytes:
    """Histograms above, pairs of every target below."""
    head = Image.open(io.BytesIO(_histograms(targets).png)).convert("RGB")
    strips = [
        draw.add_title(_widen(Image.fromarray(_strip(target)), head.width), _pairs(target).title, 18)
        for target in targets
    ]
    return saving.encode(draw.join_rows([head, *strips], 3 * GAP))


def _widen(image: Image.Image, width: int) -> Image.Image:
    sheet = Image.new("RGB", (max(width, image.width), image.height), "white")
    sheet.paste(image)
    return sheet


def _describe(targets: Sequence[_Target]) -> str:
    counts = [
        f"{target.title}: {len(target.record['overlap']['left_out'])} of {target.record['pictures']} left out, largest correlation "
        f"{target.record['overlap']['largest']}"
        for target in targets
    ]
    return "Histograms of each target image's largest correlation with a source image. " + "; ".join(counts)
