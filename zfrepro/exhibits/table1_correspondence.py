"""Table 1: whether covering the same part of different faces changes features more alike than covering random positions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zfrepro import paper
from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.base import (
    Cell,
    Column,
    Highlight,
    Row,
    Table,
    compared_columns,
    difference,
    heading,
    make_panel,
    make_row,
)
from zfrepro.exhibits.kit.effects import NONE, effect_cells
from zfrepro.exhibits.kit.numbers import Number, measured_number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import files as measured_files
from zfrepro.measurements.correspondence import MASKS, PARTS, below_random, printed_below_random
from zfrepro.storage import artifacts

TITLE = "Correspondence of parts across images"
PAPER = "Table 1"
LAYERS = (5, 7)
DIGITS = 3
COLUMNS = (
    Column("row", "Covered", "label"),
    *(
        column
        for layer in LAYERS
        for column in compared_columns(f"layer{layer}_effect", f"Layer {layer}, below random (%)")
    ),
    *(column for layer in LAYERS for column in compared_columns(f"layer{layer}", f"Layer {layer}, sign change")),
    *(
        Column(f"layer{layer}_{key}", f"layer {layer}", "plain", f"{key.capitalize()} (%)")
        for key in ("opposite", "unchanged")
        for layer in LAYERS
    ),
)


def needs(config: Any) -> dict[str, str]:
    return {"about": measured_files.files_of_run(config, "correspondence")["about"]}


def build(files: Mapping[str, Path]) -> Table:
    about = artifacts.load_json(files["about"])
    everything, shown = about["samples"]["all"], about["samples"]["shown"]
    samples = [shown, everything] if everything["pictures"] > shown["pictures"] else [shown]
    rows = []
    for sample in samples:
        rows += [heading(_describe_sample(sample, sample is shown), COLUMNS), *_rows(sample, sample is shown)]
    return Table(
        caption="How far the sign change of a covered part is below that of random positions, in the paper and here; then the mean "
        "feature sign change: the share of a layer's units whose sign of uncovered minus covered differs between two "
        f"images in which the same part is covered, mean over all pairs. A grey square of {about['square']} x {about['square']} "
        f"pixels covers the part, or a random position outside the three parts ({about['draws']} draws per image); "
        f"{_source(about)}, input {about['input_size']} pixels. Layer 5 after pooling, layer 7 after its ReLU. Lower means more similar.",
        columns=COLUMNS,
        rows=tuple(rows),
        drawing=_plot(rows),
        alt=_alt(everything),
        notes=_notes(everything, intervals=len(samples) > 1),
        highlights=_highlights(everything),
    )


def _describe_sample(sample: Mapping[str, Any], as_paper: bool) -> str:
    size = f"{sample['pictures']} images, {sample['pairs']:,} pairs"
    return f"As in the paper: {size}" if as_paper and sample["pictures"] == 5 else size


def _source(about: Mapping[str, Any]) -> str:
    if about["marked_by_hand"]:
        return "photographs marked by hand"
    classes = sorted({picture["class"] for picture in about["pictures"]})
    return f"images of the class{'es' if len(classes) > 1 else ''} {', '.join(classes)}"


def _rows(sample: Mapping[str, Any], spread: bool) -> list[Row]:
    """With the spread over the pairs, as in the paper; or with an interval over images."""
    return [_row(line, sample, spread) for line in paper.rows("table1_correspondence")]


def _row(line: Mapping[str, Any], sample: Mapping[str, Any], spread: bool) -> Row:
    cells: dict[str, Cell] = {"row": line["row_label"]}
    masks = [sample["layers"][str(layer)]["masks"][line["name"]] for layer in LAYERS]
    for layer, mask in zip(LAYERS, masks, strict=True):
        theirs = Number(line[f"layer{layer}_mean_feature_sign_change"], DIGITS, spread=line[f"layer{layer}_pm"])
        ends = {"spread": mask["spread"]} if spread else {"low": mask["low"], "high": mask["high"]}
        ours = Number(mask["mean"], DIGITS, **ends)
        cells |= {
            f"layer{layer}_paper": theirs,
            f"layer{layer}_ours": ours,
            f"layer{layer}_diff": difference(ours, theirs, DIGITS),
            **_effect(line["name"], layer, sample),
            f"layer{layer}_opposite": _opposite(mask, not spread),
            f"layer{layer}_unchanged": Number(100 * mask["unchanged"]),
        }
    return make_row(COLUMNS, cells)


def _effect(part: str, layer: int, sample: Mapping[str, Any]) -> dict[str, Cell]:
    key = f"layer{layer}_effect"
    if part not in PARTS:
        return effect_cells(key, 0.0, NONE)
    ours = measured_number(below_random(sample, layer, part), signed=True)
    return effect_cells(key, printed_below_random(layer, part), ours)


def _opposite(mask: Mapping[str, Any], interval: bool) -> Number | None:
    if mask["opposite"] is None:
        return None
    low, high = (
        100 * mask[key] if interval and mask[key] is not None else None for key in ("opposite_low", "opposite_high")
    )
    return Number(100 * mask["opposite"], low=low, high=high)


def _notes(sample: Mapping[str, Any], intervals: bool) -> tuple[str, ...]:
    return (
        "Below random: the sign change of random positions minus that of the part, in percent of the former; above 0 the part changes "
        "features more alike from image to image. [ ]: 95 % interval, Student's t with the standard error of a bootstrap over images; "
        "the claims judge these estimates.",
        "A sign is -1, 0 or 1; two units at 0 agree. ± of ours: standard deviation over the pairs, of one square per image; the paper "
        "does not say what its ± is." + (" [ ]: 95 % interval, as above." * intervals),
        "Unchanged: units with exactly the same value with and without the square in both images; they count as agreeing. Opposite: of "
        "the units that change in both images, the share that rises in one and falls in the other; unrelated changes would give "
        f"{_chance(sample)}.",
        f"Is random a fair comparison? {_describe_changes(sample)} A square that changes nothing scores 0: the fewer units it changes, the "
        f"lower its score. {_active_in_one(sample)} The opposite share depends on neither.",
    )


def _chance(sample: Mapping[str, Any]) -> str:
    shares = [
        round(100 * mask["by_chance"])
        for layer in LAYERS
        for mask in sample["layers"][str(layer)]["masks"].values()
        if mask["by_chance"] is not None
    ]
    return f"{min(shares)} to {max(shares)} %" if shares else "50 %"


def _describe_changes(sample: Mapping[str, Any]) -> str:
    shares = []
    for layer in LAYERS:
        masks = sample["layers"][str(layer)]["masks"]
        parts = ", ".join(f"{100 * masks[part]['changed']:.0f}" for part in PARTS)
        shares.append(f"{parts} % of the units of layer {layer} (random: {100 * masks['random']['changed']:.0f} %)")
    return f"In an image, covering {', '.join(PARTS[:-1])} and {PARTS[-1]} changes {' and '.join(shares)}."


def _active_in_one(sample: Mapping[str, Any]) -> str:
    five, seven = (100 * sample["layers"][str(layer)]["active_in_one"] for layer in LAYERS)
    return (
        f"And {five:.0f} % (layer 5) and {seven:.0f} % (layer 7) of the units are active in only one of two uncovered images; "
        "such units tend to differ whatever is covered."
    )


def _plot(rows: list[Row]) -> Drawing:
    lines = [row for row in rows if row.label.lower() != "random"]
    panels = [make_panel(f"Layer {layer}", lines, f"layer{layer}_effect") for layer in LAYERS]
    headings = {i for i, row in enumerate(lines) if row.kind == "heading"}
    return draw.dot_plot([row.label for row in lines], panels, "below random (%)", headings, zero=True)


def _alt(sample: Mapping[str, Any]) -> str:
    estimates = {(layer, part): below_random(sample, layer, part) for layer in LAYERS for part in PARTS}
    shares = [
        f"layer {layer}, {part}: {estimate.value:+.1f} ({printed_below_random(layer, part):+.1f})"
        for (layer, part), estimate in estimates.items()
        if estimate
    ]
    return (
        "Dot plot of how far the sign change of each covered part is below that of random positions, paper hollow, ours filled. Ours "
        f"over {sample['pictures']} images in percent, in brackets the paper's: {'; '.join(shares)}."
    )


def _highlights(sample: Mapping[str, Any]) -> tuple[Highlight, ...]:
    """Layer 5: mean of the three parts, against random."""
    masks = sample["layers"]["5"]["masks"]
    lines = paper.table("table1_correspondence").set_index("name")["layer5_mean_feature_sign_change"]
    ours = {mask: masks[mask]["mean"] for mask in MASKS}
    theirs = {mask: lines[mask] for mask in MASKS}
    texts = [
        f"{sum(means[part] for part in PARTS) / len(PARTS):.3f}, random {means['random']:.3f}"
        for means in (ours, theirs)
    ]
    return (Highlight("Sign change at layer 5 where eyes or nose are covered", *texts),)
