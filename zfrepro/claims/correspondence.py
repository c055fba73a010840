"""Claims 30 and 31: whether covering the same part changes features in the same way in every image (Table 1).

Both are about networks that converged: a correspondence between parts is learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro import paper
from zfrepro.claims import margins, parts
from zfrepro.claims.base import Claim, Finding
from zfrepro.claims.margins import make_part
from zfrepro.measurements import files as measured_files
from zfrepro.measurements import intervals
from zfrepro.measurements.correspondence import MASKS, PARTS, below_random, printed_below_random
from zfrepro.measurements.estimate import NotMeasured
from zfrepro.storage import artifacts

MIN_IMAGES = 3  # images; two make a single pair, which a bootstrap cannot resample


def needs(config: Any) -> dict[str, str]:
    of_run = partial(measured_files.files_of_run, stage="correspondence")
    return parts.gather_files(config, {"": ("correspondence", of_run)})


def _parts_agree(files: Mapping[str, Path]) -> Finding:
    sample = artifacts.load_json(files["about"])["samples"]["all"]
    shares = sample["layers"]["5"]["part_below_random"]
    if any(shares[part]["value"] is None or shares[part]["low"] is None for part in PARTS):
        raise NotMeasured("Random squares change nothing in layer 5, or too few images were compared.")
    estimates = {part: below_random(sample, 5, part) for part in PARTS}
    return margins.judge_above(
        {
            part: make_part(estimate, printed_below_random(5, part), "the paper's")
            for part, estimate in estimates.items()
            if estimate
        }
    )


def _less_in_layer_7(files: Mapping[str, Path]) -> Finding:
    arrays = parts.load_arrays(files["arrays"], "different_")
    count = artifacts.load_json(files["about"])["samples"]["all"]["pictures"]
    if count < MIN_IMAGES:
        raise NotMeasured(f"{count} images were compared; {MIN_IMAGES} are needed.")
    five, seven = (arrays[f"different_{layer}"] for layer in (5, 7))
    counts = np.vstack([np.ones(count, int), intervals.resampled_counts(count)])
    shares = [_margin(pairs, counts) for pairs in (five, seven)]
    value, *resamples = 100 * (shares[0] - shares[1])
    if np.isnan(value):
        raise NotMeasured("Random squares change nothing in layer 5 or in layer 7.")
    sentence = f"Layer 5: {100 * shares[0][0]:.1f} %, layer 7: {100 * shares[1][0]:.1f} %."
    estimate = intervals.resampled(float(value), np.array(resamples), count, "images", unit="points")
    return parts.add_sentence(
        margins.judge_above({"": make_part(estimate, _printed_margin(5) - _printed_margin(7), "the paper's")}), sentence
    )


def _margin(pairs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(R,): 1 - (mean sign change of the parts) / (random's), image i taken counts[r, i] times; NaN where that is 0.

    pairs (3 + draws, N, N), an image with itself 0; both means are over the same pairs of different images.
    """
    part_changes, random_changes = (
        _total(group.mean(axis=0), counts) for group in (pairs[: len(PARTS)], pairs[len(PARTS) :])
    )
    return 1 - np.divide(part_changes, random_changes, out=np.full(len(counts), np.nan), where=random_changes > 0)


def _total(pairs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return ((counts @ (pairs * (1 - np.eye(len(pairs))))) * counts).sum(axis=1)


def _printed(layer: int) -> dict[str, float]:
    lines = paper.table("table1_correspondence").set_index("name")[f"layer{layer}_mean_feature_sign_change"]
    return {mask: float(lines[mask]) for mask in MASKS}


def _printed_margin(layer: int) -> float:
    """Percent."""
    printed = _printed(layer)
    return 100 * (1 - sum(printed[part] for part in PARTS) / len(PARTS) / printed["random"])


def _printed_parts() -> str:
    return ", ".join(f"{part} {printed_below_random(5, part):.0f} %" for part in PARTS)


CLAIMS = (
    Claim(
        30,
        "Covering an eye or the nose changes layer 5 more consistently across images than covering random positions.",
        "Table 1, section 4.3",
        "How far the sign change of each part is below that of random positions, as a share of the latter, in layer 5: above 0",
        _printed_parts(),
        parts.for_trained_networks(_parts_agree, "arrays"),
    ),
    Claim(
        31,
        "In layer 7 the parts differ less from random positions than in layer 5.",
        "Table 1, section 4.3",
        "The same share, mean of the three parts, layer 5 minus layer 7: above 0",
        f"{_printed_margin(5) - _printed_margin(7):.0f} points: {_printed_margin(5):.0f} % in layer 5, {_printed_margin(7):.0f} % in "
        "layer 7",
        parts.for_trained_networks(_less_in_layer_7, "arrays"),
    ),
)  # fmt: skip
