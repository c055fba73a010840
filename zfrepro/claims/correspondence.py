"""Claims 30 and 31: whether covering the same part changes features alike from image to image (Table 1).

Both are about networks that were trained out: a correspondence between parts is learned.
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
from zfrepro.claims.margins import sized
from zfrepro.measurements import files as measured_files
from zfrepro.measurements.correspondence import MASKS, PARTS
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.storage import artifacts

RESAMPLES = 2000
LEAST = 3  # pictures; of two the one pair leaves nothing to draw again


def needs(config: Any) -> dict[str, str]:
    own = parts.gathered(
        config, {"own": ("correspondence", partial(measured_files.of_one_run, stage="correspondence"))}
    )
    own = {label.removeprefix("own/"): path for label, path in own.items()}
    return own


def _parts_alike(files: Mapping[str, Path]) -> Finding:
    sample = artifacts.load_json(files["about"])["samples"]["all"]
    found = sample["layers"]["5"]["part_below_random"]
    if any(found[part]["value"] is None or found[part]["low"] is None for part in PARTS):
        raise NotMeasured("Random squares change nothing in layer 5, or too few images were compared.")
    printed, measured = _printed(5), {}
    for part in PARTS:
        numbers = (100 * found[part][key] for key in ("value", "low", "high"))
        theirs = 100 * (1 - printed[part] / printed["random"])
        measured[part] = sized(Estimate(*numbers, sample["pictures"], "images", unit="%"), theirs, "the paper's")
    return margins.above(measured)


def _less_so_above(files: Mapping[str, Path]) -> Finding:
    arrays = parts.load_arrays(files["arrays"], "different_")
    pictures = artifacts.load_json(files["about"])["samples"]["all"]["pictures"]
    if pictures < LEAST:
        raise NotMeasured(f"{pictures} images were compared; {LEAST} are needed.")
    five, seven = (arrays[f"different_{layer}"] for layer in (5, 7))
    again = np.random.default_rng(0).multinomial(pictures, np.full(pictures, 1 / pictures), size=RESAMPLES)
    shares = [_margin(pairs, np.vstack([np.ones(pictures, int), again])) for pairs in (five, seven)]
    value, *drawn = 100 * (shares[0] - shares[1])
    known = np.array(drawn)[~np.isnan(drawn)]  # missing where random squares change nothing in the images drawn
    if np.isnan(value) or not len(known):
        raise NotMeasured("Random squares change nothing in layer 5 or in layer 7.")
    low, high = np.percentile(known, (2.5, 97.5)).tolist()
    told = f"Layer 5: {100 * shares[0][0]:.1f} %, layer 7: {100 * shares[1][0]:.1f} %."
    estimate = Estimate(float(value), low, high, pictures, "images", unit="points")
    return parts.add_sentence(
        margins.above({"": sized(estimate, _printed_margin(5) - _printed_margin(7), "the paper's")}), told
    )


def _margin(pairs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(R,): 1 - (mean sign change of the parts) / (random's), picture i taken counts[r, i] times; NaN where that is none.

    pairs (3 + draws, N, N), a picture with itself 0; both means are over the same pairs of different pictures.
    """
    known, random = (_total(some.mean(axis=0), counts) for some in (pairs[: len(PARTS)], pairs[len(PARTS) :]))
    return 1 - np.divide(known, random, out=np.full(len(counts), np.nan), where=random > 0)


def _total(pairs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return ((counts @ (pairs * (1 - np.eye(len(pairs))))) * counts).sum(axis=1)


def _printed(layer: int) -> dict[str, float]:
    lines = paper.table("table1_correspondence").set_index("name")[f"layer{layer}_mean_feature_sign_change"]
    return {mask: float(lines[mask]) for mask in MASKS}


def _printed_margin(layer: int) -> float:
    """Percent."""
    found = _printed(layer)
    return 100 * (1 - sum(found[part] for part in PARTS) / len(PARTS) / found["random"])


def _printed_parts() -> str:
    found = _printed(5)
    return ", ".join(f"{part} {100 * (1 - found[part] / found['random']):.0f} %" for part in PARTS)


CLAIMS = (
    Claim(
        30,
        "Covering an eye or the nose changes layer 5 more alike from image to image than covering random places.",
        "Table 1, section 4.3",
        "Sign change of each part less than of random places, as a share of the latter, in layer 5: above 0",
        _printed_parts(),
        parts.trained(_parts_alike, "arrays"),
    ),
    Claim(
        31,
        "In layer 7 the parts stand out less from random places than in layer 5.",
        "Table 1, section 4.3",
        "The same share, mean of the three parts, layer 5 minus layer 7: above 0",
        f"{_printed_margin(5) - _printed_margin(7):.0f} points: {_printed_margin(5):.0f} % in layer 5, {_printed_margin(7):.0f} % in "
        "layer 7",
        parts.trained(_less_so_above, "arrays"),
    ),
)  # fmt: skip
