"""Claims 8 to 16: what removing and resizing layers does to errors (Table 3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from zfrepro.claims import base
from zfrepro.claims.base import Claim, Finding
from zfrepro.claims.deciding import for_networks, judge_above_zero, make_effect
from zfrepro.measurements import convergence, runs
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.networks import FOUR_LAYERS, ROWS, Networks, lower_end
from zfrepro.paper.printed import Sum, printed_error, printed_errors, printed_text, total

NOTHING = 1.5  # points; below the 1.6 between the paper's two networks, the smallest difference that it comments on
SLIGHT = 0.25  # of what removing layers 3, 4, 6, 7 costs; twice the paper's own 4.3 of 32.0
LITTLE = 0.1  # of the same; less than what the paper calls slight
CONV = {"baseline-without-3-4": 1, "baseline": -1}  # removed from the baseline: the rise
FULL = {"baseline-without-6-7": 1, "baseline": -1}
ONE_FULL = {"baseline-without-7": 1, "baseline": -1}
SUPERADDITIVE = total((1, FOUR_LAYERS), (-1, CONV), (-1, FULL))
BASELINE, WITHOUT_FULL, SHALLOW = "baseline", "baseline-without-6-7", "baseline-without-3-4-6-7"
WIDE, WIDEST = "improved-wide", "improved-wide-8192"
RESIZED = {  # of layers 6 and 7
    "baseline, 2048 units": {"baseline-2048": 1, "baseline": -1},
    "baseline, 8192 units": {"baseline-8192": 1, "baseline": -1},
    "improved, 2048 units": {"improved-2048": 1, "improved": -1},
    "improved, 8192 units": {"improved-8192": 1, "improved": -1},
}
FITS = {  # fall of training error as layers 6 and 7 grow
    "baseline, 2048 to 4096": {"baseline-2048": 1, "baseline": -1},
    "baseline, 4096 to 8192": {"baseline": 1, "baseline-8192": -1},
    "improved, 2048 to 4096": {"improved-2048": 1, "improved": -1},
    "improved, 4096 to 8192": {"improved": 1, "improved-8192": -1},
}
WIDE_TO_WIDEST = {WIDEST: 1, WIDE: -1}
OVERFITS = {WITHOUT_FULL: 1, BASELINE: -1}

Parts = Mapping[str, Estimate]
Sized = tuple[
    Parts, Mapping[str, float], int
]  # what must be above 0, the paper's numbers of the same names, comparisons


def needs(config: Any) -> dict[str, str]:
    return runs.needs(config, scores=True) | convergence.needs(config)


def _above(rows: Iterable[str], parts: Callable[[Networks], Sized]) -> Callable[[Mapping[str, Path]], Finding]:
    """All parts above 0, about the networks of these rows."""
    return for_networks(rows, lambda networks: judge_above_zero(*parts(networks)))


def _without_layer_7(networks: Networks) -> Finding:
    parts = networks.errors(ONE_FULL)
    finding = base.judge_inside(parts, NOTHING)
    top = finding.part or next(iter(parts))
    return dataclasses.replace(finding, effect=make_effect(parts[top], printed_errors(ONE_FULL)[top]))


def _slight(removed: str, rows: Sum) -> Callable[[Networks], Finding]:
    """What removing `removed` adds to the error, compared with what removing layers 3, 4, 6, 7 adds."""

    def decide(networks: Networks) -> Finding:
        rises, remainders = networks.errors(rows), networks.errors(total((SLIGHT, FOUR_LAYERS), (-1, rows)))
        name = f"rise without {removed}, {{}}"
        printed = _label_tops(name, printed_errors(rows))
        return _compare_with_both(
            networks, SLIGHT, _label_tops(name, rises), _label_tops(name, remainders), printed, "this rise"
        )

    return decide


def _resized(networks: Networks) -> Finding:
    limit = total((LITTLE, FOUR_LAYERS))
    networks.require_same_recipe([row for rows in (FOUR_LAYERS, *RESIZED.values()) for row in rows])
    changes: dict[str, Estimate] = {}
    remainders: dict[str, Estimate] = {}
    printed: dict[str, float] = {}
    for kind, rows in RESIZED.items():
        name = f"change, {kind}, {{}}"
        changes |= _label_tops(name, networks.errors(rows))
        remainders |= _label_tops(name, networks.below(rows, limit))
        printed |= _label_tops(name, printed_errors(rows))
    both_signs = 2 * len(remainders)  # a change is too large upwards or downwards
    return _compare_with_both(networks, LITTLE, changes, remainders, printed, "the size of this change", both_signs)


def _label_tops(name: str, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """By name and top: `rise without 6, 7, top-1`."""
    return {name.format(top): number for top, number in numbers.items()}


def _compare_with_both(
    networks: Networks, share: float, changes: Parts, remainders: Parts, printed: Mapping[str, float], what: str,
    comparisons: int = 0,
) -> Finding:  # fmt: skip
    """Whether changes are small compared with the rise without layers 3, 4, 6, 7.

    remainders: that share of the rise minus the change, of the same names as `changes`; above 0 decides. The number shown is
    the change itself. Where the whole rise is not above 0 there is nothing to compare with, and the claim is inconclusive.
    """
    rise = networks.errors(FOUR_LAYERS)
    judged = base.judge_above(remainders, comparisons=comparisons)
    name = judged.part or next(iter(remainders))
    parts = {**changes, **_label_tops("rise without 3, 4, 6, 7, {}", rise)}
    finding = Finding(
        judged.verdict, judged.reason, changes[name], parts, name, make_effect(changes[name], printed[name])
    )
    least = min(rise.values(), key=lower_end)
    if not (remainders[name].has_interval and least.has_interval):
        return finding
    if lower_end(least) <= 0:
        return dataclasses.replace(finding, verdict="inconclusive", reason=_nothing_to_compare(least))
    difference = f"{_percent(share)} of the rise without layers 3, 4, 6, 7 minus {what}"
    position = judged.reason.partition(") " if judged.part else "interval ")[2]
    return dataclasses.replace(finding, reason=f"{difference} is {remainders[name].text()}, which {position}")


def _nothing_to_compare(rise: Estimate) -> str:
    """`Nothing to compare with: removing four layers lowered the error by 10.7 points [8.1, 13.3].`"""
    low, high = rise.ends
    if rise.value < 0:
        change = f"lowered the error by {-rise.value:.1f} points [{-high:.1f}, {-low:.1f}]"
    else:
        change = f"raised the error by {rise.text()}, which includes 0"
    return f"Nothing to compare with: removing four layers {change}."


def _superadditive(networks: Networks) -> Sized:
    """Removing all four must also raise the error at all."""
    beyond, four_layers = "rise beyond both, {}", "rise without 3, 4, 6, 7, {}"
    parts = _label_tops(beyond, networks.errors(SUPERADDITIVE)) | _label_tops(four_layers, networks.errors(FOUR_LAYERS))
    return (
        parts,
        _label_tops(beyond, printed_errors(SUPERADDITIVE)) | _label_tops(four_layers, printed_errors(FOUR_LAYERS)),
        0,
    )


def _fits(networks: Networks) -> Sized:
    networks.require_same_recipe([row for rows in FITS.values() for row in rows])
    parts = {name: networks.training(rows) for name, rows in FITS.items()}
    return parts, {name: printed_error(rows, "train_top1") for name, rows in FITS.items()}, 0


def _depth(networks: Networks) -> Sized:
    row, worse, others = _least_exceeded(networks, SHALLOW, lambda rows: networks.errors(rows)["top-1"])
    error, gap = f"error, above that of {ROWS[row]}", "gap, below the baseline's"
    parts = {error: worse, gap: networks.gap({BASELINE: 1, SHALLOW: -1})}
    printed = {
        error: printed_error({SHALLOW: 1, row: -1}, "val_top1"),
        gap: _gap_printed(BASELINE) - _gap_printed(SHALLOW),
    }
    return parts, printed, others + 1


def _overfits(networks: Networks) -> Sized:
    """Of the widest network."""
    row, gap, others = _least_exceeded(networks, WIDEST, networks.gap)
    trains, rises, opens = "training error falls", "{} error rises", f"gap, above that of {ROWS[row]}"
    falls = total((-1, WIDE_TO_WIDEST))
    parts = {
        trains: networks.training(falls),
        **_label_tops(rises, networks.errors(WIDE_TO_WIDEST)),
        opens: gap,
    }
    printed = {
        trains: printed_error(falls, "train_top1"),
        **_label_tops(rises, printed_errors(WIDE_TO_WIDEST)),
        opens: _gap_printed(WIDEST) - _gap_printed(row),
    }
    return parts, printed, others + len(parts) - 1


def _overfits_without_full(networks: Networks) -> Sized:
    falls, rises = "training error falls", "top-1 error rises"
    parts = {falls: networks.training(total((-1, OVERFITS))), rises: networks.errors(OVERFITS)["top-1"]}
    printed = {
        falls: printed_error(total((-1, OVERFITS)), "train_top1"),
        rises: printed_error(OVERFITS, "val_top1"),
    }
    return parts, printed, 0


def _least_exceeded(networks: Networks, row: str, measure: Callable[[Sum], Estimate]) -> tuple[str, Estimate, int]:
    """The row that `row` exceeds least clearly, by how much, and of how many. Raises NotMeasured where there is no other."""
    networks.row(row)
    others = [other for other in networks.rows if other != row]
    if not others:
        raise NotMeasured("The experiment trains no other network of Table 3.")
    excess = {other: measure({row: 1, other: -1}) for other in others}
    least = min(excess, key=lambda other: lower_end(excess[other]))
    return least, excess[least], len(others)


def _gap_printed(row: str) -> float:
    return printed_error({row: 1}, "val_top1") - printed_error({row: 1}, "train_top1")


def _printed_changes(parts: Mapping[str, Sum], quantity: str) -> str:
    return ", ".join(f"{printed_error(rows, quantity):+.1f} ({name})" for name, rows in parts.items())


def _slight_quantity(removed: str) -> str:
    return (
        f"Rise of error without layers {removed}: {_percent(SLIGHT)} of the rise without layers 3, 4, 6, 7, minus this rise, above "
        "0; inconclusive where the rise without layers 3, 4, 6, 7 is not above 0"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


SECTION = "Table 3, section 5.1"
CLAIMS = (
    Claim(
        8,
        "Removing the fully connected layers 6 and 7 raises the error only slightly.",
        SECTION,
        _slight_quantity("6, 7"),
        f"without 6, 7: {printed_text(FULL)}; without 3, 4, 6, 7: {printed_text(FOUR_LAYERS)}",
        for_networks((*FOUR_LAYERS, *FULL), _slight("6, 7", FULL)),
        f"By itself the rise is not slight: {printed_error(FULL):.1f} points on top of {printed_error({BASELINE: 1}):.1f}, about a "
        "quarter of the error.",
    ),
    Claim(
        9,
        "Removing one fully connected layer costs almost nothing.",
        SECTION,
        f"Rise of error without layer 7, between -{NOTHING:g} and {NOTHING:g} points",
        printed_text(ONE_FULL),
        for_networks(ONE_FULL, _without_layer_7),
    ),
    Claim(
        10,
        "Removing the middle convolution layers 3 and 4 costs comparatively little.",
        SECTION,
        _slight_quantity("3, 4"),
        f"without 3, 4: {printed_text(CONV)}; without 3, 4, 6, 7: {printed_text(FOUR_LAYERS)}",
        for_networks((*FOUR_LAYERS, *CONV), _slight("3, 4", CONV)),
    ),
    Claim(
        11,
        "Removing both is dramatically worse: by more than the sum of the two.",
        SECTION,
        "Rise of error without layers 3, 4, 6, 7, minus the rise without 3, 4 and the rise without 6, 7, above 0; and the rise "
        "without 3, 4, 6, 7 itself above 0",
        printed_text(SUPERADDITIVE),
        _above(SUPERADDITIVE, _superadditive),
    ),
    Claim(
        12,
        "Depth matters rather than one section: the shallowest network is the worst, and it underfits.",
        SECTION,
        "Top-1 error of the network without layers 3, 4, 6, 7, minus that of the next worst of Table 3, above 0; and its gap between "
        "validation and training error (top-1, single view) below the baseline's",
        f"top-1 error {printed_error({SHALLOW: 1}, 'val_top1')}, the next worst "
        f"{printed_error({'baseline-without-3-4': 1}, 'val_top1')}; gap "
        f"{_gap_printed(SHALLOW):.1f}, the baseline's {_gap_printed(BASELINE):.1f} points",
        _above(ROWS, _depth),
    ),
    Claim(
        13,
        "The size of the fully connected layers makes little difference.",
        SECTION,
        f"Change of error with 2048 or 8192 units: {_percent(LITTLE)} of the rise without layers 3, 4, 6, 7, minus the size of "
        "this change, above 0; inconclusive where that rise is not above 0",
        f"top-5 error, points: {_printed_changes(RESIZED, 'val_top5')}; without 3, 4, 6, 7: {printed_error(FOUR_LAYERS):+.1f}",
        for_networks(dict.fromkeys(row for rows in (FOUR_LAYERS, *RESIZED.values()) for row in rows), _resized),
    ),
    Claim(
        14,
        "Smaller fully connected layers fit the training images worse, larger ones better.",
        SECTION,
        "Fall of training error (top-1) from 2048 to 4096 and from 4096 to 8192 units, above 0",
        f"fall in points: {_printed_changes(FITS, 'train_top1').replace('+', '')}",
        _above(dict.fromkeys(row for rows in FITS.values() for row in rows), _fits),
    ),
    Claim(
        15,
        "More maps and more units together overfit.",
        SECTION,
        "From 512, 1024, 512 maps to the same with 8192 units: fall of training error and rise of validation errors, above 0; and the gap "
        "between top-1 errors (single view) minus the next largest of Table 3, above 0",
        f"training error {printed_error(WIDE_TO_WIDEST, 'train_top1'):+.1f} points; {printed_text(WIDE_TO_WIDEST)}; gap "
        f"{_gap_printed(WIDEST):.1f}, the next largest {max(_gap_printed(row) for row in ROWS if row != WIDEST):.1f}",
        _above(ROWS, _overfits),
    ),
    Claim(
        16,
        "Without layers 6 and 7 the network overfits more (seen in the table, not stated in the text).",
        "Table 3",
        "From the baseline to the same without layers 6 and 7: fall of training error and rise of validation error (top-1), above 0",
        f"training error {printed_error(OVERFITS, 'train_top1'):+.1f}, validation error {printed_error(OVERFITS, 'val_top1'):+.1f} points",
        _above(OVERFITS, _overfits_without_full),
    ),
)
