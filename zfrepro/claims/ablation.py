"""Claims 8 to 16: what removing and resizing layers does to errors (Table 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zfrepro.claims import base
from zfrepro.claims.base import Claim, Estimate, Finding, Unattempted
from zfrepro.claims.networks import ROWS, Networks, Sum, printed, said, total
from zfrepro.exhibits import runs

NOTHING = 1.5  # points; below the 1.6 between the paper's two networks, the smallest difference it makes something of
SLIGHT = 0.25  # of what removing layers 3, 4, 6, 7 costs; twice the paper's own 4.3 of 32.0
LITTLE = 0.1  # of the same; less than what the paper calls slight
CONV, FULL, BOTH = ({row: 1, "t3r01": -1} for row in ("t3r02", "t3r04", "t3r05"))  # removed from the baseline: the rise
ONE_FULL = {"t3r03": 1, "t3r01": -1}
SUPERADDITIVE = total((1, BOTH), (-1, CONV), (-1, FULL))
SHALLOW, WIDEST, WIDE, BASELINE, NO_FULL = "t3r05", "t3r12", "t3r11", "t3r01", "t3r04"
RESIZED = {  # of layers 6 and 7
    "baseline, 2048 units": {"t3r06": 1, "t3r01": -1},
    "baseline, 8192 units": {"t3r07": 1, "t3r01": -1},
    "improved, 2048 units": {"t3r09": 1, "t3r08": -1},
    "improved, 8192 units": {"t3r10": 1, "t3r08": -1},
}
FITS = {  # fall of training error as layers 6 and 7 grow
    "baseline, 2048 to 4096": {"t3r06": 1, "t3r01": -1},
    "baseline, 4096 to 8192": {"t3r01": 1, "t3r07": -1},
    "improved, 2048 to 4096": {"t3r09": 1, "t3r08": -1},
    "improved, 4096 to 8192": {"t3r08": 1, "t3r10": -1},
}
WIDE_TO_WIDEST = {WIDEST: 1, WIDE: -1}
OVERFITS = {NO_FULL: 1, BASELINE: -1}

Parts = Mapping[str, Estimate]


def needs(config: Any) -> dict[str, str]:
    return runs.needs(config, scores=True)


def _deciding(parts: Callable[[Networks], Parts]) -> Callable[[Mapping[str, Path]], Finding]:
    """All parts above 0."""
    return lambda files: base.above(parts(Networks.load(files)))


def _without_layer_7(files: Mapping[str, Path]) -> Finding:
    return base.inside(Networks.load(files).errors(ONE_FULL), NOTHING)


def _slight(rows: Sum) -> Callable[[Networks], Parts]:
    """Beside a rise without layers 3, 4, 6, 7 that is one: where there is none, nothing is slight beside it."""

    def parts(networks: Networks) -> Parts:
        left = networks.errors(total((SLIGHT, BOTH), (-1, rows)))
        return {**left, **{f"rise without 3, 4, 6, 7, {top}": one for top, one in networks.errors(BOTH).items()}}

    return parts


def _resized(networks: Networks) -> Parts:
    limit = total((LITTLE, BOTH))
    networks.alike([row for rows in (BOTH, *RESIZED.values()) for row in rows])
    found = {name: networks.below(rows, limit) for name, rows in RESIZED.items()}
    return {f"{name}, {top}": one for name, parts in found.items() for top, one in parts.items()}


def _fits(networks: Networks) -> Parts:
    networks.alike([row for rows in FITS.values() for row in rows])
    return {name: networks.training(rows) for name, rows in FITS.items()}


def _depth(networks: Networks) -> Parts:
    worst = _least(networks, SHALLOW, lambda rows: networks.errors(rows)["top-1"])
    underfits = networks.gap({BASELINE: 1, SHALLOW: -1})
    return {f"error, above that of {ROWS[worst[0]]}": worst[1], "gap, below the baseline's": underfits}


def _overfits(networks: Networks) -> Parts:
    """Of the widest network."""
    rises = {f"{top} error rises": one for top, one in networks.errors(WIDE_TO_WIDEST).items()}
    row, gap = _least(networks, WIDEST, networks.gap)
    falls = networks.training(total((-1, WIDE_TO_WIDEST)))
    return {"training error falls": falls, **rises, f"gap, above that of {ROWS[row]}": gap}


def _overfits_without_full(networks: Networks) -> Parts:
    rises = networks.errors(OVERFITS)["top-1"]
    return {"training error falls": networks.training(total((-1, OVERFITS))), "top-1 error rises": rises}


def _least(networks: Networks, row: str, measure: Callable[[Sum], Estimate]) -> tuple[str, Estimate]:
    """The row that `row` exceeds least surely, and by how much. Raises Unattempted where there is none to compare with."""
    networks.row(row)
    others = [other for other in networks.rows if other != row]
    if not others:
        raise Unattempted("The experiment trains no other network of Table 3.")
    found = {other: measure({row: 1, other: -1}) for other in others}
    least = min(found, key=lambda other: found[other].low)
    return least, found[least]


def _gap_printed(row: str) -> float:
    return printed({row: 1}, "val_top1") - printed({row: 1}, "train_top1")


def _changes(parts: Mapping[str, Sum], what: str) -> str:
    return ", ".join(f"{printed(rows, what):+.1f} ({name})" for name, rows in parts.items())


def _beside(removed: str) -> str:
    return (
        f"{_percent(SLIGHT)} of the rise of error without layers 3, 4, 6, 7, less the rise without {removed}, above 0; and the "
        "former rise itself above 0"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


SECTION = "Table 3, section 5.1"
CLAIMS = (
    Claim(
        8,
        "Removing the fully connected layers 6 and 7 raises the error only slightly.",
        SECTION,
        _beside("6, 7"),
        f"without 6, 7: {said(FULL)}; without 3, 4, 6, 7: {said(BOTH)}",
        _deciding(_slight(FULL)),
        f"By itself the rise is not slight: {printed(FULL):.1f} points on {printed({BASELINE: 1}):.1f}, about a quarter of the error.",
    ),
    Claim(
        9,
        "Removing one fully connected layer costs almost nothing.",
        SECTION,
        f"Rise of error without layer 7, between -{NOTHING:g} and {NOTHING:g} points",
        said(ONE_FULL),
        _without_layer_7,
    ),
    Claim(
        10,
        "Removing the middle convolution layers 3 and 4 costs comparatively little.",
        SECTION,
        _beside("3, 4"),
        f"without 3, 4: {said(CONV)}; without 3, 4, 6, 7: {said(BOTH)}",
        _deciding(_slight(CONV)),
    ),
    Claim(
        11,
        "Removing both is dramatically worse: by more than the two together.",
        SECTION,
        "Rise of error without layers 3, 4, 6, 7, less the rise without 3, 4 and the rise without 6, 7, above 0",
        said(SUPERADDITIVE),
        _deciding(lambda networks: networks.errors(SUPERADDITIVE)),
    ),
    Claim(
        12,
        "Depth matters rather than one section: the shallowest network is the worst, and it underfits.",
        SECTION,
        "Top-1 error of the network without layers 3, 4, 6, 7, less that of the next worst of Table 3, above 0; and its gap between "
        "validation and training error (top-1, single view) below the baseline's",
        f"top-1 error {printed({SHALLOW: 1}, 'val_top1')}, the next worst {printed({'t3r02': 1}, 'val_top1')}; gap "
        f"{_gap_printed(SHALLOW):.1f}, the baseline's {_gap_printed(BASELINE):.1f} points",
        _deciding(_depth),
    ),
    Claim(
        13,
        "The size of the fully connected layers makes little difference.",
        SECTION,
        f"{_percent(LITTLE)} of the rise of error without layers 3, 4, 6, 7, less the change with 2048 or 8192 units (either sign), "
        "above 0",
        f"top-5 error, points: {_changes(RESIZED, 'val_top5')}; without 3, 4, 6, 7: {printed(BOTH):+.1f}",
        _deciding(_resized),
    ),
    Claim(
        14,
        "Smaller fully connected layers fit the training pictures worse, larger ones better.",
        SECTION,
        "Fall of training error (top-1) from 2048 to 4096 and from 4096 to 8192 units, above 0",
        f"fall in points: {_changes(FITS, 'train_top1').replace('+', '')}",
        _deciding(_fits),
    ),
    Claim(
        15,
        "More maps and more units together overfit.",
        SECTION,
        "From 512, 1024, 512 maps to these with 8192 units: fall of training error and rise of validation errors, above 0; and the gap "
        "between top-1 errors (single view) less the next largest of Table 3, above 0",
        f"training error {printed(WIDE_TO_WIDEST, 'train_top1'):+.1f} points; {said(WIDE_TO_WIDEST)}; gap "
        f"{_gap_printed(WIDEST):.1f}, the next largest {max(_gap_printed(row) for row in ROWS if row != WIDEST):.1f}",
        _deciding(_overfits),
    ),
    Claim(
        16,
        "Without layers 6 and 7 the network overfits more (seen in the table, not said in the text).",
        "Table 3",
        "From the baseline to it without layers 6 and 7: fall of training error and rise of validation error (top-1), above 0",
        f"training error {printed(OVERFITS, 'train_top1'):+.1f}, validation error {printed(OVERFITS, 'val_top1'):+.1f} points",
        _deciding(_overfits_without_full),
    ),
)
